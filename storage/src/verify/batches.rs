//! Reads a `.log` file batch by batch, in large pieces, and checks each batch's frame and sum.

use std::io;

use ottla_protocol::record::batch::{
    BATCH_HEADER_BYTES, BatchHeader, CRC_COVERS_FROM, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2,
};
use ottla_protocol::record::compression::Codec;
use ottla_protocol::record::set::{BATCH_LENGTH_MIN, HEADER_UP_TO_MAGIC_BYTES};

use super::{Code, Progress};
use crate::disk::DiskFile;
use crate::segment::likely::{LEGACY_BYTES_MIN, SEARCH_SUMS_MAX, header_at, likely};

/// Read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Larger batches are summed piece by piece and not held as a whole.
const WHOLE_BYTES_MAX: u64 = 16 << 20;
const LEGACY_CRC_AT: usize = LOG_OVERHEAD_BYTES;

/// A batch that its sum vouches for.
#[derive(Debug)]
pub(crate) struct Found<'b> {
    pub(crate) position: u64,
    /// All of it, bytes.
    pub(crate) size: u64,
    pub(crate) magic: i8,
    /// Of a message of an old format, its offset; of a wrapper, that of its last message.
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// -1 for none.
    pub(crate) max_timestamp_ms: i64,
    /// -1 for formats older than magic 2.
    pub(crate) leader_epoch: i32,
    /// Its header; beyond a shorter message of an old format, zeros.
    pub(crate) header: [u8; BATCH_HEADER_BYTES],
    /// The whole batch, unless it is longer than 16 MiB.
    pub(crate) bytes: Option<&'b [u8]>,
}

impl Found<'_> {
    /// The header of a batch of magic 2.
    pub(crate) fn view(&self) -> BatchHeader<'_> {
        BatchHeader::new(&self.header).expect("the array has a header's length")
    }

    /// Where the next batch starts.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.size
    }
}

/// Bytes that are no good batch.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) position: u64,
    pub(crate) code: Code,
    pub(crate) problem: String,
}

/// What comes next in a file.
#[derive(Debug)]
pub(crate) enum Step<'b> {
    Batch(Found<'b>),
    /// [`BatchReader::resume`] before going on.
    Bad(Bad),
    End,
}

/// A good batch found behind damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Later {
    pub(crate) position: u64,
    pub(crate) base_offset: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct BatchReader<'a> {
    file: &'a dyn DiskFile,
    len: u64,
    position: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    start: u64,
    filled: usize,
    progress: Option<&'a Progress>,
}

impl<'a> BatchReader<'a> {
    /// Reads `file`, `len` bytes long, from its beginning.
    pub(crate) fn new(file: &'a dyn DiskFile, len: u64, progress: Option<&'a Progress>) -> Self {
        Self { file, len, position: 0, buffer: Vec::new(), start: 0, filled: 0, progress }
    }

    /// Goes on at `position`.
    pub(crate) fn resume(&mut self, position: u64) {
        self.position = position;
        let end = self.start + self.filled as u64;
        if position < self.start || position > end {
            if let Some(progress) = self.progress {
                progress.add_done(position.saturating_sub(end));
            }
            (self.start, self.filled) = (position, 0);
        }
    }

    /// The next batch.
    pub(crate) fn next(&mut self) -> io::Result<Step<'_>> {
        let left = self.len - self.position;
        if left == 0 {
            return Ok(Step::End);
        }
        let bad = |code, problem| Ok(Step::Bad(Bad { position: self.position, code, problem }));
        if left <= HEADER_UP_TO_MAGIC_BYTES as u64 {
            return bad(Code::TornTail, format!("{left} bytes are too few for a batch"));
        }
        let position = self.position;
        let mut header = [0; BATCH_HEADER_BYTES];
        let wanted = left.min(BATCH_HEADER_BYTES as u64) as usize;
        header[..wanted].copy_from_slice(&self.ensure(wanted)?[..wanted]);
        let bad = |code, problem| Ok(Step::Bad(Bad { position, code, problem }));
        let view = BatchHeader::new(&header).expect("the array has a header's length");
        let (length, magic) = (view.batch_length(), view.magic());
        if length < BATCH_LENGTH_MIN {
            let problem = format!("batch length {length}, at least {BATCH_LENGTH_MIN} expected");
            return bad(Code::BatchLength, problem);
        }
        let least = match magic {
            0 | 1 => LEGACY_BYTES_MIN[magic as usize],
            MAGIC_V2 => BATCH_HEADER_BYTES as u64,
            _ => return bad(Code::BatchMagic, format!("magic {magic}, 0 to 2 expected")),
        };
        let size = length as u64 + LOG_OVERHEAD_BYTES as u64;
        if size > left {
            let problem = format!("batch of {size} bytes, {left} are left");
            return bad(Code::TornTail, problem);
        }
        if size < least {
            let problem = format!("batch of {size} bytes, at least {least} expected");
            return bad(Code::BatchLength, problem);
        }
        let (stored, computed) = match magic {
            MAGIC_V2 => (view.crc(), self.sum(position, size)?),
            _ => {
                header[size.min(BATCH_HEADER_BYTES as u64) as usize..].fill(0);
                (legacy_crc(&header), self.legacy_sum(size)?)
            }
        };
        if stored != computed {
            let problem = format!("crc is {stored:#010x}, of these bytes {computed:#010x}");
            return bad(Code::BatchCrc, problem);
        }
        // One that was summed in pieces ends far behind what the buffer holds.
        self.resume(position + size);
        let bytes = self.whole(position, size);
        let found = found(header, position, size, bytes);
        match header_problem(&found) {
            None => Ok(Step::Batch(found)),
            Some(problem) => Ok(Step::Bad(Bad { position, code: Code::BatchHeader, problem })),
        }
    }

    /// The first good batch or message at `from` or behind it, with offsets from `offset_min` on,
    /// which segments of `base_offset` may hold. `None` also when what looks like batches takes too
    /// long to sum.
    pub(crate) fn find_later(
        &mut self,
        from: u64,
        offset_min: i64,
        base_offset: i64,
    ) -> io::Result<Option<Later>> {
        let offsets = offset_min..=base_offset.saturating_add(i64::from(i32::MAX));
        let mut budget = self.len.saturating_sub(from).saturating_mul(SEARCH_SUMS_MAX);
        let mut position = from;
        let least = LEGACY_BYTES_MIN[0] as usize;
        while position + least as u64 <= self.len {
            self.resume(position);
            // A whole header, unless the file ends before.
            let left = self.len - position;
            let wanted = left.min(BATCH_HEADER_BYTES as u64) as usize;
            let window = self.ensure(wanted)?;
            let searched = window.len() + 1 - wanted;
            let hit = (0..searched).find(|&at| likely(&window[at..], &offsets, left - at as u64));
            let Some(hit) = hit else {
                position += searched as u64;
                continue;
            };
            position += hit as u64;
            let header = header_at(&window[hit..]);
            let view = BatchHeader::new(&header).expect("the array has a header's length");
            let size = LOG_OVERHEAD_BYTES as u64 + view.batch_length() as u64;
            let Some(rest) = budget.checked_sub(size) else { return Ok(None) };
            budget = rest;
            self.resume(position);
            let is_good = match view.magic() {
                MAGIC_V2 => self.sum_from_file(position, size)? == view.crc(),
                _ => self.legacy_sum(size)? == legacy_crc(&header),
            };
            if is_good {
                return Ok(Some(Later { position, base_offset: view.base_offset() }));
            }
            position += 1;
        }
        Ok(None)
    }

    /// At least `wanted` bytes from the position on, and as many more as are there.
    fn ensure(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let skip = (self.position - self.start) as usize;
        if self.filled - skip.min(self.filled) < wanted {
            self.buffer.copy_within(skip..self.filled, 0);
            self.filled -= skip;
            self.start = self.position;
            let size = wanted.max(CHUNK_BYTES);
            if self.buffer.len() < size {
                let left = usize::try_from(self.len - self.start).unwrap_or(usize::MAX);
                self.buffer.resize(size.min(left.max(self.buffer.len())), 0);
            }
            while self.filled < wanted {
                let at = self.start + self.filled as u64;
                let room = (self.len - at).min((self.buffer.len() - self.filled) as u64) as usize;
                let to = &mut self.buffer[self.filled..self.filled + room];
                let n = self.file.read_at(to, at)?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.filled += n;
                if let Some(progress) = self.progress {
                    progress.add_done(n as u64);
                }
            }
        }
        let skip = (self.position - self.start) as usize;
        Ok(&self.buffer[skip..self.filled])
    }

    /// The CRC-32C of the batch at the position.
    fn sum(&mut self, position: u64, size: u64) -> io::Result<u32> {
        if size > WHOLE_BYTES_MAX {
            return self.sum_from_file(position, size);
        }
        let bytes = self.ensure(size as usize)?;
        Ok(crc32c::crc32c(&bytes[CRC_COVERS_FROM..size as usize]))
    }

    fn sum_from_file(&self, position: u64, size: u64) -> io::Result<u32> {
        let mut sum = 0;
        self.pieces(position + CRC_COVERS_FROM as u64, position + size, |piece| {
            sum = crc32c::crc32c_append(sum, piece);
        })?;
        Ok(sum)
    }

    fn legacy_sum(&mut self, size: u64) -> io::Result<u32> {
        let from = MAGIC_AT;
        if size <= WHOLE_BYTES_MAX {
            let bytes = self.ensure(size as usize)?;
            return Ok(crc32fast::hash(&bytes[from..size as usize]));
        }
        let mut hasher = crc32fast::Hasher::new();
        let (start, end) = (self.position + from as u64, self.position + size);
        self.pieces(start, end, |piece| hasher.update(piece))?;
        Ok(hasher.finalize())
    }

    fn pieces(&self, start: u64, end: u64, mut see: impl FnMut(&[u8])) -> io::Result<()> {
        let mut piece = vec![0; (64 << 10).min((end - start) as usize)];
        let mut position = start;
        while position < end {
            let n = piece.len().min((end - position) as usize);
            self.file.read_exact_at(&mut piece[..n], position)?;
            see(&piece[..n]);
            position += n as u64;
        }
        Ok(())
    }

    fn whole(&self, position: u64, size: u64) -> Option<&[u8]> {
        let start = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.buffer[..self.filled].get(start..start.checked_add(usize::try_from(size).ok()?)?)
    }
}

/// The sum that a message of an old format says that it has.
fn legacy_crc(header: &[u8; BATCH_HEADER_BYTES]) -> u32 {
    u32::from_be_bytes(header[LEGACY_CRC_AT..LEGACY_CRC_AT + 4].try_into().expect("four bytes"))
}

fn found(
    header: [u8; BATCH_HEADER_BYTES],
    position: u64,
    size: u64,
    bytes: Option<&[u8]>,
) -> Found<'_> {
    let view = BatchHeader::new(&header).expect("the array has a header's length");
    let magic = view.magic();
    let base_offset = view.base_offset();
    let timestamp_at = 18;
    let (last_offset, max_timestamp_ms, leader_epoch) = match magic {
        0 => (base_offset, -1, -1),
        1 => {
            let field = header[timestamp_at..timestamp_at + 8].try_into();
            (base_offset, field.map_or(-1, i64::from_be_bytes), -1)
        }
        _ => (view.last_offset(), view.max_timestamp(), view.partition_leader_epoch()),
    };
    Found {
        position,
        size,
        magic,
        base_offset,
        last_offset,
        max_timestamp_ms,
        leader_epoch,
        header,
        bytes,
    }
}

/// What a header with a good sum cannot say.
fn header_problem(batch: &Found<'_>) -> Option<String> {
    if batch.base_offset < 0
        || batch.last_offset < batch.base_offset
        || batch.last_offset == i64::MAX
    {
        let Found { base_offset, last_offset, .. } = batch;
        return Some(format!("offsets {base_offset} to {last_offset}"));
    }
    if batch.magic < MAGIC_V2 {
        return None;
    }
    let view = batch.view();
    let (delta, count) = (view.last_offset_delta(), view.records_count());
    if count < 0 || i64::from(count) > i64::from(delta) + 1 {
        return Some(format!("{count} records in {} offsets", i64::from(delta) + 1));
    }
    let codec_id = view.attributes().codec_id();
    if Codec::from_id(codec_id).is_none() {
        return Some(format!("codec {codec_id}, 0 to 4 expected"));
    }
    None
}

/// The whole of a batch, read again if the reader did not hold it.
pub(crate) fn bytes_of<'b>(
    file: &dyn DiskFile,
    batch: &Found<'b>,
) -> io::Result<std::borrow::Cow<'b, [u8]>> {
    if let Some(bytes) = batch.bytes {
        return Ok(bytes.into());
    }
    let size = usize::try_from(batch.size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, batch.position)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::{Disk, Open};
    use crate::sim::SimDisk;

    /// A message with this key and a value of ten bytes.
    fn message(magic: u8, offset: i64, key: Option<&[u8]>) -> Vec<u8> {
        let mut summed = vec![magic, 0];
        if magic == 1 {
            summed.extend(1_600_000_000_000i64.to_be_bytes());
        }
        summed.extend(key.map_or(-1, |key| key.len() as i32).to_be_bytes());
        summed.extend(key.unwrap_or_default());
        summed.extend(10i32.to_be_bytes());
        summed.extend([0; 10]);
        let mut bytes = offset.to_be_bytes().to_vec();
        bytes.extend((summed.len() as i32 + 4).to_be_bytes());
        bytes.extend(crc32fast::hash(&summed).to_be_bytes());
        bytes.extend(summed);
        bytes
    }

    fn later(bytes: &[u8], from: u64, offset_min: i64) -> Option<Later> {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("0.log"), Open::Create).unwrap();
        file.write_all_at(&[io::IoSlice::new(bytes)], 0).unwrap();
        let len = bytes.len() as u64;
        BatchReader::new(&*file, len, None).find_later(from, offset_min, 0).unwrap()
    }

    #[test]
    fn old_messages_are_found_behind_damage() {
        for magic in [0, 1] {
            for key in [None, Some(&b""[..]), Some(b"key")] {
                let first = message(magic, 5, key).len() as u64;
                // The last one is shorter than a header of today.
                let bytes = [message(magic, 5, key), message(magic, 6, key)].concat();
                let found = Some(Later { position: first, base_offset: 6 });
                assert_eq!(later(&bytes, 1, 6), found, "magic {magic}");
                assert_eq!(later(&bytes, 1, 7), None, "an offset that was there already");
                let mut damaged = bytes.clone();
                *damaged.last_mut().unwrap() ^= 1;
                assert_eq!(later(&damaged, 1, 6), None, "magic {magic}, damaged too");
            }
        }
        let far = CHUNK_BYTES + 7;
        let behind = [vec![0; far], message(1, 5, None)].concat();
        let found = Some(Later { position: far as u64, base_offset: 5 });
        assert_eq!(later(&behind, 1, 0), found, "not in the first piece that is read");
    }
}
