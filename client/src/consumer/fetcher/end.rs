//! The end of all fetching: brokers are told to forget their sessions (KIP-227).

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::{Broker, Fetcher, request};
use crate::consumer::shared::Shared;
use crate::error::Error;
use crate::net::{Net, Node, Outgoing, Readiness, Tag, Until, Versions};

/// How long the answers are waited for. A session that stays costs the broker a place in its cache
/// until another one needs it: that is not worth more.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// How far the end is.
#[derive(Default)]
pub(super) struct End {
    until: Option<Instant>,
    sent: HashSet<Tag>,
}

impl End {
    pub(super) fn answered(&mut self, tag: Tag) {
        self.sent.remove(&tag);
    }
}

impl Fetcher {
    /// Ends the sessions with brokers that can be reached. `None` when that is done, or is not
    /// waited for any longer.
    pub(in crate::consumer) fn close(&mut self, net: &mut dyn Net, now: Instant) -> Option<Until> {
        let until = *self.end.until.get_or_insert(now + WAIT_MAX);
        let mut is_connecting = false;
        for (&id, broker) in self.brokers.iter_mut().filter(|(_, of)| of.session.is_open()) {
            match way(id, broker, net, now) {
                Readiness::Connecting => is_connecting = true,
                Readiness::NotBefore(_) => drop(broker.session.close()),
                Readiness::Ready(versions) => match last(&self.shared, broker, &versions) {
                    Ok(request) => {
                        let tag = net.send(node(id, broker), request, now);
                        self.end.sent.insert(tag);
                    }
                    Err(error) => log::debug!("broker {id}: the fetch session stays: {error}"),
                },
            }
        }
        let is_done = !is_connecting && self.end.sent.is_empty();
        (!is_done && now < until).then_some(Until::Time(until))
    }
}

/// Whether a broker can be told now.
fn way(id: i32, broker: &Broker, net: &mut dyn Net, now: Instant) -> Readiness {
    match net.is_ready(Node::Broker(id)) {
        true => net.ready(node(id, broker), now),
        false => Readiness::NotBefore(now),
    }
}

/// The connection to tell it on: behind a fetch it would be told when that is answered.
fn node(id: i32, broker: &Broker) -> Node {
    match broker.is_asked {
        true => Node::Coordinator(id),
        false => Node::Broker(id),
    }
}

fn last(shared: &Shared, broker: &mut Broker, versions: &Versions) -> Result<Outgoing, Error> {
    let plan = broker.session.close();
    let version = request::version(&BTreeMap::new(), versions)?;
    request::fetch(&plan, version, &shared.settings)
}
