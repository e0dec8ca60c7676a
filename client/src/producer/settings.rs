//! What a producer does, out of its settings.

use std::time::Duration;

use ottla_protocol::record::compression::{Codec, Compression};

use super::queue::BatchSettings;
use crate::chance::Backoff;
use crate::config::Settings;
use crate::error::Error;

/// Kafka's brokers know as many batches of a producer again.
const IN_FLIGHT_MAX_IDEMPOTENT: usize = 5;

/// What the settings of a producer say.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProducerSettings {
    pub(super) batch: BatchSettings,
    /// As requests have it: -1, 0 or 1.
    pub(super) acks: i16,
    pub(super) memory_bytes: usize,
    pub(super) block_max: Duration,
    pub(super) request_bytes_max: usize,
    pub(super) delivery_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) retries: u32,
    pub(super) retry_backoff: Backoff,
    pub(super) in_flight_max: usize,
    pub(super) is_idempotent: bool,
    pub(super) ignores_keys: bool,
    pub(super) is_adaptive: bool,
    pub(super) availability_timeout: Duration,
}

impl ProducerSettings {
    /// # Errors
    /// Settings that contradict each other.
    pub(super) fn new(settings: &Settings<'_>, retry_backoff: Backoff) -> Result<Self, Error> {
        let acks = match settings.text("acks") {
            Some("0") => 0,
            Some("1") => 1,
            _ => -1,
        };
        let in_flight_max = settings.size("max.in.flight.requests.per.connection");
        let linger = settings.duration("linger.ms");
        let delivery_timeout = settings.duration("delivery.timeout.ms");
        let request_timeout = settings.duration("request.timeout.ms");
        let retries = settings.number("retries");
        let wanted = settings.flag("enable.idempotence");
        let is_set = settings.is_set("enable.idempotence");
        let mut is_idempotent = wanted;
        for (is_against, name, wrong) in [
            (acks != -1, "acks", "enable.idempotence=true needs acks=all"),
            (retries == 0, "retries", "enable.idempotence=true needs retries"),
            (
                in_flight_max > IN_FLIGHT_MAX_IDEMPOTENT,
                "max.in.flight.requests.per.connection",
                "enable.idempotence=true allows 5 at most",
            ),
        ] {
            if is_against && wanted {
                if is_set {
                    return Err(settings.error(name, wrong));
                }
                // As in Kafka: the default gives way to what was asked for.
                is_idempotent = false;
            }
        }
        if delivery_timeout < linger + request_timeout && settings.is_set("delivery.timeout.ms") {
            let wrong = "less than linger.ms and request.timeout.ms together";
            return Err(settings.error("delivery.timeout.ms", wrong));
        }
        Ok(Self {
            batch: BatchSettings {
                bytes_max: settings.size("batch.size").max(1),
                linger,
                compression: compression(settings)?,
            },
            acks,
            memory_bytes: settings.size("buffer.memory"),
            block_max: settings.duration("max.block.ms"),
            request_bytes_max: settings.size("max.request.size"),
            delivery_timeout: delivery_timeout.max(linger + request_timeout),
            request_timeout,
            retries: u32::try_from(retries).unwrap_or(u32::MAX),
            retry_backoff,
            in_flight_max,
            is_idempotent,
            ignores_keys: settings.flag("partitioner.ignore.keys"),
            is_adaptive: settings.flag("partitioner.adaptive.partitioning.enable"),
            availability_timeout: settings.duration("partitioner.availability.timeout.ms"),
        })
    }
}

fn compression(settings: &Settings<'_>) -> Result<Compression, Error> {
    let (codec, level) = match settings.text("compression.type") {
        Some("gzip") => (Codec::Gzip, Some("compression.gzip.level")),
        Some("snappy") => (Codec::Snappy, None),
        Some("lz4") => (Codec::Lz4, Some("compression.lz4.level")),
        Some("zstd") => (Codec::Zstd, Some("compression.zstd.level")),
        _ => (Codec::None, None),
    };
    let Some(name) = level else { return Ok(Compression::new(codec)) };
    let level = i32::try_from(settings.number(name)).unwrap_or(i32::MAX);
    if codec == Codec::Gzip && level == -1 {
        return Ok(Compression::new(codec));
    }
    Compression::with_level(codec, level)
        .map_err(|_| settings.error(name, "not a level that this codec has"))
}
