//! Brokers that were asked.

use super::super::facts::Facts;
use super::super::finding::{Finding, Findings};

/// An answer on a network of one's own takes less.
const SLOW_MS: u128 = 1000;

pub(super) fn judge(facts: &Facts, all: &mut Vec<Finding>) {
    let Some(cluster) = &facts.cluster else { return };
    let mut findings = Findings::of("cluster", all);
    let bootstrap = &cluster.bootstrap;
    let brokers = match &cluster.answer {
        Ok(brokers) => brokers,
        Err(why) => {
            let remedy = "is a broker running there, and does a firewall lie between?";
            findings.error(format!("{bootstrap}: {why}"), remedy);
            return;
        }
    };
    let id = brokers.cluster_id.as_deref().unwrap_or("without an id");
    let all = brokers.brokers.join(", ");
    findings.good(format!("cluster {id} at {bootstrap}: {all}"));
    let took = brokers.took.as_millis();
    if took > SLOW_MS {
        let remedy = "look at the network and at the broker's load";
        findings.warning(format!("{bootstrap} took {took} ms to answer"), remedy);
    }
    if !brokers.has_controller {
        findings.error(
            "the cluster has no controller: topics can be neither made nor changed".to_owned(),
            "look at the logs of its controllers",
        );
    }
    if let [first, ..] = &brokers.leaderless[..] {
        let count = brokers.leaderless.len();
        findings.error(
            format!("partitions without a leader: {count}, such as {first}"),
            "start the brokers that have their replicas",
        );
    }
    if let [first, ..] = &brokers.under_replicated[..] {
        let count = brokers.under_replicated.len();
        findings.warning(
            format!("partitions with replicas that are not in sync: {count}, such as {first}"),
            "see which broker is behind: ottlactl topics describe",
        );
    }
}
