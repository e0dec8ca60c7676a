//! Quotas, metrics and telemetry.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    Int "quota.window.num" = "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that client quotas remember.";
    Int "quota.window.size.seconds" = "1", AtLeast(1), ReadOnly, NotYet,
        "Length of a window of client quotas.";
    Int "controller.quota.window.num" = "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that the quota of topic changes remembers.";
    Int "controller.quota.window.size.seconds" = "1", AtLeast(1), ReadOnly, NotYet,
        "Length of a window of the quota of topic changes.";
    Class "client.quota.callback.class" = null, Any, ReadOnly, NotYet,
        "A class that decides quotas.";
    List "metric.reporters" =
        "org.apache.kafka.common.metrics.JmxReporter", Any, ClusterWide, NoEffect,
        "Classes that publish metrics in a JVM.";
    Int "metrics.num.samples" = "2", AtLeast(1), ReadOnly, NoEffect,
        "Samples that a metric remembers.";
    String "metrics.recording.level" = "INFO", Any, ReadOnly, NoEffect,
        "How detailed metrics are: INFO, DEBUG or TRACE.";
    Long "metrics.sample.window.ms" = "30000", AtLeast(1), ReadOnly, NoEffect,
        "Length of a metric's sample.";
    Int "kafka.metrics.polling.interval.secs" = "10", AtLeast(1), ReadOnly, NoEffect,
        "How often the older metrics reporters run.";
    List "kafka.metrics.reporters" = "", Any, ReadOnly, NoEffect,
        "Classes of the older metrics reporters.";
    Int "telemetry.max.bytes" = "1048576", AtLeast(1), ReadOnly, NotYet,
        "The largest push of client metrics.";
};
