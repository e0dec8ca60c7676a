//! Anomalies of partitions: each is planted in a legal history and has to be found by its name.

use ottla_check::event::{Crash, Event, Outcome, Place, Policy, Read, Reader, Seen, Send, What};
use ottla_check::judge::{Limits, check};
use ottla_check::value::{Payload, ValueId};
use ottla_check::violation::Rule;

use super::story::{Story, payload};

/// Fails unless the rule is broken, and no other but those allowed with it.
pub(crate) fn expect(name: &str, events: &[Event], rule: Rule, along: &[Rule]) {
    let found = check(events, &Limits::default());
    assert!(found.iter().any(|v| v.rule == rule), "{name}: {} not in {found:?}", rule.name());
    for violation in &found {
        let known = violation.rule == rule || along.contains(&violation.rule);
        assert!(known, "{name}: {violation}");
        assert!(!violation.to_string().is_empty(), "{name}");
    }
}

/// Two producers write ten batches to a topic, a consumer follows, all is read in the end.
pub(crate) fn plain(policy: Policy, synced: bool) -> (Story, Place) {
    let mut story = Story::default();
    let place = story.create(1, policy, synced);
    for n in 0..10 {
        story.send(place, 1 + n % 2, 2);
        story.read(10, place, 3);
        if n == 4 {
            story.crash(Crash::Process);
            story.restart();
        }
        story.ends(place);
    }
    story.read_as(Reader::Final);
    assert_eq!(check(&story.events, &Limits::default()), []);
    (story, place)
}

fn reads(events: &mut [Event], reader: Reader) -> Vec<&mut Read> {
    events
        .iter_mut()
        .filter_map(|event| match &mut event.what {
            What::Read(read) if read.reader == reader => Some(read),
            _ => None,
        })
        .collect()
}

fn sends(events: &mut [Event]) -> Vec<&mut Send> {
    events
        .iter_mut()
        .filter_map(|event| match &mut event.what {
            What::Send(send) => Some(send),
            _ => None,
        })
        .collect()
}

/// The records of the final reader.
fn last(events: &mut [Event]) -> &mut Vec<Seen> {
    &mut reads(events, Reader::Final).pop().unwrap().records
}

fn drop_at(events: &mut [Event], offset: i64) {
    last(events).retain(|seen| seen.offset != offset);
}

type Plant = fn(&mut Vec<Event>);

/// Of a batch without an answer, a part is there.
#[test]
fn batches_in_part() {
    for (name, part) in [("its head", 0..2), ("its middle", 1..2), ("its tail", 1..3)] {
        let (mut story, place) = plain(Policy::Keep, true);
        story.events.pop();
        let send = story.batch(place, 1, 3);
        story.append(&send);
        story.note(1, What::Send(send));
        story.send(place, 2, 2);
        let whole = story.clone();
        let log = story.logs.get_mut(&place).unwrap();
        let (first, end) = (log.records.len() - 5, log.records.len() - 2);
        let kept: Vec<_> = log.records[first..end][part].to_vec();
        log.records.splice(first..end, kept);
        let base = i64::try_from(log.records.len() - 2).unwrap();
        sends(&mut story.events).pop().unwrap().base_offset = Some(base);
        for (mut story, is_torn) in [(story, true), (whole, false)] {
            story.read_as(Reader::Final);
            if is_torn {
                expect(name, &story.events, Rule::TornBatch, &[Rule::Gap]);
            } else {
                assert_eq!(check(&story.events, &Limits::default()), []);
            }
        }
    }
}

#[test]
fn records_that_are_missing() {
    use Rule::{Gap, LostRead, LostWrite, PollSkip};
    let along = [PollSkip, LostRead, LostWrite];
    let plants: [(&str, Rule, Plant); 8] = [
        ("the last record", LostWrite, |events| drop_at(events, 19)),
        ("the first record", LostWrite, |events| drop_at(events, 0)),
        ("one in the middle", LostWrite, |events| drop_at(events, 9)),
        ("all of them", LostWrite, |events| last(events).clear()),
        ("a batch", LostWrite, |events| last(events).retain(|s| s.offset / 2 != 3)),
        ("never read in the end, though another partition is", LostWrite, |events| {
            for read in reads(events, Reader::Final) {
                read.place.partition = 1;
                read.records.clear();
                (read.next, read.high_watermark) = (0, Some(0));
            }
        }),
        ("read, of an attempt that nobody answered", LostRead, |events| {
            let send = &mut sends(events)[9];
            (send.outcome, send.base_offset) = (Outcome::Unknown, None);
            reads(events, Reader::Live)[9].records.extend(super_last(18));
            last(events).retain(|s| s.offset < 18);
        }),
        ("acknowledged without an offset", LostWrite, |events| {
            sends(events)[9].base_offset = None;
            last(events).retain(|s| s.offset < 18);
        }),
    ];
    for (name, rule, plant) in plants {
        let (mut story, _) = plain(Policy::Keep, true);
        plant(&mut story.events);
        expect(name, &story.events, rule, &along);
    }
    let (mut story, _) = plain(Policy::Keep, true);
    let send = &mut sends(&mut story.events)[4];
    (send.outcome, send.base_offset) = (Outcome::Unknown, None);
    last(&mut story.events).retain(|s| s.offset / 2 != 4);
    for read in reads(&mut story.events, Reader::Live) {
        read.records.retain(|s| s.offset / 2 != 4);
    }
    expect("a hole in a session", &story.events, Gap, &[PollSkip]);
    sends(&mut story.events).iter_mut().for_each(|send| send.session = None);
    expect("the same without idempotence", &story.events, PollSkip, &[]);
}

/// The record that the second producer's last batch begins with, at its offset.
fn super_last(offset: i64) -> Option<Seen> {
    let id = ValueId { producer: 2, sequence: 8 };
    Some(Seen { offset, timestamp_ms: 0, payload: payload(id) })
}

#[test]
fn records_that_are_not_what_they_were() {
    use Rule::{Duplicate, Gap, InconsistentOffset, LostRead, LostWrite, Order, PollSkip};
    let along = [LostWrite, LostRead, InconsistentOffset, Duplicate, Order, PollSkip, Gap];
    let plants: [(&str, Rule, Plant); 7] = [
        ("another record at its offset", InconsistentOffset, |events| {
            let records = last(events);
            records[5].payload = records[9].payload;
        }),
        ("other bytes of the same record", InconsistentOffset, |events| {
            let id = last(events)[5].payload.id().unwrap();
            last(events)[5].payload = Payload::Value { id, crc: 1 };
        }),
        ("an acknowledgment of another offset", InconsistentOffset, |events| {
            sends(events)[9].base_offset = Some(17);
        }),
        ("a consumer saw another record", InconsistentOffset, |events| {
            let read = &mut reads(events, Reader::Live)[2];
            let other = read.records[0].payload;
            read.records[1].payload = other;
        }),
        ("twice in the end", Duplicate, |events| {
            let copy = last(events)[19];
            last(events).push(Seen { offset: 20, ..copy });
        }),
        ("twice in the files only", Duplicate, |events| {
            let mut raw = events.last().unwrap().clone();
            let What::Read(read) = &mut raw.what else { unreachable!() };
            read.reader = Reader::Raw;
            let copy = read.records[3];
            read.records.push(Seen { offset: 20, ..copy });
            events.push(raw);
        }),
        ("an attempt acknowledged twice, at two offsets", Duplicate, |events| {
            let again = events[1].clone();
            events.push(again);
            sends(events).pop().unwrap().base_offset = Some(20);
        }),
    ];
    for (name, rule, plant) in plants {
        let (mut story, _) = plain(Policy::Keep, true);
        plant(&mut story.events);
        expect(
            name,
            &story.events,
            rule,
            &[&along[..], &[Rule::OffsetReuse, Rule::Regress]].concat(),
        );
    }
}

#[test]
fn records_that_should_not_be_there() {
    use Rule::{FailedVisible, Phantom};
    let along = [Rule::LostWrite, Rule::LostRead, Rule::InconsistentOffset, Rule::Duplicate];
    let more = [Rule::Order, Rule::Gap, Rule::Regress, Rule::PollSkip, Rule::OffsetReuse];
    let plants: [(&str, Rule, Plant); 6] = [
        ("bytes that nobody sent", Phantom, |events| {
            last(events)[4].payload = Payload::Foreign { crc: 5 };
        }),
        ("a number that nobody sent", Phantom, |events| {
            last(events)[4].payload = payload(ValueId { producer: 1, sequence: 999 });
        }),
        ("a producer that nobody knows", Phantom, |events| {
            last(events)[4].payload = payload(ValueId { producer: 77, sequence: 0 });
        }),
        ("a record of another partition", Phantom, |events| {
            for event in events.iter_mut().skip(20) {
                if let What::Send(send) = &mut event.what {
                    send.place.partition = 4;
                }
            }
        }),
        ("a record read before it was sent", Phantom, |events| {
            let at = events.iter().rposition(|e| matches!(e.what, What::Send(_))).unwrap();
            let later = events.last().unwrap().ended_ns + 1_000;
            (events[at].began_ns, events[at].ended_ns) = (later, later + 1);
        }),
        ("a record that was refused", FailedVisible, |events| {
            let send = &mut sends(events)[7];
            (send.outcome, send.base_offset) = (Outcome::Failed, None);
        }),
    ];
    for (name, rule, plant) in plants {
        let (mut story, _) = plain(Policy::Keep, true);
        plant(&mut story.events);
        expect(name, &story.events, rule, &[&along[..], &more[..]].concat());
    }
}

#[test]
fn batches_out_of_order() {
    for session in [Some(0), None] {
        let mut story = Story::default();
        let place = story.create(1, Policy::Keep, true);
        let mut batches = [story.batch(place, 1, 2), story.batch(place, 1, 2)];
        for batch in batches.iter_mut().rev() {
            batch.base_offset = Some(story.append(batch));
            (batch.outcome, batch.session) = (Outcome::Acked, session);
            story.note(1, What::Send(*batch));
        }
        story.read_as(Reader::Final);
        expect("the second batch first", &story.events, Rule::Order, &[]);
    }
}

#[test]
fn ends_that_go_back() {
    use Rule::{OffsetReuse, Regress};
    let plants: [(&str, Rule, Plant); 6] = [
        ("the end after a restart", Regress, |events| {
            let ends = events.iter_mut().rev().find_map(|event| match &mut event.what {
                What::Ends { end, .. } => Some(end),
                _ => None,
            });
            *ends.unwrap() = Some(17);
        }),
        ("the high watermark", Regress, |events| {
            reads(events, Reader::Live)[8].high_watermark = Some(10);
        }),
        ("an end below an acknowledged record", Regress, |events| {
            for event in events.iter_mut().take(5) {
                if let What::Ends { end, .. } = &mut event.what {
                    *end = Some(1);
                }
            }
        }),
        ("the log start", Regress, |events| {
            reads(events, Reader::Live)[3].log_start = Some(2);
        }),
        ("the log start as listed", Regress, |events| {
            for event in events.iter_mut().take(9) {
                if let What::Ends { log_start, .. } = &mut event.what {
                    *log_start = Some(1);
                }
            }
        }),
        ("a new record below the end", OffsetReuse, |events| {
            sends(events)[9].base_offset = Some(10);
        }),
    ];
    let along = [Rule::InconsistentOffset, Rule::Duplicate, Rule::LostWrite, Rule::Order];
    for (name, rule, plant) in plants {
        let (mut story, _) = plain(Policy::Keep, true);
        plant(&mut story.events);
        expect(name, &story.events, rule, &along);
    }
}

#[test]
fn polls_that_skip_or_repeat() {
    let plants: [(&str, Plant); 6] = [
        ("goes on too late", |events| {
            let reads = reads(events, Reader::Live);
            for read in reads.into_iter().skip(6) {
                read.from += 1;
                read.records.remove(0);
            }
        }),
        ("goes back", |events| {
            let read = &mut reads(events, Reader::Live)[6];
            read.from -= 1;
            let first = read.records[0];
            let id = ValueId { producer: 9, sequence: 0 };
            read.records.insert(0, Seen { offset: first.offset - 1, ..first });
            read.records[0].payload = payload(id);
            read.records.remove(0);
        }),
        ("a hole within an answer", |events| {
            reads(events, Reader::Live)[2].records.remove(1);
        }),
        ("records out of order", |events| {
            reads(events, Reader::Live)[2].records.swap(0, 1);
        }),
        ("the answer ends too late", |events| {
            reads(events, Reader::Live)[9].next = 30;
        }),
        ("a record twice within an answer", |events| {
            let read = &mut reads(events, Reader::Live)[2];
            let copy = read.records[1];
            read.records.insert(1, copy);
        }),
    ];
    for (name, plant) in plants {
        let (mut story, _) = plain(Policy::Keep, true);
        plant(&mut story.events);
        expect(name, &story.events, Rule::PollSkip, &[Rule::Regress]);
    }
}
