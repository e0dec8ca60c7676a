//! Retention: old segments go.

use crate::node::Node;

/// A retention pass over all logs that are not compacted.
pub(crate) fn retain(node: &Node) {
    let now = node.logs.trusted_now(node.clock.moment());
    let report = node.logs.delete_old_segments(now);
    if report.logs_spared > 0 {
        log::warn!(
            "retention: {} segments of {} logs would be too old if the wall clock were right, which \
             has jumped {} s ahead; they are kept",
            report.expired.spared.segments,
            report.logs_spared,
            now.doubted_ms / 1000
        );
    }
    for error in report.errors {
        node.failures.say(log::Level::Error, format_args!("retention: {error}"));
    }
}
