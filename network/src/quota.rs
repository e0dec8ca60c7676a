//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::ServerConfig;
use crate::counters::CloseReason;

/// Counts connections against the limits.
#[derive(Debug)]
pub(crate) struct ConnectionQuota {
    connections_max: usize,
    per_ip_max: usize,
    per_ip_overrides: HashMap<IpAddr, usize>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// One counted connection; given back on drop.
#[derive(Debug)]
pub(crate) struct QuotaSlot {
    ip: IpAddr,
    counts: Arc<Mutex<Counts>>,
}

impl ConnectionQuota {
    pub(crate) fn new(config: &ServerConfig) -> ConnectionQuota {
        let overrides = config.connections_per_ip_overrides.iter();
        ConnectionQuota {
            connections_max: config.connections_max,
            per_ip_max: config.connections_per_ip_max,
            per_ip_overrides: overrides.map(|(ip, max)| (ip.to_canonical(), *max)).collect(),
            counts: Arc::default(),
        }
    }

    /// Counts a connection from `ip`, or says which limit forbids it.
    pub(crate) fn enter(&self, ip: IpAddr) -> Result<QuotaSlot, CloseReason> {
        // The same host by way of a dual-stack listener counts as the same host.
        let ip = ip.to_canonical();
        let per_ip_max = *self.per_ip_overrides.get(&ip).unwrap_or(&self.per_ip_max);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.connections_max {
            return Err(CloseReason::ConnectionsMax);
        }
        if counts.by_ip.get(&ip).copied().unwrap_or(0) >= per_ip_max {
            return Err(CloseReason::ConnectionsPerIpMax);
        }
        counts.total += 1;
        *counts.by_ip.entry(ip).or_default() += 1;
        Ok(QuotaSlot { ip, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for QuotaSlot {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(count) = counts.by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_their_exceptions() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let quota = ConnectionQuota::new(&ServerConfig {
            connections_max: 4,
            connections_per_ip_max: 1,
            connections_per_ip_overrides: HashMap::from([(ip("127.0.0.2"), 2)]),
            ..ServerConfig::default()
        });
        let one = quota.enter(ip("127.0.0.1")).unwrap();
        assert_eq!(
            quota.enter(ip("::ffff:127.0.0.1")).err(),
            Some(CloseReason::ConnectionsPerIpMax)
        );
        let _two = [quota.enter(ip("127.0.0.2")).unwrap(), quota.enter(ip("127.0.0.2")).unwrap()];
        assert_eq!(quota.enter(ip("127.0.0.2")).err(), Some(CloseReason::ConnectionsPerIpMax));
        drop(one);
        let _again = quota.enter(ip("127.0.0.1")).unwrap();
        let _four = quota.enter(ip("127.0.0.3")).unwrap();
        assert_eq!(quota.enter(ip("127.0.0.4")).err(), Some(CloseReason::ConnectionsMax));
    }
}
