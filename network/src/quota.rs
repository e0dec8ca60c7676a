//! How many connections there may be, in all, on a listener and from one address, and how many a
//! second. The rules are pure ([`Quota`]); [`ConnectionQuota`] shares them between threads.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::acceptor::AcceptorHandle;
use crate::config::ServerConfig;
use crate::rate::RateLimit;

/// Connections counted against the limits. Performs no I/O and reads no clock.
#[derive(Debug)]
pub(crate) struct Quota {
    connections_max: usize,
    per_ip_max: usize,
    per_ip_overrides: HashMap<IpAddr, usize>,
    rate: RateLimit,
    listeners: Vec<Listener>,
    /// The listener that the limit on all connections does not hold back.
    protected: Option<usize>,
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
    /// Somebody waits for a connection to end.
    waited_for: bool,
}

#[derive(Debug)]
struct Listener {
    connections_max: usize,
    rate: RateLimit,
    connections: usize,
}

/// When the next connection of a listener may be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Now,
    /// Then, ns since the server's start: the rate is used up.
    At(u64),
    /// When one ends or a limit changes.
    WhenOneEnds,
}

/// One address has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyFromIp;

impl Quota {
    fn new(config: &ServerConfig) -> Quota {
        let listener = |at: usize| Listener {
            connections_max: *config.listener_connections_max.get(at).unwrap_or(&usize::MAX),
            rate: RateLimit::new(*config.listener_connection_rate_max.get(at).unwrap_or(&u32::MAX)),
            connections: 0,
        };
        // Alone, a listener has nobody to be protected from.
        let protected = config.inter_broker_listener.filter(|_| 1 < config.listeners.len());
        Quota {
            connections_max: config.connections_max,
            per_ip_max: config.connections_per_ip_max,
            per_ip_overrides: canonical(&config.connections_per_ip_overrides),
            rate: RateLimit::new(config.connection_rate_max),
            listeners: (0..config.listeners.len()).map(listener).collect(),
            protected,
            total: 0,
            by_ip: HashMap::new(),
            waited_for: false,
        }
    }

    pub(crate) fn set_connections_max(&mut self, connections_max: usize) {
        self.connections_max = connections_max;
    }

    pub(crate) fn set_per_ip_max(&mut self, connections_max: usize) {
        self.per_ip_max = connections_max;
    }

    pub(crate) fn set_per_ip_overrides(&mut self, overrides: &HashMap<IpAddr, usize>) {
        self.per_ip_overrides = canonical(overrides);
    }

    pub(crate) fn set_rate(&mut self, per_second: u32, now_ns: u64) {
        self.rate.set(per_second, now_ns);
    }

    /// A listener that there is not has no limits.
    pub(crate) fn set_listener_connections_max(&mut self, listener: usize, max: usize) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.connections_max = max;
        }
    }

    /// A listener that there is not has no limits.
    pub(crate) fn set_listener_rate(&mut self, listener: usize, per_second: u32, now_ns: u64) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.rate.set(per_second, now_ns);
        }
    }

    /// Whether a connection may be accepted at `listener` now.
    fn admission(&mut self, listener: usize, now_ns: u64) -> Admission {
        let protected = self.protected == Some(listener);
        let Listener { connections_max, rate, connections } = &self.listeners[listener];
        if *connections_max <= *connections || !protected && self.connections_max <= self.total {
            self.waited_for = true;
            return Admission::WhenOneEnds;
        }
        let next_ns = match (rate.next_ns(now_ns), self.rate.next_ns(now_ns)) {
            (own, _) if protected => own,
            (own, all) => own.max(all),
        };
        if next_ns <= now_ns { Admission::Now } else { Admission::At(next_ns) }
    }

    /// Counts an accepted connection, or says that its address has too many.
    fn enter(&mut self, ip: IpAddr, listener: usize, now_ns: u64) -> Result<(), TooManyFromIp> {
        if self.protected != Some(listener) {
            self.rate.count(now_ns);
        }
        let own = &mut self.listeners[listener];
        own.rate.count(now_ns);
        let max = *self.per_ip_overrides.get(&ip).unwrap_or(&self.per_ip_max);
        if max <= self.by_ip.get(&ip).copied().unwrap_or(0) {
            return Err(TooManyFromIp);
        }
        own.connections += 1;
        self.total += 1;
        *self.by_ip.entry(ip).or_default() += 1;
        Ok(())
    }

    fn leave(&mut self, ip: IpAddr, listener: usize) {
        self.total -= 1;
        self.listeners[listener].connections -= 1;
        if let Some(count) = self.by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.by_ip.remove(&ip);
            }
        }
    }

    /// How many connections there are beyond the limit on all.
    fn excess(&self) -> usize {
        self.total.saturating_sub(self.connections_max)
    }
}

/// The same host by way of a dual-stack listener counts as the same host.
fn canonical(overrides: &HashMap<IpAddr, usize>) -> HashMap<IpAddr, usize> {
    overrides.iter().map(|(ip, max)| (ip.to_canonical(), *max)).collect()
}

/// The quota of a server. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionQuota {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    quota: Mutex<Quota>,
    /// [`Quota::excess`], to be looked at often.
    excess: AtomicUsize,
    acceptor: Arc<AcceptorHandle>,
    start: Instant,
}

/// One counted connection; given back on drop.
#[derive(Debug)]
pub(crate) struct QuotaSlot {
    ip: IpAddr,
    listener: usize,
    given_back: bool,
    shared: Arc<Shared>,
}

impl ConnectionQuota {
    /// A quota that wakes the Acceptor when it waits for a connection to end and one does.
    pub(crate) fn new(config: &ServerConfig, acceptor: Arc<AcceptorHandle>) -> ConnectionQuota {
        let (quota, start) = (Mutex::new(Quota::new(config)), Instant::now());
        let excess = AtomicUsize::new(0);
        ConnectionQuota { shared: Arc::new(Shared { quota, excess, acceptor, start }) }
    }

    /// The clock of this quota, ns.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.shared.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// See [`Quota::admission`].
    pub(crate) fn admission(&self, listener: usize) -> Admission {
        self.shared.lock().admission(listener, self.now_ns())
    }

    /// Counts a connection from `ip`, in its canonical form, that was accepted at `listener`.
    pub(crate) fn enter(&self, ip: IpAddr, listener: usize) -> Result<QuotaSlot, TooManyFromIp> {
        let mut quota = self.shared.lock();
        quota.enter(ip, listener, self.now_ns())?;
        self.shared.note_excess(&quota);
        let shared = Arc::clone(&self.shared);
        Ok(QuotaSlot { ip, listener, given_back: false, shared })
    }

    /// Changes limits; `change` gets the time on the quota's clock, ns.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Quota, u64)) {
        let mut quota = self.shared.lock();
        change(&mut quota, self.now_ns());
        self.shared.note_excess(&quota);
        drop(quota);
        self.shared.acceptor.wake();
    }

    /// How many connections are to be closed to keep the limit on all. Cheap.
    pub(crate) fn excess(&self) -> usize {
        self.shared.excess.load(Ordering::Relaxed)
    }

    /// Whether connections of this listener are not to be closed for others.
    pub(crate) fn protects(&self, listener: usize) -> bool {
        self.shared.lock().protected == Some(listener)
    }
}

impl QuotaSlot {
    /// Gives the slot back if there are too many connections: then this one is to be closed.
    pub(crate) fn yield_to_limit(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut quota = shared.lock();
        let yields = !self.given_back && 0 < quota.excess();
        if yields {
            self.given_back = true;
            quota.leave(self.ip, self.listener);
            shared.note_excess(&quota);
        }
        yields
    }
}

impl Drop for QuotaSlot {
    fn drop(&mut self) {
        if self.given_back {
            return;
        }
        let mut quota = self.shared.lock();
        quota.leave(self.ip, self.listener);
        self.shared.note_excess(&quota);
        let waited_for = std::mem::take(&mut quota.waited_for);
        drop(quota);
        if waited_for {
            self.shared.acceptor.wake();
        }
    }
}

impl Shared {
    fn note_excess(&self, quota: &Quota) {
        self.excess.store(quota.excess(), Ordering::Relaxed);
    }

    /// A poisoned lock guards counts that are whole between any two calls.
    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse::<IpAddr>().unwrap().to_canonical()
    }

    fn quota(listeners: usize, config: ServerConfig) -> Quota {
        let listeners = vec!["127.0.0.1:0".parse().unwrap(); listeners];
        Quota::new(&ServerConfig { listeners, ..config })
    }

    #[test]
    fn limits_and_their_exceptions() {
        let mut quota = quota(
            1,
            ServerConfig {
                connections_max: 4,
                connections_per_ip_max: 1,
                connections_per_ip_overrides: HashMap::from([(ip("127.0.0.2"), 2)]),
                ..ServerConfig::default()
            },
        );
        let enter = |quota: &mut Quota, text| quota.enter(ip(text), 0, 0);
        assert_eq!(enter(&mut quota, "127.0.0.1"), Ok(()));
        assert_eq!(enter(&mut quota, "::ffff:127.0.0.1"), Err(TooManyFromIp));
        assert_eq!(enter(&mut quota, "127.0.0.2"), Ok(()));
        assert_eq!(enter(&mut quota, "127.0.0.2"), Ok(()));
        assert_eq!(enter(&mut quota, "127.0.0.2"), Err(TooManyFromIp));
        quota.leave(ip("127.0.0.1"), 0);
        assert_eq!(enter(&mut quota, "127.0.0.1"), Ok(()));
        assert_eq!(quota.admission(0, 0), Admission::Now);
        assert_eq!(enter(&mut quota, "127.0.0.3"), Ok(()));
        assert_eq!(quota.admission(0, 0), Admission::WhenOneEnds);
        quota.leave(ip("127.0.0.3"), 0);
        assert_eq!(quota.admission(0, 0), Admission::Now);
        quota.set_per_ip_overrides(&HashMap::from([(ip("127.0.0.1"), 2)]));
        assert_eq!(enter(&mut quota, "127.0.0.1"), Ok(()));
        quota.set_connections_max(3);
        assert_eq!((quota.excess(), quota.admission(0, 0)), (1, Admission::WhenOneEnds));
        quota.set_connections_max(5);
        assert_eq!((quota.excess(), quota.admission(0, 0)), (0, Admission::Now));
    }

    #[test]
    fn listeners_have_limits_of_their_own_and_one_is_protected() {
        let mut quota = quota(
            3,
            ServerConfig {
                connections_max: 2,
                listener_connections_max: vec![1],
                inter_broker_listener: Some(2),
                ..ServerConfig::default()
            },
        );
        let of_all = |quota: &mut Quota| [0, 1, 2].map(|at| quota.admission(at, 0));
        assert_eq!(quota.enter(ip("127.0.0.1"), 0, 0), Ok(()));
        assert_eq!(of_all(&mut quota), [Admission::WhenOneEnds, Admission::Now, Admission::Now]);
        assert_eq!(quota.enter(ip("127.0.0.1"), 1, 0), Ok(()));
        let full = Admission::WhenOneEnds;
        assert_eq!(of_all(&mut quota), [full, full, Admission::Now]);
        assert_eq!(quota.enter(ip("127.0.0.1"), 2, 0), Ok(()));
        assert_eq!(quota.excess(), 1);
        quota.set_listener_connections_max(2, 1);
        quota.set_listener_connections_max(9, 1);
        assert_eq!(quota.admission(2, 0), full);
    }

    #[test]
    fn the_slower_rate_counts() {
        let mut quota = quota(
            2,
            ServerConfig {
                connection_rate_max: 2,
                listener_connection_rate_max: vec![1],
                ..ServerConfig::default()
            },
        );
        let second = 1_000_000_000;
        (0..10).for_each(|_| quota.enter(ip("127.0.0.1"), 0, 0).unwrap());
        assert_eq!(quota.admission(0, 0), Admission::At(second));
        assert_eq!(quota.admission(1, 0), Admission::Now);
        (0..10).for_each(|_| quota.enter(ip("127.0.0.1"), 1, 0).unwrap());
        assert_eq!(quota.admission(1, 0), Admission::At(second / 2));
        quota.set_rate(i32::MAX as u32, 0);
        assert_eq!(quota.admission(1, 0), Admission::Now);
        quota.set_listener_rate(0, 10, 0);
        assert_eq!(quota.admission(0, 0), Admission::Now);
    }
}
