//! The cluster and its brokers.

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::Admin;
use super::operations::{AclOperation, authorized};
use crate::cluster::Broker;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::session::Route;

/// More brokers than any cluster will have: an answer that names more is not believed, since many
/// calls ask each of them.
const BROKERS_MAX: usize = 100_000;

/// The cluster and its brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id.
    pub id: String,
    /// The broker to send changes to; `None` when there is none.
    pub controller: Option<i32>,
    /// The brokers, by their ids.
    pub brokers: Vec<Broker>,
    /// Brokers that are registered and not in use, by their ids; none are told before Kafka 4.0.
    pub fenced: Vec<Broker>,
    /// What this client may do to the cluster; `None` when the broker does not tell.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

impl Admin {
    /// The cluster and its brokers.
    ///
    /// # Errors
    /// No broker answered.
    pub fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let build = |version, timeout| {
            let request = DescribeClusterRequest {
                include_cluster_authorized_operations: true,
                include_fenced_brokers: version >= 2,
                ..Default::default()
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: DescribeClusterResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let count = read.brokers.len();
            if count > BROKERS_MAX {
                let detail = format!("DescribeCluster: {count} brokers");
                return Err(Error::new(ErrorKind::Malformed, detail));
            }
            let broker = |told: &DescribeClusterBroker<'_>| Broker {
                id: told.broker_id,
                host: told.host.to_owned(),
                port: u16::try_from(told.port).unwrap_or(0),
                rack: told.rack.map(str::to_owned),
            };
            let brokers = |is_fenced: bool| {
                let told = read.brokers.iter().filter(|told| told.is_fenced == is_fenced);
                let mut brokers: Vec<Broker> = told.map(broker).collect();
                brokers.sort_by_key(|broker| broker.id);
                brokers
            };
            Ok(ClusterDescription {
                id: read.cluster_id.to_owned(),
                controller: (read.controller_id >= 0).then_some(read.controller_id),
                brokers: brokers(false),
                fenced: brokers(true),
                authorized_operations: authorized(read.cluster_authorized_operations),
            })
        };
        self.remote.ask(Route::Any, (ApiKey::DescribeCluster, 0..=2), build, read).wait()
    }
}
