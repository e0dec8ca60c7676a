//! The metadata log.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    String "metadata.log.dir" = null, Any, ReadOnly, Acts,
        "The directory of `__cluster_metadata-0`; the first log directory when null.";
    Int "metadata.log.segment.bytes" = "1073741824", AtLeast(8_388_608), ReadOnly, Acts,
        "Segment size of the metadata log.";
    Long "metadata.log.segment.ms" = "604800000", Any, ReadOnly, Acts,
        "Age at which a segment of the metadata log is closed.";
    Long "metadata.log.max.record.bytes.between.snapshots" =
        "20971520", AtLeast(1), ReadOnly, Acts,
        "Bytes of metadata records between two snapshots.";
    Long "metadata.log.max.snapshot.interval.ms" = "3600000", AtLeast(0), ReadOnly, Acts,
        "Longest time between two metadata snapshots; 0 for no limit.";
    Int "metadata.max.idle.interval.ms" = "500", AtLeast(0), ReadOnly, NoEffect,
        "How often an idle controller writes an empty record; 0 for never.";
    Long "metadata.max.retention.bytes" = "104857600", Any, ReadOnly, Acts,
        "Bytes of metadata log and snapshots that are kept.";
    Long "metadata.max.retention.ms" = "604800000", Any, ReadOnly, Acts,
        "How long metadata log and snapshots are kept.";
    Long "internal.metadata.delete.delay.millis" = "60000", Any, ReadOnly, Acts,
        "How long a deleted metadata file keeps its data." [internal];
    Int "internal.metadata.log.segment.bytes" = null, Any, ReadOnly, NotYet,
        "Segment size of the metadata log without the lower bound, for tests." [internal];
    Int "internal.metadata.max.batch.size.in.bytes" = "8388608", Any, ReadOnly, NotYet,
        "The largest batch of metadata records." [internal];
};
