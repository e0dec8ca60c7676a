//! Rows of the table, and what Ottla's figure in them should be.

use std::fmt::Write as _;

use super::Subject;

/// What a figure of Ottla's should be, of its own or beside that of another subject.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// The median is no greater.
    Most(f64),
    /// The median is no less.
    Least(f64),
    /// So many times the other's, or less.
    MostOf(f64, Subject),
    /// So many times the other's, or more.
    LeastOf(f64, Subject),
}

/// All of these; of no bounds when nothing is aimed at.
pub(super) type Goal = &'static [Bound];

/// A figure to be taken from a generator's answer.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// What it is called.
    pub(super) name: &'a str,
    /// Its field in the answer.
    pub(super) key: &'a str,
    pub(super) goal: Goal,
}

/// A row without a goal.
pub(super) const fn row<'a>(name: &'a str, key: &'a str) -> Row<'a> {
    Row { name, key, goal: &[] }
}

impl Row<'_> {
    /// The same with a goal.
    pub(super) const fn to(self, goal: Goal) -> Self {
        Row { goal, ..self }
    }
}

impl Bound {
    /// Whether it holds; `None` when what it needs was not measured.
    fn holds(self, ottla: f64, ratio: impl Fn(Subject) -> Option<f64>) -> Option<bool> {
        match self {
            Self::Most(limit) => Some(ottla <= limit),
            Self::Least(limit) => Some(ottla >= limit),
            Self::MostOf(limit, other) => ratio(other).map(|ratio| ratio <= limit),
            Self::LeastOf(limit, other) => ratio(other).map(|ratio| ratio >= limit),
        }
    }
}

/// How a goal reads.
pub(super) fn told(goal: Goal) -> String {
    let mut told = String::new();
    for bound in goal {
        let comma = if told.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = match *bound {
            Bound::Most(limit) => write!(told, "{comma}<= {limit}"),
            Bound::Least(limit) => write!(told, "{comma}>= {limit}"),
            Bound::MostOf(limit, other) => write!(told, "{comma}<= {limit} x {}", name(other)),
            Bound::LeastOf(limit, other) => write!(told, "{comma}>= {limit} x {}", name(other)),
        };
    }
    told
}

fn name(subject: Subject) -> &'static str {
    match subject {
        Subject::Floor => "floor",
        Subject::Ottla => "Ottla",
        Subject::Kafka => "Kafka",
    }
}

/// `missed` when one of the bounds does not hold, `met` when all do, and `open` when one of them
/// cannot be told and the others hold.
pub(super) fn verdict(
    goal: Goal,
    ottla: f64,
    ratio: impl Fn(Subject) -> Option<f64>,
) -> &'static str {
    let held: Vec<Option<bool>> = goal.iter().map(|bound| bound.holds(ottla, &ratio)).collect();
    if goal.is_empty() {
        ""
    } else if held.contains(&Some(false)) {
        "missed"
    } else if held.contains(&None) {
        "open"
    } else {
        "met"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_by_all_of_its_bounds() {
        let goal: Goal = &[
            Bound::Most(4.0),
            Bound::MostOf(1.7, Subject::Floor),
            Bound::LeastOf(5.0, Subject::Kafka),
        ];
        assert_eq!(told(goal), "<= 4, <= 1.7 x floor, >= 5 x Kafka");
        let judge = |ottla, floor, kafka| {
            verdict(goal, ottla, |other| if other == Subject::Floor { floor } else { kafka })
        };
        assert_eq!(judge(4.0, Some(1.7), Some(5.0)), "met");
        assert_eq!(judge(4.1, Some(1.7), Some(5.0)), "missed");
        assert_eq!(judge(4.0, Some(1.71), None), "missed");
        assert_eq!(judge(4.0, Some(1.7), Some(4.9)), "missed");
        assert_eq!(judge(4.0, Some(1.7), None), "open");
        assert_eq!(verdict(&[Bound::Least(2.0)], 1.9, |_| None), "missed");
        assert_eq!(verdict(&[], 1.0, |_| None), "");
    }
}
