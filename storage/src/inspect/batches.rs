//! The batches of a `.log` file, from their headers.

use std::io;

use ottla_protocol::record::batch::{
    BATCH_HEADER_BYTES, BatchHeader, CRC_COVERS_FROM, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2,
    TimestampType,
};
use ottla_protocol::record::compression::Codec;

use super::legacy::{self, Legacy};
use super::{Damage, RecordsOf, Source};

/// Bytes of a batch up to its magic, which all formats share.
const HEADER_UP_TO_MAGIC_BYTES: u64 = 17;
/// The least that a batch may announce: a message of magic 0 without key and value.
const BATCH_LENGTH_MIN: i32 = 14;

/// The batches of a file, one behind the other. Ends at a batch that is cut short; an error ends
/// it too.
pub struct FileBatches<'a, S: Source + ?Sized> {
    source: &'a S,
    name: &'a str,
    position: u64,
    end: u64,
}

/// A batch in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileBatch {
    /// Where it begins, bytes.
    pub position: u64,
    /// All of it, bytes.
    pub size: u64,
    /// The offset in front of it: its first record's, or of magic 0 and 1 its last one's.
    pub offset: i64,
    /// The format: below 2 a message or a wrapper around compressed ones.
    pub magic: i8,
}

/// What a batch's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFacts {
    /// What only batches of magic 2 say.
    pub format: Format,
    /// The offset of the last record.
    pub last_offset: i64,
    /// Whose clock the timestamps are of; `None` for magic 0, which has none.
    pub timestamp_type: Option<TimestampType>,
    /// The largest timestamp, ms; -1 for none.
    pub max_timestamp: i64,
    /// The codec's number, 0 to 7; above 4 there is none.
    pub codec_id: u8,
    /// The stored checksum.
    pub crc: u32,
}

/// What batches of one format say and the other do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Magic 0 or 1.
    Legacy,
    /// Magic 2, and what Kafka reads like it.
    V2 {
        /// How many records follow, as announced.
        count: i32,
        /// The first record's sequence, -1 for none.
        base_sequence: i32,
        /// The last record's sequence, -1 for none.
        last_sequence: i32,
        /// The producer, -1 for none.
        producer_id: i64,
        /// The producer's epoch, -1 for none.
        producer_epoch: i16,
        /// The leader's epoch at the append.
        partition_leader_epoch: i32,
        /// Whether the batch belongs to a transaction.
        is_transactional: bool,
        /// Whether the batch holds control records.
        is_control: bool,
        /// When tombstones and markers in it may go, ms.
        delete_horizon_ms: Option<i64>,
    },
}

impl<'a, S: Source + ?Sized> FileBatches<'a, S> {
    /// Walks `source` from `position`, where a batch must begin, as if it ended at `end`. The name
    /// is for errors.
    pub fn new(source: &'a S, name: &'a str, position: u64, end: u64) -> Self {
        Self { source, name, position, end }
    }

    fn read(&mut self) -> Result<Option<FileBatch>, Damage> {
        let left = self.end.saturating_sub(self.position);
        if left <= HEADER_UP_TO_MAGIC_BYTES {
            return Ok(None);
        }
        let mut header = [0; HEADER_UP_TO_MAGIC_BYTES as usize];
        self.source.fill_at(&mut header, self.position)?;
        let [offset @ .., _, _, _, _, _, _, _, _, _] = header;
        let length = i32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        if length < BATCH_LENGTH_MIN {
            let file = self.name.to_owned();
            return Err(Damage::BatchLength { length, file, position: self.position });
        }
        let size = length as u64 + LOG_OVERHEAD_BYTES as u64;
        if size > left {
            return Ok(None);
        }
        let batch = FileBatch {
            position: self.position,
            size,
            offset: i64::from_be_bytes(offset),
            magic: header[MAGIC_AT] as i8,
        };
        self.position += size;
        Ok(Some(batch))
    }
}

impl<S: Source + ?Sized> Iterator for FileBatches<'_, S> {
    type Item = Result<FileBatch, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read();
        if !matches!(next, Ok(Some(_))) {
            self.end = 0;
        }
        next.transpose()
    }
}

impl FileBatch {
    /// Reads what the header says. The name is for errors.
    ///
    /// # Errors
    /// When the file ends in the header, or the magic is none.
    pub fn header<S: Source + ?Sized>(
        &self,
        source: &S,
        name: &str,
    ) -> Result<HeaderFacts, Damage> {
        if self.magic < MAGIC_V2 {
            let mut header = [0; legacy::HEADER_BYTES_MAX];
            let header = &mut header[..legacy::header_bytes(self.magic)?];
            source.fill_at(header, self.position)?;
            return Ok(Legacy::new(&header[LOG_OVERHEAD_BYTES..]).header(self.offset));
        }
        let mut header = [0; BATCH_HEADER_BYTES];
        // A batch may be shorter than its header; Kafka reads on into the next one.
        match source.fill_at(&mut header, self.position) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let (file, file_bytes) = (name.to_owned(), source.length()?);
                return Err(Damage::HeaderTruncated { position: self.position, file, file_bytes });
            }
            done => done?,
        }
        let view = BatchHeader::new(&header).expect("the array has a header's length");
        let attributes = view.attributes();
        Ok(HeaderFacts {
            format: Format::V2 {
                count: view.records_count(),
                base_sequence: view.base_sequence(),
                last_sequence: match view.base_sequence() {
                    -1 => -1,
                    base => java_sequence_after(base, view.last_offset_delta()),
                },
                producer_id: view.producer_id(),
                producer_epoch: view.producer_epoch(),
                partition_leader_epoch: view.partition_leader_epoch(),
                is_transactional: attributes.is_transactional(),
                is_control: attributes.is_control(),
                delete_horizon_ms: attributes.has_delete_horizon().then(|| view.base_timestamp()),
            },
            last_offset: view.last_offset(),
            timestamp_type: Some(attributes.timestamp_type()),
            max_timestamp: view.max_timestamp(),
            codec_id: attributes.codec_id(),
            crc: view.crc(),
        })
    }

    /// Reads the whole batch into memory.
    ///
    /// # Errors
    /// What the source says.
    pub fn load<S: Source + ?Sized>(&self, source: &S) -> Result<Vec<u8>, Damage> {
        // The batch lies within the file, or it would not have been found.
        let mut bytes = vec![0; self.size as usize];
        source.fill_at(&mut bytes, self.position)?;
        Ok(bytes)
    }

    /// Whether the checksum of the loaded batch is right.
    pub fn is_valid(&self, bytes: &[u8]) -> bool {
        if self.magic < MAGIC_V2 {
            return Legacy::new(&bytes[LOG_OVERHEAD_BYTES..]).is_valid();
        }
        let Some(view) = BatchHeader::new(bytes) else { return false };
        crc32c::crc32c(&bytes[CRC_COVERS_FROM..]) == view.crc()
    }

    /// The records of the loaded batch.
    ///
    /// # Errors
    /// When it cannot be said where they are. Compressed records are all read once before the first
    /// is given out, so that a batch that is damaged in its middle gives none, as with Kafka.
    pub fn records<'b>(&self, bytes: &'b [u8]) -> Result<RecordsOf<'b>, Damage> {
        RecordsOf::new(self, bytes)
    }
}

/// The codec of that number.
pub(super) fn codec(id: u8) -> Result<Codec, Damage> {
    Codec::from_id(id).ok_or(Damage::UnknownCodec(id))
}

/// The sequence that many records later, with Java's arithmetic for numbers that make no sense.
pub(super) fn java_sequence_after(sequence: i32, count: i32) -> i32 {
    if sequence > i32::MAX.wrapping_sub(count) {
        count.wrapping_sub(i32::MAX.wrapping_sub(sequence)).wrapping_sub(1)
    } else {
        sequence.wrapping_add(count)
    }
}
