//! The four offsets, and the turns of the group commit.

use std::thread;

use super::flush::GroupCommit;
use super::offsets::{Isolation, Mark, Marks, Offsets, Place, StartAboveHighWatermark};

fn at(offset: i64) -> Mark {
    let place = Place { segment_base_offset: 0, position: offset as u64 * 70 };
    Mark { offset, place: Some(place) }
}

fn offsets(marks: &Marks) -> [i64; 4] {
    let Offsets { log_start_offset, high_watermark, last_stable_offset, log_end_offset } =
        marks.offsets();
    assert!(log_start_offset <= last_stable_offset && last_stable_offset <= high_watermark);
    assert!(high_watermark <= log_end_offset);
    [log_start_offset, last_stable_offset, high_watermark, log_end_offset]
}

#[test]
fn four_offsets_move_on_their_own() {
    let mut marks = Marks::new(5, at(20));
    assert_eq!(offsets(&marks), [5, 5, 5, 20], "after loading nothing is known to be replicated");
    marks.append_to(at(25));
    assert_eq!(offsets(&marks), [5, 5, 5, 25]);
    assert!(marks.advance_high_watermark(12));
    assert!(!marks.advance_high_watermark(11));
    assert_eq!(offsets(&marks), [5, 12, 12, 25]);
    assert_eq!(marks.bound(Isolation::HighWatermark).place, None, "to be searched for");
    assert!(marks.advance_high_watermark(99));
    assert_eq!(marks.bound(Isolation::HighWatermark), at(25), "the log end's place is known");

    marks.set_first_unstable(Some(9));
    assert_eq!(offsets(&marks), [5, 9, 25, 25]);
    marks.set_first_unstable(Some(2));
    assert_eq!(offsets(&marks), [5, 5, 25, 25], "not below the log start");
    marks.set_first_unstable(Some(25));
    assert_eq!(offsets(&marks), [5, 25, 25, 25], "not above the high watermark");

    assert_eq!(
        marks.advance_log_start(30),
        Err(StartAboveHighWatermark { requested: 30, high_watermark: 25 })
    );
    assert_eq!(marks.advance_log_start(5), Ok(false));
    assert_eq!(marks.advance_log_start(10), Ok(true));
    assert_eq!(offsets(&marks), [10, 25, 25, 25]);
}

#[test]
fn a_truncation_takes_the_others_along() {
    let mut marks = Marks::new(5, at(20));
    marks.advance_high_watermark(20);
    marks.truncate_to(at(12));
    assert_eq!(offsets(&marks), [5, 12, 12, 12]);
    marks.truncate_to(at(3));
    assert_eq!(offsets(&marks), [3, 3, 3, 3]);
    marks.set_first_unstable(Some(3));
    marks.start_over(at(40));
    assert_eq!(offsets(&marks), [40, 40, 40, 40]);
    // A roll moves the end to another segment, and whoever stands there with it.
    let place = Place { segment_base_offset: 40, position: 0 };
    marks.append_to(Mark { offset: 40, place: Some(place) });
    assert_eq!(marks.bound(Isolation::HighWatermark).place, Some(place));
}

#[test]
fn a_found_place_is_kept() {
    let mut marks = Marks::new(0, at(20));
    marks.advance_high_watermark(15);
    marks.set_first_unstable(Some(7));
    marks.learn_place(at(15));
    marks.learn_place(at(7));
    marks.learn_place(at(3));
    assert_eq!(marks.bound(Isolation::HighWatermark), at(15));
    assert_eq!(marks.bound(Isolation::TxnCommitted), at(7));
}

#[test]
fn turns_are_taken_one_at_a_time() {
    let commit = GroupCommit::new(0, 0);
    thread::scope(|scope| {
        for n in 1..=4 {
            let commit = &commit;
            scope.spawn(move || {
                let before = commit.recovery_point();
                let _turn = commit.turn();
                assert!(before <= commit.recovery_point());
                commit.raise_recovery_point(n * 10);
            });
        }
    });
    assert_eq!(commit.recovery_point(), 40);
    commit.note_roll(30);
    commit.note_roll(40);
    assert_eq!(commit.checkpoint(), 30, "the indexes of what was sealed first are not durable");
    commit.lower_recovery_point(25, 20);
    assert_eq!(commit.checkpoint(), 25);
}
