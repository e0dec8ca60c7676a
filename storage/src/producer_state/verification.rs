//! Verification of transactions with their coordinator before they begin here (KIP-890).

use std::collections::HashMap;

/// Goes with an append whose transaction is being verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

impl VerificationGuard {
    /// Verifies nothing.
    pub const NONE: Self = Self(0);
}

/// Whose transaction is to be verified, and what it wants to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationRequest {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The sequence of the first record to append.
    pub base_sequence: i32,
    /// Whether the client bumps its epoch with each transaction (transaction version 2), so that
    /// a new epoch must begin at sequence 0.
    pub supports_epoch_bump: bool,
    /// Now, milliseconds since the epoch.
    pub now_ms: i64,
}

/// A verification under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    guard: VerificationGuard,
    created_ms: i64,
    /// Appends of one producer may overtake each other while they are verified. The lowest sequence
    /// seen must be appended first.
    pub(super) lowest_sequence: i32,
    producer_epoch: i16,
    pub(super) supports_epoch_bump: bool,
}

/// Verifications under way, by producer id.
#[derive(Clone, Debug, Default)]
pub(super) struct Verification {
    pending: HashMap<i64, Pending>,
    last_guard: u64,
}

impl Verification {
    pub(super) fn get(&self, producer_id: i64) -> Option<&Pending> {
        self.pending.get(&producer_id)
    }

    pub(super) fn verifies(&self, producer_id: i64, guard: VerificationGuard) -> bool {
        guard != VerificationGuard::NONE
            && self.pending.get(&producer_id).is_some_and(|pending| pending.guard == guard)
    }

    pub(super) fn start(&mut self, request: VerificationRequest) -> VerificationGuard {
        let last_guard = &mut self.last_guard;
        let pending = self.pending.entry(request.producer_id).or_insert_with(|| {
            *last_guard += 1;
            Pending {
                guard: VerificationGuard(*last_guard),
                created_ms: request.now_ms,
                lowest_sequence: request.base_sequence,
                producer_epoch: request.producer_epoch,
                supports_epoch_bump: request.supports_epoch_bump,
            }
        });
        let is_newer = pending.producer_epoch < request.producer_epoch;
        let is_lower = request.base_sequence < pending.lowest_sequence
            && pending.producer_epoch == request.producer_epoch;
        if is_newer || is_lower {
            pending.producer_epoch = request.producer_epoch;
            pending.lowest_sequence = request.base_sequence;
        }
        pending.guard
    }

    pub(super) fn remove(&mut self, producer_id: i64) {
        self.pending.remove(&producer_id);
    }

    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.pending.retain(|_, pending| now_ms.saturating_sub(pending.created_ms) < expiration_ms);
    }
}
