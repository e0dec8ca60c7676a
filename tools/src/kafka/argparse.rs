//! Arguments as Python's argparse takes them, whose port the producer's measurement uses: a name
//! may be cut short, and options may exclude each other.

use super::Failed;
use super::options::Options;

/// How many values an option has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    None,
    One,
    /// One or more.
    Some,
}

/// The options of a tool.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) tool: &'static str,
    pub(super) options: &'static [(&'static str, Values)],
    pub(super) required: &'static [&'static str],
    /// Of these there must be exactly one.
    pub(super) one_of: &'static [&'static str],
}

impl Known {
    /// # Errors
    /// An option is not known or has not the values that it needs; one that is needed is missing.
    pub(super) fn parse(&'static self, args: &[String]) -> Result<Options, Failed> {
        self.take(args).map_err(|why| self.wrong(&why))
    }

    /// What the tool prints when it is asked for help, or is given nothing.
    pub(super) fn usage(&self) -> String {
        let option = |(name, values): &(&str, Values)| {
            let text = match values {
                Values::None => format!("--{name}"),
                Values::One => format!("--{name} VALUE"),
                Values::Some => format!("--{name} VALUE [VALUE ...]"),
            };
            if self.required.contains(name) { text } else { format!("[{text}]") }
        };
        let alone = self.options.iter().filter(|(name, _)| !self.is_one_of(name)).map(option);
        let one_of: Vec<String> = self.one_of.iter().map(|name| format!("--{name}")).collect();
        let options: Vec<String> = alone.collect();
        let one_of = one_of.join(" | ");
        format!("usage: {} [-h] {} ({one_of})", self.tool, options.join(" "))
    }

    /// What is wrong, as the tool says it.
    pub(super) fn wrong(&self, why: &str) -> Failed {
        Failed::Err(format!("{}: error: {why}", self.tool))
    }

    fn take(&'static self, args: &[String]) -> Result<Options, String> {
        let mut given: Vec<(&'static str, Option<String>)> = Vec::new();
        let mut args = args.iter().peekable();
        while let Some(arg) = args.next() {
            let unknown = || format!("unrecognized arguments: '{arg}'");
            let text = arg.strip_prefix("--").ok_or_else(unknown)?;
            let (name, joined) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text, None),
            };
            let (name, values) = self.find(name)?.ok_or_else(unknown)?;
            let other = self.one_of.iter().find(|other| given.iter().any(|(it, _)| it == *other));
            if let Some(other) = other.filter(|other| **other != name && self.is_one_of(name)) {
                return Err(format!("argument --{name}: not allowed with argument --{other}"));
            }
            // Of an option that is given again the last counts.
            given.retain(|(before, _)| *before != name);
            let mut next = || args.next_if(|next| is_value(next)).cloned();
            let wanted = match values {
                Values::None if joined.is_some() => {
                    return Err(format!("argument --{name}: ignored explicit argument"));
                }
                Values::None => {
                    given.push((name, None));
                    continue;
                }
                Values::One => "expected one argument",
                Values::Some => "expected at least one argument",
            };
            let is_alone = values == Values::One || joined.is_some();
            let missing = || format!("argument --{name}: {wanted}");
            given.push((name, Some(joined.or_else(&mut next).ok_or_else(missing)?)));
            if !is_alone {
                given.extend(std::iter::from_fn(next).map(|value| (name, Some(value))));
            }
        }
        self.check(Options::of(given))
    }

    fn check(&self, options: Options) -> Result<Options, String> {
        if let Some(name) = self.required.iter().find(|name| !options.has(name)) {
            return Err(format!("argument --{name} is required"));
        }
        if !self.one_of.is_empty() && options.given(self.one_of).is_empty() {
            let names: Vec<_> = self.one_of.iter().map(|name| format!("--{name}")).collect();
            return Err(format!("one of the arguments {} is required", names.join(" ")));
        }
        Ok(options)
    }

    fn is_one_of(&self, name: &str) -> bool {
        self.one_of.contains(&name)
    }

    fn find(&self, name: &str) -> Result<Option<(&'static str, Values)>, String> {
        if let Some(found) = self.options.iter().find(|(known, _)| *known == name) {
            return Ok(Some(*found));
        }
        let begin = self.options.iter().filter(|(known, _)| known.starts_with(name));
        let near: Vec<_> = begin.filter(|_| !name.is_empty()).collect();
        match near[..] {
            [] => Ok(None),
            [found] => Ok(Some(*found)),
            _ => {
                let names: Vec<_> = near.iter().map(|(known, _)| format!("--{known}")).collect();
                let names = names.join(", ");
                Err(format!("ambiguous option: --{name} could match {names}"))
            }
        }
    }
}

/// Whether an argument is a value: numbers may be negative.
fn is_value(arg: &str) -> bool {
    arg.strip_prefix('-').is_none_or(|rest| rest.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    static KNOWN: Known = Known {
        tool: "tool",
        options: &[
            ("topic", Values::One),
            ("throughput", Values::One),
            ("props", Values::Some),
            ("size", Values::One),
            ("counting", Values::None),
        ],
        required: &["topic"],
        one_of: &["size", "counting"],
    };

    fn parse(text: &str) -> Result<Options, String> {
        let args: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        KNOWN.take(&args)
    }

    #[test]
    fn values_are_taken_till_the_next_option() {
        let options = parse("--props a=1 b=2 --topic=t --thr -1 --size 1 --size 2").unwrap();
        assert_eq!(options.all("props").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(options.get("throughput"), Some("-1"));
        assert_eq!(options.all("size").collect::<Vec<_>>(), ["2"]);
        assert!(parse("--topic t --counting").unwrap().has("counting"));
    }

    #[test]
    fn help_tells_what_is_needed() {
        assert_eq!(
            KNOWN.usage(),
            "usage: tool [-h] --topic VALUE [--throughput VALUE] [--props VALUE [VALUE ...]] \
             (--size | --counting)"
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_the_same_words() {
        for (text, why) in [
            ("--bogus", "unrecognized arguments: '--bogus'"),
            ("--topic t more", "unrecognized arguments: 'more'"),
            ("--topic --size 1", "argument --topic: expected one argument"),
            ("--props", "argument --props: expected at least one argument"),
            ("--size 1", "argument --topic is required"),
            ("--topic t", "one of the arguments --size --counting is required"),
            ("--size 1 --counting", "argument --counting: not allowed with argument --size"),
            ("--t x", "ambiguous option: --t could match --topic, --throughput"),
            ("--counting=1", "argument --counting: ignored explicit argument"),
            ("--", "unrecognized arguments: '--'"),
        ] {
            assert_eq!(parse(text).unwrap_err(), why, "{text}");
        }
    }
}
