//! Anomalies of lost power, compaction, registers, searches and topics.

use ottla_check::event::{Crash, Event, Outcome, Place, Policy, Reader, Register, What};
use ottla_check::judge::{Limits, check};
use ottla_check::violation::Rule;

use super::planted::{expect, plain};
use super::story::{Story, register};

/// Ten records are written, the power goes, six are left, four others are written.
fn after_power_loss(synced: bool, end: i64) -> (Story, Place) {
    let mut story = Story::default();
    let place = story.create(1, Policy::Keep, synced);
    for _ in 0..5 {
        story.send(place, 1, 2);
        story.read(10, place, 2);
    }
    story.lose_power(place, end);
    for _ in 0..2 {
        story.send(place, 2, 2);
        story.read(10, place, 2);
    }
    story.read_as(Reader::Final);
    (story, place)
}

#[test]
fn power_takes_a_suffix_and_nothing_else() {
    let (mut story, place) = after_power_loss(false, 6);
    assert_eq!(check(&story.events, &Limits::default()), []);
    let last = story.events.len() - 1;
    let legal = story.events.clone();
    if let What::Read(read) = &mut story.events[last].what {
        read.records.remove(4);
    }
    let along = [Rule::PollSkip, Rule::LostRead];
    expect("a hole below the cut", &story.events, Rule::LostWrite, &along);

    story.events = legal.clone();
    let before = story.events[5].clone();
    story.events.push(Event { what: What::Flushed { place, end: 8 }, ..before });
    expect("a flushed record is gone", &story.events, Rule::LostWrite, &[]);

    story.events = legal;
    story.events.retain(|event| !matches!(event.what, What::Recovered { .. }));
    let along = [Rule::LostWrite, Rule::LostRead, Rule::OffsetReuse, Rule::Regress, Rule::PollSkip];
    expect("offsets used again unsaid", &story.events, Rule::InconsistentOffset, &along);
}

#[test]
fn a_session_goes_on_behind_what_the_power_took() {
    for (synced, is_legal) in [(false, true), (true, false)] {
        let mut story = Story::default();
        let place = story.create(1, Policy::Keep, synced);
        story.send(place, 1, 2);
        let lost = story.batch(place, 1, 2);
        story.note(1, What::Send(lost));
        story.lose_power(place, 2);
        story.send(place, 1, 2);
        story.read_as(Reader::Final);
        if is_legal {
            assert_eq!(check(&story.events, &Limits::default()), []);
        } else {
            expect("a batch of a session", &story.events, Rule::Gap, &[]);
        }
    }
}

#[test]
fn power_takes_nothing_that_was_synced() {
    let (mut story, place) = after_power_loss(true, 10);
    assert_eq!(check(&story.events, &Limits::default()), []);
    for event in &mut story.events {
        match &mut event.what {
            What::Recovered { end, .. } => *end = 8,
            What::Read(read) if read.reader == Reader::Final => {
                read.records.retain(|seen| seen.offset / 2 != 4);
            }
            _ => {}
        }
    }
    let along = [Rule::LostRead, Rule::Regress, Rule::PollSkip];
    expect("a synced suffix", &story.events, Rule::LostWrite, &along);
    assert!(story.logs.contains_key(&place));
}

#[test]
fn compaction_keeps_the_last_of_each_key() {
    let (mut story, place) = plain(Policy::Compact { keys: 2 }, true);
    story.events.pop();
    let log = story.logs.get_mut(&place).unwrap();
    log.records[..12].fill(None);
    let records = log.records.len();
    log.records[records - 1] = None;
    story.read_as(Reader::Final);
    let along = [Rule::LostRead];
    expect("the newest of a key", &story.events, Rule::LostWrite, &along);
}

#[test]
fn retention_takes_the_beginning_only() {
    let (mut story, place) = plain(Policy::Expire { bytes: 0 }, true);
    story.logs.get_mut(&place).unwrap().start = 6;
    story.events.pop();
    story.read_as(Reader::Final);
    assert_eq!(check(&story.events, &Limits::default()), []);
    if let What::Read(read) = &mut story.events.last_mut().unwrap().what {
        read.records.retain(|seen| seen.offset != 8);
    }
    let along = [Rule::PollSkip, Rule::LostRead];
    expect("behind the log start", &story.events, Rule::LostWrite, &along);
}

/// Segments of a log that begins at offset 6, as they are after the load or after a crash.
#[test]
fn retention_takes_no_more_than_it_may() {
    let bytes = 200;
    let story_of = |segments: &[(i64, u64)]| {
        let (mut story, place) = plain(Policy::Expire { bytes }, true);
        story.events.pop();
        story.logs.get_mut(&place).unwrap().start = 6;
        story.ends(place);
        story.crash(Crash::Process);
        story.note(0, What::Files { place, segments: segments.to_vec() });
        story.restart();
        story.read_as(Reader::Final);
        story
    };
    for (name, segments) in [
        ("just enough", [(6, 100), (10, 60), (16, 40)].as_slice()),
        ("what is not removed yet", &[(0, 500), (6, 100), (12, 100)]),
        ("a log start within the segment", &[(4, 150), (12, 50)]),
    ] {
        let found = check(&story_of(segments).events, &Limits::default());
        assert_eq!(found, [], "{name}");
    }
    for (name, segments) in [
        ("a byte too few", [(6, 100), (10, 60), (16, 39)].as_slice()),
        ("files that nobody can read any more", &[(0, 500), (6, 100), (12, 99)]),
        ("files that are gone", &[(12, 150)]),
        ("all", &[]),
    ] {
        expect(name, &story_of(segments).events, Rule::ExpiredEarly, &[]);
    }

    // With nothing expired there may be little.
    let (mut story, place) = plain(Policy::Expire { bytes }, true);
    story.note(0, What::Files { place, segments: vec![(0, 1)] });
    assert_eq!(check(&story.events, &Limits::default()), []);

    // What the power took may have been counted.
    let (mut story, place) = plain(Policy::Expire { bytes }, false);
    story.events.pop();
    story.logs.get_mut(&place).unwrap().start = 6;
    story.lose_power(place, 12);
    story.note(0, What::Files { place, segments: vec![(6, 1)] });
    story.read_as(Reader::Final);
    assert_eq!(check(&story.events, &Limits::default()), []);
}

#[test]
fn registers_that_go_back_or_ahead() {
    let legal = || {
        let mut story = Story::default();
        for value in 0..6 {
            story.set("group", value, Outcome::Acked);
            story.get("group");
        }
        story
    };
    assert_eq!(check(&legal().events, &Limits::default()), []);
    let got = |value| What::Got { register: register("group"), value };
    for (name, value) in [
        ("an older commit", Some(3)),
        ("none at all", None),
        ("one that nobody made", Some(60)),
        ("one from the future", Some(6)),
    ] {
        let mut story = legal();
        story.note(61, got(value));
        story.set("group", 6, Outcome::Acked);
        expect(name, &story.events, Rule::Register, &[]);
    }
    let mut story = legal();
    story.set("group", 6, Outcome::Failed);
    story.note(61, got(Some(6)));
    expect("a refused commit", &story.events, Rule::Register, &[]);

    let mut story = legal();
    story.set("group", 6, Outcome::Unknown);
    story.note(61, got(Some(6)));
    assert_eq!(check(&story.events, &Limits::default()), []);
    story.note(61, got(Some(5)));
    expect("an unknown commit seen, then unseen", &story.events, Rule::Register, &[]);

    let mut story = legal();
    story.crash(Crash::Power);
    story.note(61, got(Some(2)));
    expect("a synced commit after a power loss", &story.events, Rule::Register, &[]);
    for event in &mut story.events {
        if let What::Set { register, .. } | What::Got { register, .. } = &mut event.what {
            *register = Register { synced: false, ..register.clone() };
        }
    }
    assert_eq!(check(&story.events, &Limits::default()), []);
}

#[test]
fn searches_by_timestamp() {
    for (name, answer) in [
        ("too late", Some((9, 0))),
        ("too early", Some((1, 0))),
        ("none, though there is one", None),
    ] {
        let (mut story, place) = plain(Policy::Keep, true);
        let timestamp_ms = 5;
        story.look_up(place, timestamp_ms);
        assert_eq!(check(&story.events, &Limits::default()), []);
        let last = story.events.last_mut().unwrap();
        last.what = What::Lookup { place, timestamp_ms, found: answer };
        expect(name, &story.events, Rule::TimestampLookup, &[]);
    }
    let (mut story, place) = plain(Policy::Keep, true);
    story.note(50, What::Lookup { place, timestamp_ms: 9_999, found: Some((19, 10)) });
    expect("one, though there is none", &story.events, Rule::TimestampLookup, &[]);
}

/// Nobody acknowledged the record, but a consumer has read it.
#[test]
fn a_search_finds_what_was_read() {
    let mut story = Story::default();
    let place = story.create(1, Policy::Keep, true);
    let send = story.batch(place, 1, 2);
    story.append(&send);
    story.note(1, What::Send(send));
    story.read(10, place, 2);
    story.look_up(place, 1);
    story.read_as(Reader::Final);
    assert_eq!(check(&story.events, &Limits::default()), []);
    for event in &mut story.events {
        if let What::Lookup { found, .. } = &mut event.what {
            *found = None;
        }
    }
    expect("none, though it was read", &story.events, Rule::TimestampLookup, &[]);
}

/// A deletion that was refused excuses nothing.
#[test]
fn a_topic_that_was_not_deleted_keeps_its_records() {
    let (mut story, place) = plain(Policy::Keep, true);
    let outcome = Outcome::Failed;
    story.note(0, What::Deleted { topic: place.topic, outcome });
    assert_eq!(check(&story.events, &Limits::default()), []);
    for event in &mut story.events {
        match &mut event.what {
            What::Read(read) if read.reader == Reader::Final => read.records.truncate(10),
            _ => {}
        }
    }
    let along = [Rule::LostRead, Rule::PollSkip];
    expect("half of the records", &story.events, Rule::LostWrite, &along);
}

/// Batches of one session without an answer; the power takes what is behind offset 6.
#[test]
fn power_takes_nothing_from_the_middle() {
    for missing in [None, Some(2), Some(4)] {
        let mut story = Story::default();
        let place = story.create(1, Policy::Keep, false);
        for n in 0..5 {
            let send = story.batch(place, 1, 2);
            if missing != Some(n) {
                story.append(&send);
            }
            story.note(1, What::Send(send));
        }
        story.lose_power(place, 6);
        story.read_as(Reader::Final);
        match missing {
            Some(2) => expect("one in the middle", &story.events, Rule::Gap, &[]),
            _ => assert_eq!(check(&story.events, &Limits::default()), []),
        }
    }
}

#[test]
fn topics_that_are_gone_or_back() {
    let mut story = Story::default();
    let kept = story.create(1, Policy::Keep, true);
    let other = story.create(2, Policy::Keep, true);
    story.send(other, 1, 1);
    story.list();
    story.delete(other);
    story.list();
    assert_eq!(check(&story.events, &Limits::default()), []);
    let legal = story.clone();

    story.note(50, What::Listed(vec![]));
    expect("created and not there", &story.events, Rule::TopicLost, &[]);

    story = legal.clone();
    story.note(50, What::Listed(vec![(kept.topic, 2)]));
    expect("with other partitions", &story.events, Rule::TopicLost, &[]);

    story = legal.clone();
    story.note(50, What::Listed(vec![(kept.topic, 1), (other.topic, 1)]));
    expect("deleted and there", &story.events, Rule::TopicUndead, &[]);

    story = legal;
    let mut earlier = plain(Policy::Keep, true).0;
    let Some(What::Read(mut read)) = earlier.events.pop().map(|event| event.what) else {
        unreachable!()
    };
    read.records.truncate(1);
    read.reader = Reader::Live;
    (read.place, read.next, read.high_watermark) = (other, 1, None);
    story.note(10, What::Read(read));
    expect("deleted and read", &story.events, Rule::TopicUndead, &[]);
}
