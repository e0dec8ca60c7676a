//! The cluster and its brokers.

use std::collections::BTreeMap;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};

use super::Admin;
use crate::cluster::Broker;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::session::Route;

/// The cluster and its brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub id: String,
    /// The broker to send changes to; `None` when there is none.
    pub controller: Option<i32>,
    /// The brokers, by their ids.
    pub brokers: Vec<Broker>,
}

impl Admin {
    /// The cluster and its brokers.
    ///
    /// # Errors
    /// No broker answered.
    pub fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let build =
            |version, timeout| Outgoing::new(&DescribeClusterRequest::default(), version, timeout);
        let read = |answer: &Answer| {
            let read: DescribeClusterResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let mut brokers: Vec<Broker> = read
                .brokers
                .iter()
                .map(|broker| Broker {
                    id: broker.broker_id,
                    host: broker.host.to_owned(),
                    port: u16::try_from(broker.port).unwrap_or(0),
                    rack: broker.rack.map(str::to_owned),
                })
                .collect();
            brokers.sort_by_key(|broker| broker.id);
            Ok(ClusterDescription {
                id: read.cluster_id.to_owned(),
                controller: (read.controller_id >= 0).then_some(read.controller_id),
                brokers,
            })
        };
        self.remote.ask(Route::Any, (ApiKey::DescribeCluster, 0..=2), build, read).wait()
    }

    /// Of these brokers the ones that the cluster does not have, and what to say of them: to wait
    /// for them makes no sense.
    pub(super) fn absent(&self, brokers: &[i32]) -> Result<BTreeMap<i32, Error>, Error> {
        if brokers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let there: Vec<i32> = self.describe_cluster()?.brokers.iter().map(|of| of.id).collect();
        let ids = || there.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let error = |id: &i32| {
            let detail = format!("the cluster has no broker {id}; it has {}", ids());
            (*id, Error::new(ErrorKind::Usage, detail))
        };
        Ok(brokers.iter().filter(|id| !there.contains(id)).map(error).collect())
    }
}
