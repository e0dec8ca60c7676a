//! Whatever bytes the files hold: nothing panics, neither a verification nor a repair.

use std::path::Path;

use ottla_storage::repair::{RepairOptions, carry_out, plan};
use ottla_storage::verify::no_metadata;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::{Image, clean, disk_of, killed, verify_deep};

/// A change to one file.
#[derive(Clone, Debug)]
enum Change {
    Overwrite(Index, Vec<u8>),
    Truncate(Index),
    Extend(Vec<u8>),
    Replace(Vec<u8>),
    Remove,
    Rename(&'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let names = prop::sample::select(vec![
        "9223372036854775807.log",
        "9223372036854775807.index",
        "00000000000000000003.log",
        "00000000000000000003.timeindex",
        "00000000000000000003.txnindex",
        "09223372036854775807.snapshot",
        "00000000000000000009-0000000001.checkpoint",
        "quorum-state",
    ]);
    prop_oneof![
        (any::<Index>(), vec(any::<u8>(), 1..24)).prop_map(|(at, b)| Change::Overwrite(at, b)),
        // Lengths and offsets are where claims are made.
        (any::<Index>(), prop::sample::select(vec![0_u8, 0x7f, 0x80, 0xff]))
            .prop_map(|(at, byte)| Change::Overwrite(at, vec![byte; 8])),
        any::<Index>().prop_map(Change::Truncate),
        vec(any::<u8>(), 1..200).prop_map(Change::Extend),
        vec(any::<u8>(), 0..200).prop_map(Change::Replace),
        Just(Change::Remove),
        names.prop_map(Change::Rename),
    ]
}

fn apply(image: &mut Image, file: &Index, change: Change) {
    let name = file.get(&image.keys().cloned().collect::<Vec<_>>()).clone();
    let bytes = image.get_mut(&name).unwrap();
    match change {
        Change::Overwrite(_, _) | Change::Truncate(_) if bytes.is_empty() => {}
        Change::Overwrite(at, with) => {
            let at = at.index(bytes.len());
            for (byte, with) in bytes[at..].iter_mut().zip(with) {
                *byte = with;
            }
        }
        Change::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Change::Extend(with) => bytes.extend(with),
        Change::Replace(with) => *bytes = with,
        Change::Remove => drop(image.remove(&name)),
        Change::Rename(to) => {
            let bytes = image.remove(&name).unwrap();
            let dir = Path::new(&name).parent().unwrap();
            image.insert(dir.join(to).to_string_lossy().into_owned(), bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn nothing_panics(
        is_clean: bool,
        changes in vec((any::<Index>(), change()), 1..4),
    ) {
        let mut image = if is_clean { clean() } else { killed() };
        for (file, change) in changes {
            apply(&mut image, &file, change);
        }
        let disk = disk_of(&image);
        let report = verify_deep(&disk, true);
        for truncate_damaged in [false, true] {
            let options = RepairOptions {
                truncate_damaged,
                truncate_metadata: truncate_damaged,
                index_interval_bytes: 0,
                known: &no_metadata,
            };
            for action in plan(&disk, &report, &options).unwrap().actions {
                prop_assert!(!action.to_string().is_empty());
                // It may well fail: a file of the plan may be gone.
                let _done = carry_out(&disk, &action);
            }
        }
        verify_deep(&disk, true);
    }
}
