//! What became of several things that were to be changed: each has a fate of its own.

use serde_json::Value;

use super::{Data, Format, Output};
use crate::{CannotRun, Found, Outcome, complaint};

/// What became of one thing, and what else is to be told of it.
pub(crate) type Fate = Result<Vec<(&'static str, Value)>, CannotRun>;

impl Output {
    /// Prints them: `created topic orders`, or an object for each, of which the first word of
    /// `verb` is the result. Failures go to standard error too.
    pub(crate) fn changes(
        &self,
        kind: &'static str,
        verb: &'static str,
        fates: Vec<(String, Fate)>,
    ) -> Outcome {
        let mut found = Found::Nothing;
        let result = verb.split(' ').next().unwrap_or(verb);
        let (mut list, mut text) = (Vec::new(), String::new());
        for (name, fate) in fates {
            let mut fields = vec![(kind, Data::Leaf(Value::from(name.as_str())))];
            match fate {
                Ok(more) => {
                    text += &match self.format() {
                        Format::Name => format!("{name}\n"),
                        _ => format!("{verb} {kind} {name}\n"),
                    };
                    fields.push(("result", Data::Leaf(result.into())));
                    fields.extend(more.into_iter().map(|(name, value)| (name, Data::Leaf(value))));
                }
                Err(CannotRun(why)) => {
                    fields.push(("result", Data::Leaf("failed".into())));
                    fields.push(("error", Data::Leaf(why.as_str().into())));
                    complaint::print(why);
                    found = Found::Damage;
                }
            }
            list.push(Data::Object(fields));
        }
        self.print(&if self.is_data() { self.encoded(&Data::List(list)) } else { text })?;
        Ok(found)
    }
}
