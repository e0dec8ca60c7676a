//! What is known about a config key: its type, default, valid values and effect.

/// A value's type, as Kafka names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`, in any case.
    Bool,
    /// Any text.
    String,
    /// 32 bits, signed.
    Int,
    /// 16 bits, signed.
    Short,
    /// 64 bits, signed.
    Long,
    /// A decimal fraction.
    Double,
    /// Values separated by commas.
    List,
    /// The name of a JVM class.
    Class,
    /// Text that is never shown.
    Password,
}

impl ConfigType {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }

    /// Its number in DescribeConfigs responses, where 0 stands for an unknown type.
    pub fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

/// What holds when a key is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Kafka does not start without it. Ottla has a value of its own for each of these.
    Required,
    /// Nothing.
    Null,
    /// This value, as one would write it.
    Value(&'static str),
}

impl Default {
    /// The default as text; `None` for null and for required.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::Value(text) => Some(text),
            Self::Required | Self::Null => None,
        }
    }
}

/// Which values of the right type are valid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    /// All of them.
    Any,
    /// This and greater.
    AtLeast(i64),
    /// From the first to the second, both included.
    Between(i64, i64),
    /// From the first to the second, or the third.
    BetweenOr(i64, i64, i64),
    /// Fractions from the first to the second, both included.
    Fraction(f64, f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// Text of at least one character.
    NonEmpty,
    /// A list of at least one value.
    NonEmptyList,
    /// A list of these words, which may be empty.
    ListOf(&'static [&'static str]),
    /// A list of these words with at least one of them.
    NonEmptyListOf(&'static [&'static str]),
    /// A list of `partition:broker`, or `*`.
    ThrottledReplicas,
    /// A list of `id@host:port`.
    Voters,
    /// A list of `host:port`.
    HostPorts,
    /// `earliest`, `latest`, or `by_duration:` and a positive ISO 8601 duration.
    OffsetReset,
}

/// How a broker key may change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dynamic {
    /// Only by a restart.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker or for all of them.
    ClusterWide,
}

impl Dynamic {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

/// What Ottla does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It obeys.
    Acts,
    /// It checks the value; there is nothing to obey on one node, or outside a JVM.
    NoEffect,
    /// It checks the value; what the key is about is not built yet.
    NotYet,
}

/// One key's declaration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConfigDef {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: ConfigType,
    /// What holds when it is not set.
    pub default: Default,
    /// Which values are valid.
    pub valid: Valid,
    /// How it may change while the broker runs. Topic and group keys may always.
    pub dynamic: Dynamic,
    /// What Ottla does with it.
    pub effect: Effect,
    /// Whether DescribeConfigs leaves it out unless it is set.
    pub internal: bool,
    /// What it means, in a sentence of Markdown.
    pub doc: &'static str,
}

impl ConfigDef {
    /// Whether its value must never be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }
}
