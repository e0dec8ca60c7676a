//! Brokers and controllers: registrations and their changes.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// A broker's registration.
    struct RegisterBrokerRecord<'a> [0..=4, flexible (0..)] {
        /// The broker's node id.
        broker_id: i32 [0..];
        /// Whether the broker comes from ZooKeeper. False in 4.x.
        is_migrating_zk_broker: bool [2..];
        /// Made up by the process at its start.
        incarnation_id: Uuid [0..];
        /// The broker's epoch: the offset of its registration.
        broker_epoch: i64 [0..];
        /// The node's endpoints.
        end_points: Vec<BrokerEndpoint<'a>> [0..];
        /// The features that the node can run with.
        features: Vec<BrokerFeature<'a>> [0..];
        /// The node's rack; null when it has none.
        rack: Option<&'a str> [0..] = Some("");
        /// Whether the broker is out of use.
        fenced: bool [0..] = true;
        /// Whether the broker is about to stop.
        in_controlled_shutdown: bool [1..];
    } tagged {
        /// The ids of the broker's working log directories.
        0 => log_dirs: Vec<Uuid> [3..];
        /// The ids of log directories that take no new partitions.
        1 => cordoned_log_dirs: Option<Vec<Uuid>> [4..];
    }

    /// Where the broker is.
    struct BrokerEndpoint<'a> {
        /// The listener's name.
        name: &'a str [0..];
        /// Where to connect: a host name or an address.
        host: &'a str [0..];
        /// Where to connect: the TCP port.
        port: u16 [0..];
        /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
        security_protocol: i16 [0..];
    }

    /// A feature that the broker can run with.
    struct BrokerFeature<'a> {
        /// The feature.
        name: &'a str [0..];
        /// The lowest level that the node can run at.
        min_supported_version: i16 [0..];
        /// The highest level that the node can run at.
        max_supported_version: i16 [0..];
    }

    /// Forgets a broker.
    struct UnregisterBrokerRecord [0..=0, flexible (0..)] {
        /// The broker's node id.
        broker_id: i32 [0..];
        /// The broker's epoch: the offset of its registration.
        broker_epoch: i64 [0..];
    }

    /// Takes a broker out of use.
    struct FenceBrokerRecord [0..=0, flexible (0..)] {
        /// The broker's node id.
        id: i32 [0..];
        /// The broker's epoch.
        epoch: i64 [0..];
    }

    /// Takes a broker into use again.
    struct UnfenceBrokerRecord [0..=0, flexible (0..)] {
        /// The broker's node id.
        id: i32 [0..];
        /// The broker's epoch.
        epoch: i64 [0..];
    }

    /// A change of a broker's registration.
    struct BrokerRegistrationChangeRecord [0..=3, flexible (0..)] {
        /// The broker's node id.
        broker_id: i32 [0..];
        /// The broker's epoch: the offset of its registration.
        broker_epoch: i64 [0..];
    } tagged {
        /// 1 to fence the broker, -1 to unfence it, 0 for no change.
        0 => fenced: i8 [0..];
        /// 1 when the broker is about to stop, 0 for no change.
        1 => in_controlled_shutdown: i8 [1..];
        /// The ids of the broker's working log directories; empty for no change.
        2 => log_dirs: Vec<Uuid> [2..];
        /// The ids of log directories that take no new partitions; null for no change.
        3 => cordoned_log_dirs: Option<Vec<Uuid>> [3..];
    }

    /// A controller's registration.
    struct RegisterControllerRecord<'a> [0..=0, flexible (0..)] {
        /// The controller's node id.
        controller_id: i32 [0..];
        /// Made up by the process at its start.
        incarnation_id: Uuid [0..];
        /// Whether a migration away from ZooKeeper may start. False in 4.x.
        zk_migration_ready: bool [0..];
        /// The node's endpoints.
        end_points: Vec<ControllerEndpoint<'a>> [0..];
        /// The features that the node can run with.
        features: Vec<ControllerFeature<'a>> [0..];
    }

    /// Where the controller is.
    struct ControllerEndpoint<'a> {
        /// The listener's name.
        name: &'a str [0..];
        /// Where to connect: a host name or an address.
        host: &'a str [0..];
        /// Where to connect: the TCP port.
        port: u16 [0..];
        /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
        security_protocol: i16 [0..];
    }

    /// A feature that the controller can run with.
    struct ControllerFeature<'a> {
        /// The feature.
        name: &'a str [0..];
        /// The lowest level that the node can run at.
        min_supported_version: i16 [0..];
        /// The highest level that the node can run at.
        max_supported_version: i16 [0..];
    }
}
