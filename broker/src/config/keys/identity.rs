//! Identity and roles.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    Int "node.id" = required, AtLeast(0), ReadOnly, Acts,
        "This node's number in the cluster, stored in `meta.properties` of each log directory.";
    Int "broker.id" = "-1", Any, ReadOnly, Acts,
        "The older name of `node.id`; when both are set they must agree.";
    List "process.roles" = required, NonEmptyListOf(&["broker", "controller"]), ReadOnly, Acts,
        "What this process is. Ottla runs as broker and controller in one process.";
    String "broker.rack" = null, Any, ReadOnly, Acts,
        "The rack that clients see in Metadata, free text.";
    List "controller.quorum.voters" = "", Voters, ReadOnly, NoEffect,
        "The controllers as id@host:port. This process is the only voter, so nothing is dialed.";
    List "controller.quorum.bootstrap.servers" = "", HostPorts, ReadOnly, NoEffect,
        "Addresses to find the controller quorum by; nothing is dialed on one node.";
    List "controller.listener.names" = required, NonEmptyList, ReadOnly, Acts,
        "Listeners that belong to the controller. They are checked and not bound.";
    Int "controller.quorum.append.linger.ms" = "25", AtLeast(0), ReadOnly, NoEffect,
        "How long the quorum's leader gathers metadata records before it writes them.";
    Bool "controller.quorum.auto.join.enable" = "false", Any, ReadOnly, NoEffect,
        "Whether a controller adds itself to the voters.";
    Int "controller.quorum.election.backoff.max.ms" = "1000", AtLeast(0), ReadOnly, NoEffect,
        "Longest wait before the next election after a lost one.";
    Int "controller.quorum.election.timeout.ms" = "1000", AtLeast(0), ReadOnly, NoEffect,
        "How long a candidate waits for votes.";
    Int "controller.quorum.fetch.max.bytes" = "1048576", AtLeast(1), ReadOnly, NoEffect,
        "Most bytes that a quorum follower asks for at once.";
    Int "controller.quorum.fetch.snapshot.max.bytes" = "1048576", AtLeast(1), ReadOnly, NoEffect,
        "Most bytes of a snapshot that a quorum follower asks for at once.";
    Int "controller.quorum.fetch.timeout.ms" = "2000", AtLeast(0), ReadOnly, NoEffect,
        "How long a quorum follower goes without its leader before it stands for election.";
    Int "controller.quorum.request.timeout.ms" = "2000", AtLeast(0), ReadOnly, NoEffect,
        "How long a request within the quorum may take.";
    Int "controller.quorum.retry.backoff.ms" = "20", AtLeast(0), ReadOnly, NoEffect,
        "Wait between tries of a request within the quorum.";
    Int "controller.socket.timeout.ms" = "30000", Any, ReadOnly, NoEffect,
        "How long a broker waits for the controller's answer.";
    Long "controller.performance.always.log.threshold.ms" =
        "2000", AtLeast(0), ReadOnly, NoEffect,
        "Controller events slower than this are logged one by one." [internal];
    Long "controller.performance.sample.period.ms" =
        "60000", AtLeast(100), ReadOnly, NoEffect,
        "How often the controller logs its event times." [internal];
    Int "broker.heartbeat.interval.ms" = "2000", Any, ReadOnly, NoEffect,
        "How often a broker tells the controller that it lives.";
    Int "broker.session.timeout.ms" = "9000", Any, ReadOnly, NoEffect,
        "How long the controller waits for a heartbeat before it fences a broker.";
    Int "initial.broker.registration.timeout.ms" = "60000", Any, ReadOnly, NoEffect,
        "How long a broker tries to register when it starts.";
    Long "server.max.startup.time.ms" =
        "9223372036854775807", AtLeast(0), ReadOnly, NoEffect,
        "Longest time that a start may take." [internal];
    Bool "controlled.shutdown.enable" = "true", Any, ReadOnly, NoEffect,
        "Whether a stopping broker first hands its partitions to others.";
    List "config.providers" = "", Any, ClusterWide, NotYet,
        "Providers of values; a value `${provider:...}` is refused, none can be asked.";
    Bool "unstable.api.versions.enable" = "false", Any, ReadOnly, NotYet,
        "Serve API versions that Kafka has not released yet." [internal];
    Bool "unstable.feature.versions.enable" = "false", Any, ReadOnly, NotYet,
        "Allow feature levels that Kafka has not released yet." [internal];
    Int "background.threads" = "10", AtLeast(1), ClusterWide, NoEffect,
        "Threads for odd jobs; Ottla sizes its own.";
    Class "create.topic.policy.class.name" = null, Any, ReadOnly, NotYet,
        "A class that may veto new topics.";
    Class "alter.config.policy.class.name" = null, Any, ReadOnly, NotYet,
        "A class that may veto changed configs.";
};
