//! What all threads of a server share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::acceptor::AcceptorHandle;
use crate::channel::{Call, RequestChannel};
use crate::config::{InlinePolicy, ServerConfig};
use crate::counters::Counters;
use crate::pool::FramePool;
use crate::quota::ConnectionQuota;
use crate::roster::Roster;
use crate::service::Service;

pub(crate) struct Shared {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) channel: RequestChannel,
    pub(crate) pool: FramePool,
    pub(crate) quota: ConnectionQuota,
    pub(crate) roster: Roster,
    pub(crate) counters: Arc<Counters>,
    pub(crate) inline: InlinePolicy,
    frame_bytes_max: AtomicU32,
    idle_ms: AtomicU64,
    start: Instant,
}

impl Shared {
    pub(crate) fn new(
        config: &ServerConfig,
        service: Arc<dyn Service>,
        acceptor: &Arc<AcceptorHandle>,
    ) -> Shared {
        let counters = Arc::new(Counters::default());
        let shared = Shared {
            service,
            channel: RequestChannel::new(config.requests_max, Arc::clone(&counters)),
            pool: FramePool::new(config.request_bytes_max),
            quota: ConnectionQuota::new(config, Arc::clone(acceptor)),
            roster: Roster::default(),
            counters,
            inline: config.inline,
            frame_bytes_max: AtomicU32::new(0),
            idle_ms: AtomicU64::new(0),
            start: Instant::now(),
        };
        shared.set_frame_bytes_max(config.frame_bytes_max);
        shared.set_idle_max(config.idle_max);
        shared
    }

    /// Milliseconds since the server's start.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn frame_bytes_max(&self) -> u32 {
        self.frame_bytes_max.load(Ordering::Relaxed)
    }

    pub(crate) fn set_frame_bytes_max(&self, bytes: u32) {
        self.frame_bytes_max.store(bytes.min(i32::MAX as u32), Ordering::Relaxed);
    }

    pub(crate) fn idle_ms(&self) -> u64 {
        self.idle_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_idle_max(&self, idle_max: Duration) {
        let idle_ms = u64::try_from(idle_max.as_millis()).unwrap_or(u64::MAX);
        self.idle_ms.store(idle_ms, Ordering::Relaxed);
    }

    /// Runs the service. A panic costs the connection, whose reply is dropped, and no more.
    pub(crate) fn serve(&self, (request, reply): Call) {
        self.counters.requests.one();
        let call = AssertUnwindSafe(|| self.service.call(request, reply));
        if catch_unwind(call).is_err() {
            self.counters.panics.one();
        }
    }
}
