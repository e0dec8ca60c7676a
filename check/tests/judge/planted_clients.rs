//! Clients that get nothing done.

use ottla_check::event::{Crash, Outcome, Place, Policy, TopicId, What};
use ottla_check::judge::{Limits, check};
use ottla_check::violation::Rule;

use super::planted::expect;
use super::story::{Story, register};

#[test]
fn clients_that_hang() {
    let mut story = Story::default();
    let place = story.create(1, Policy::Keep, true);
    story.send(place, 1, 1);
    story.crash(Crash::Process);
    story.restart();
    let legal = story.clone();
    story.pass_seconds(11);
    story.ends(place);
    expect("no more attempts", &story.events, Rule::Liveness, &[]);

    story = legal.clone();
    let batch = story.batch(place, 1, 1);
    story.note(1, What::Send(batch));
    story.pass_seconds(11);
    story.send(place, 1, 1);
    expect("an answer too late", &story.events, Rule::Liveness, &[]);

    story = legal.clone();
    story.note(1, What::Stopped);
    story.pass_seconds(11);
    story.ends(place);
    assert_eq!(check(&story.events, &Limits::default()), []);

    story = legal;
    story.pass_seconds(1);
    story.crash(Crash::Process);
    story.pass_seconds(20);
    story.ends(place);
    assert_eq!(check(&story.events, &Limits::default()), []);
}

/// Lives of the broker that are all shorter than the limit: together they are not.
#[test]
fn clients_that_hang_through_many_lives() {
    let lives = |what: &dyn Fn(&mut Story, u32)| {
        let mut story = Story::default();
        story.create(1, Policy::Keep, true);
        for life in 0..14 {
            what(&mut story, life);
            story.pass_seconds(1);
            story.crash(Crash::Process);
            story.pass_seconds(3);
            story.restart();
        }
        story
    };
    let place = Place { topic: TopicId([1; 16]), partition: 0 };

    let story = lives(&|story, life| {
        // Once in each limit is enough.
        if life % 9 == 0 {
            story.send(place, 1, 1);
        }
    });
    assert_eq!(check(&story.events, &Limits::default()), []);

    let story = lives(&|story, life| {
        if life == 0 {
            story.send(place, 1, 1);
        }
        let batch = story.batch(place, 2, 1);
        story.note(1, What::Send(batch));
    });
    expect("no answer in any life", &story.events, Rule::Liveness, &[]);

    let story = lives(&|story, life| {
        if life == 0 {
            story.note(1, What::Started);
        }
    });
    expect("no attempt that could be recorded", &story.events, Rule::Liveness, &[]);

    let story = lives(&|story, _| {
        story.note(1, What::Got { register: register("group"), value: None });
        story.note(
            1,
            What::Set { register: register("group"), value: 0, outcome: Outcome::Unknown },
        );
    });
    expect("reads, but no write", &story.events, Rule::Liveness, &[]);

    let story = lives(&|story, _| {
        let mut batch = story.batch(place, 1, 1);
        batch.outcome = Outcome::Failed;
        story.note(1, What::Send(batch));
    });
    expect("nothing but refusals", &story.events, Rule::Liveness, &[]);
}
