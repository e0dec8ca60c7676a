//! What a crash leaves of a disk.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Control;
use super::image::Image;
use super::names::{Directory, InodeId};
use super::random::Random;
use super::world::{DataOp, FileNode, Inode, ROOT, World};

/// Bytes that a medium writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// How a crash treats what is not durable. Of names, other than said, a random part of the changes
/// survives; those of one file survive in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashStyle {
    /// The process dies, the machine lives: nothing is lost, and nothing has become durable.
    ProcessKill,
    /// Everything that is not durable is lost, names too.
    DropPending,
    /// Of each file the first changes survive, up to a random one.
    Prefix,
    /// Of each file a random part of the changes survives: writes were reordered.
    Subset,
    /// As `Subset`, and of each write only some sectors survive.
    Torn,
    /// Files keep their new length, but what was not durable reads as zeros.
    Zeros,
    /// Files keep their new length; each new sector holds its data, zeros, or garbage.
    Garbage,
    /// All data survives, but only a random part of the changes of names.
    Names,
    /// Each file meets a random one of the above.
    Mixed,
}

impl CrashStyle {
    /// All that lose power.
    pub const POWER_LOSS: [Self; 8] = [
        Self::DropPending,
        Self::Prefix,
        Self::Subset,
        Self::Torn,
        Self::Zeros,
        Self::Garbage,
        Self::Names,
        Self::Mixed,
    ];
}

/// The world after a crash.
pub(super) fn crash(world: &World, seed: u64, style: CrashStyle) -> World {
    let mut control = Control::default();
    control.set_quiet(world.control.is_quiet());
    let mut after = World {
        inodes: BTreeMap::new(),
        names_pending: world.names_pending.clone(),
        locked: BTreeSet::new(),
        control,
        capacity_bytes: world.capacity_bytes,
        fsync_failure: world.fsync_failure,
        short_reads: world.short_reads.clone(),
        now_ms: world.now_ms,
        next_inode: world.next_inode,
        kept: None,
    };
    if style == CrashStyle::ProcessKill {
        after.inodes = world.inodes.clone();
        return after;
    }
    let mut random = Random::new(seed);
    after.inodes = world.inodes.iter().map(|(&inode, node)| (inode, names_of(node))).collect();
    keep_names(&mut after, &mut random, style);
    for (inode, node) in &mut after.inodes {
        match (node, &world.inodes[inode]) {
            (Inode::File(file), Inode::File(before)) => {
                let durable = survivor(before, &mut random, style);
                let (cache, modified_ms) = (durable.clone(), before.modified_ms);
                *file = FileNode { cache, durable, modified_ms, ..FileNode::default() };
            }
            (Inode::Dir(Directory { seen, durable }), _) => *seen = durable.clone(),
            (Inode::File(_), Inode::Dir(_)) => unreachable!("an inode stays what it is"),
        }
    }
    forget_nameless(&mut after);
    after
}

/// A directory as it is, or a file without its content, which is still to be chosen.
fn names_of(node: &Inode) -> Inode {
    match node {
        Inode::File(_) => Inode::File(FileNode::default()),
        Inode::Dir(dir) => Inode::Dir(dir.clone()),
    }
}

fn keep_names(after: &mut World, random: &mut Random, style: CrashStyle) {
    let mut lost: BTreeSet<InodeId> = BTreeSet::new();
    for op in std::mem::take(&mut after.names_pending) {
        // A later change of the same file would make no sense without the earlier one.
        if style == CrashStyle::DropPending || lost.contains(&op.inode) || random.coin() {
            lost.insert(op.inode);
        } else {
            after.apply_durably(&op);
        }
    }
}

/// Removes what no name leads to any more.
fn forget_nameless(after: &mut World) {
    let mut kept = BTreeMap::new();
    let mut found = vec![ROOT];
    while let Some(inode) = found.pop() {
        let Some(mut node) = after.inodes.remove(&inode) else { continue };
        match &mut node {
            Inode::Dir(dir) => found.extend(dir.seen.values()),
            Inode::File(file) => file.has_name = true,
        }
        kept.insert(inode, node);
    }
    after.inodes = kept;
}

fn survivor(file: &FileNode, random: &mut Random, style: CrashStyle) -> Image {
    let mut image = file.durable.clone();
    match style {
        CrashStyle::ProcessKill | CrashStyle::Names => image = file.cache.clone(),
        CrashStyle::DropPending => {}
        CrashStyle::Prefix => {
            let kept = random.below(file.pending.len() + 1);
            file.pending[..kept].iter().for_each(|op| op.apply(&mut image));
        }
        CrashStyle::Subset => {
            for op in &file.pending {
                if random.coin() {
                    op.apply(&mut image);
                }
            }
        }
        CrashStyle::Torn => {
            for op in &file.pending {
                if random.coin() {
                    apply_torn(op, &mut image, random);
                }
            }
        }
        CrashStyle::Zeros => image.set_len(image.len().max(file.cache.len())),
        CrashStyle::Garbage => grow_with_garbage(&mut image, &file.cache, random),
        CrashStyle::Mixed => {
            let styles = &CrashStyle::POWER_LOSS[..CrashStyle::POWER_LOSS.len() - 1];
            let style = styles[random.below(styles.len())];
            return survivor(file, random, style);
        }
    }
    image
}

/// Applies a write sector by sector, as chance has it. Where a sector did not make it, a file that
/// grew has zeros.
fn apply_torn(op: &DataOp, image: &mut Image, random: &mut Random) {
    let DataOp::Write { position, bytes } = op else {
        return op.apply(image);
    };
    let end = position + bytes.len() as u64;
    let mut start = *position;
    image.set_len(image.len().max(end));
    while start < end {
        let sector_end = (start / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let stop = sector_end.min(end);
        if random.coin() {
            image.write(start, &bytes[(start - position) as usize..(stop - position) as usize]);
        }
        start = stop;
    }
}

fn grow_with_garbage(image: &mut Image, cache: &Image, random: &mut Random) {
    let mut start = image.len();
    while start < cache.len() {
        let sector_end = (start / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let mut sector = vec![0; (sector_end.min(cache.len()) - start) as usize];
        match random.below(3) {
            0 => _ = cache.read(&mut sector, start),
            1 => {}
            _ => sector.fill_with(|| random.next() as u8),
        }
        image.write(start, &sector);
        start += sector.len() as u64;
    }
}
