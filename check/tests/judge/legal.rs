//! Whatever a broker that keeps its promises does, nothing is found.

use ottla_check::event::{Crash, Outcome, Place, Policy, Reader, What};
use ottla_check::judge::{Limits, check};
use proptest::prelude::*;

use super::story::Story;

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Send {
        topic: usize,
        producer: u32,
        count: u32,
    },
    /// No answer came; it was appended or not, and is sent again or given up.
    Unknown {
        topic: usize,
        producer: u32,
        count: u32,
        appended: bool,
        again: bool,
    },
    Read {
        topic: usize,
        client: u32,
        most: i64,
    },
    Ends {
        topic: usize,
    },
    LookUp {
        topic: usize,
        timestamp_ms: i64,
    },
    Expire {
        by: i64,
    },
    Set {
        acked: bool,
    },
    Get,
    List,
    Crash,
    LosePower {
        lost: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (topic, producer, count) = (0usize..3, 1u32..4, 1u32..5);
    prop_oneof![
        4 => (topic.clone(), producer.clone(), count.clone())
            .prop_map(|(topic, producer, count)| Step::Send { topic, producer, count }),
        2 => (topic.clone(), producer, count, any::<bool>(), any::<bool>()).prop_map(
            |(topic, producer, count, appended, again)| Step::Unknown {
                topic, producer, count, appended, again,
            }
        ),
        3 => (topic.clone(), 10u32..13, 1i64..6)
            .prop_map(|(topic, client, most)| Step::Read { topic, client, most }),
        1 => topic.clone().prop_map(|topic| Step::Ends { topic }),
        1 => (topic, 0i64..60)
            .prop_map(|(topic, timestamp_ms)| Step::LookUp { topic, timestamp_ms }),
        1 => (1i64..5).prop_map(|by| Step::Expire { by }),
        1 => any::<bool>().prop_map(|acked| Step::Set { acked }),
        1 => Just(Step::Get),
        1 => Just(Step::List),
        1 => Just(Step::Crash),
        1 => (0i64..6).prop_map(|lost| Step::LosePower { lost }),
    ]
}

/// Nobody may send behind a batch that might be missing with the same session.
fn unknown(story: &mut Story, place: Place, step: &Step) {
    let Step::Unknown { producer, count, appended, again, .. } = step else { return };
    let mut send = story.batch(place, *producer, *count);
    // Those that give up are not idempotent, and one idempotent session goes on in its topic.
    let own = *producer + if *again { 0 } else { 20 };
    send.producer = own;
    if !again {
        send.session = None;
        let next = story.sequences.entry(own).or_default();
        send.first_sequence = *next;
        *next += u64::from(*count);
    }
    if *appended {
        story.append(&send);
    }
    story.note(own, What::Send(send));
    if *again {
        send.base_offset = Some(story.append(&send));
        send.outcome = Outcome::Acked;
        story.note(own, What::Send(send));
    }
}

fn run(story: &mut Story, places: &[Place; 3], step: &Step) {
    match step {
        Step::Send { topic, producer, count } => {
            story.send(places[*topic], *producer, *count);
        }
        Step::Unknown { topic, .. } => unknown(story, places[*topic], step),
        Step::Read { topic, client, most } => story.read(*client, places[*topic], *most),
        Step::Ends { topic } => story.ends(places[*topic]),
        Step::LookUp { topic, timestamp_ms } => story.look_up(places[*topic], *timestamp_ms),
        Step::Expire { by } => {
            let end = story.end(places[1]);
            let log = story.logs.get_mut(&places[1]).unwrap();
            log.start = (log.start + by).min(end);
        }
        Step::Set { acked } => {
            let value = story.committed.get("group").map_or(0, |value| value + 1);
            story.set("group", value, if *acked { Outcome::Acked } else { Outcome::Unknown });
        }
        Step::Get => story.get("group"),
        Step::List => story.list(),
        Step::Crash => {
            story.crash(Crash::Process);
            story.restart();
        }
        Step::LosePower { lost } => {
            let end = (story.end(places[2]) - lost).max(0);
            story.lose_power(places[2], end);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_broker_that_keeps_its_promises_is_never_blamed(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        let mut story = Story::default();
        let places = [
            story.create(1, Policy::Keep, true),
            story.create(2, Policy::Expire { bytes: 0 }, true),
            story.create(3, Policy::Keep, false),
        ];
        for step in &steps {
            run(&mut story, &places, step);
            prop_assert_eq!(check(&story.events, &Limits::default()), vec![]);
        }
        story.read_as(Reader::Final);
        story.read_as(Reader::Raw);
        prop_assert_eq!(check(&story.events, &Limits::default()), vec![]);
    }
}

#[test]
fn a_compacted_log_may_lose_what_was_replaced() {
    let mut story = Story::default();
    let place = story.create(1, Policy::Compact { keys: 2 }, true);
    for _ in 0..5 {
        story.send(place, 1, 2);
        story.read(10, place, 4);
    }
    let log = story.logs.get_mut(&place).unwrap();
    log.records[..8].fill(None);
    story.read_as(Reader::Final);
    assert_eq!(check(&story.events, &Limits::default()), []);
}
