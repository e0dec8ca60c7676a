//! What a setting is: its name, its values, its default.

/// A setting that there is.
#[derive(Clone, Copy, Debug)]
pub struct Def {
    /// Kafka's name for it.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// What holds when it is not set; `None` when nothing does.
    pub default: Option<&'static str>,
    /// What it does.
    pub doc: &'static str,
}

/// The values of a setting.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// Texts with commas between them.
    List,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// The settings of one kind of client.
pub(crate) type Table = [Def];

impl Def {
    /// Whether a value is valid, and else what would be.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let trimmed = value.trim();
        match self.kind {
            Kind::Number(min, max) => match trimmed.parse::<i64>() {
                Ok(number) if min <= number && number <= max => Ok(()),
                _ => Err(format!("not a whole number from {min} to {max}")),
            },
            Kind::Flag
                if ["true", "false"].iter().any(|flag| trimmed.eq_ignore_ascii_case(flag)) =>
            {
                Ok(())
            }
            Kind::Flag => Err("neither true nor false".to_owned()),
            Kind::Text | Kind::List => Ok(()),
            Kind::Choice(choices) if choices.contains(&trimmed) => Ok(()),
            Kind::Choice(choices) => Err(format!("not one of {}", choices.join(", "))),
        }
    }
}

/// A table of settings: `"name": kind = default, "what it does";`.
macro_rules! defs {
    ($(
        $name:literal: $kind:ident $(($($arg:expr),*))? $(= $default:literal)?, $doc:literal;
    )*) => {
        [$(
            $crate::config::Def {
                name: $name,
                kind: $crate::config::Kind::$kind $(($($arg),*))?,
                default: $crate::config::defs!(@default $($default)?),
                doc: $doc,
            },
        )*]
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(crate) use defs;
