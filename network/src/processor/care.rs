//! What a Processor does about connections that do nothing: idle ones are closed, memory that waits
//! for nothing is freed, and when there are too many connections the longest unused ones go.

use crate::counters::CloseReason;
use crate::peer::Peer;
use crate::pool::BUFFER_BYTES_MIN;
use crate::service::Address;

use super::Processor;

/// How often memory that waits is looked at, ms, as long as some does.
const TICK_MS: u64 = 1000;
/// A connection that holds request memory and moves no byte for so long is closed if others wait
/// for memory, ms.
const MEMORY_IDLE_MS: u64 = 10_000;

impl Processor {
    /// Closes idle connections, those beyond the limit, and frees memory that waits for nothing.
    pub(super) fn look_after(&mut self) {
        let idle_ms = self.shared.idle_ms();
        if idle_ms != self.timers.idle_ms() {
            self.timers.set_idle_ms(idle_ms);
        }
        while self.timers.next_ms().is_some_and(|due| due <= self.now_ms) {
            let (peers, now_ms) = (&self.peers, self.now_ms);
            let last_active = |address: Address| {
                let peer = peers.get(address.slot)?.as_ref()?;
                (peer.facts.id == address.id).then(|| last_active_ms(peer, now_ms))
            };
            match self.timers.next_idle(now_ms, last_active) {
                Some(address) => self.close(address.slot, CloseReason::Idle),
                None => break,
            }
        }
        self.crowded = 0 < self.shared.quota.excess() && self.close_excess();
        if self.now_ms >= self.next_tick_ms {
            self.next_tick_ms = self.now_ms + TICK_MS;
            self.tick();
        }
    }

    /// Closes this Processor's share of the connections beyond the limit, the longest unused ones.
    /// Tells whether it closed one: then there may be more to close.
    fn close_excess(&mut self) -> bool {
        let processors = self.shared.roster.lock().active.len().max(1);
        let share = self.shared.quota.excess().div_ceil(processors);
        let mut closable: Vec<(u64, usize)> = Vec::new();
        for (slot, peer) in self.peers.iter().enumerate() {
            let Some(peer) = peer else { continue };
            if !self.shared.quota.protects(peer.facts.listener) {
                closable.push((last_active_ms(peer, self.now_ms), slot));
            }
        }
        closable.sort_unstable();
        let mut closed = false;
        for (_, slot) in closable.into_iter().take(share) {
            let Some(peer) = &mut self.peers[slot] else { continue };
            if !peer.quota.yield_to_limit() {
                break;
            }
            self.close(slot, CloseReason::ConnectionsMax);
            closed = true;
        }
        closed
    }

    fn tick(&mut self) {
        let now_ms = self.now_ms;
        self.pool_reused = self.shared.pool.trim(self.pool_reused);
        let mid_frame = std::mem::take(&mut self.mid_frame);
        let pool = self.shared.pool.clone();
        for address in mid_frame {
            let Some(peer) = self.tenant(address) else { continue };
            peer.mid_frame_listed = false;
            if !peer.state.is_mid_frame() {
                continue;
            }
            if peer.active_ms + TICK_MS <= now_ms {
                peer.state.shrink(&pool);
            } else {
                peer.mid_frame_listed = true;
                self.mid_frame.push(address);
            }
        }
        if !self.shared.pool.starved() {
            return;
        }
        if !self.starved.is_empty() {
            // Who holds the memory may belong to another Processor, which sleeps.
            self.shared.pool.wake_all();
        }
        for slot in 0..self.peers.len() {
            let holds = |peer: &Peer| {
                // A small request behind one that the service keeps is no reason to close.
                let may_hold = peer.state.is_waiting_for_service()
                    && peer.state.ahead_bytes() <= BUFFER_BYTES_MIN;
                peer.state.holds_memory() && !may_hold && peer.active_ms + MEMORY_IDLE_MS <= now_ms
            };
            if self.peers[slot].as_ref().is_some_and(holds) {
                self.close(slot, CloseReason::Memory);
            }
        }
    }
}

/// When a connection was active last. The service takes its own time; that is not its idling.
fn last_active_ms(peer: &Peer, now_ms: u64) -> u64 {
    if peer.state.is_waiting_for_service() { now_ms } else { peer.active_ms }
}
