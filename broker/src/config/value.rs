//! Values: text to typed value, checked against the key's declaration, and back to text.

use super::def::{ConfigDef, ConfigType, Valid};

/// A value of one of the types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// BOOLEAN.
    Bool(bool),
    /// SHORT, INT and LONG.
    Integer(i64),
    /// DOUBLE.
    Double(f64),
    /// STRING, CLASS and PASSWORD.
    Text(String),
    /// LIST.
    List(Vec<String>),
}

impl std::fmt::Display for Value {
    /// As DescribeConfigs shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&java_double(*value)),
            Self::Text(value) => f.write_str(value),
            Self::List(values) => f.write_str(&values.join(",")),
        }
    }
}

impl ConfigDef {
    /// The value that `text` stands for, blanks around it ignored.
    ///
    /// # Errors
    /// What is wrong with it, to be read after the key and the value.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let value = match self.kind {
            ConfigType::Bool => parse_bool(text)?,
            ConfigType::Short => parse_integer(text, self.kind, i16::MIN.into(), i16::MAX.into())?,
            ConfigType::Int => parse_integer(text, self.kind, i32::MIN.into(), i32::MAX.into())?,
            ConfigType::Long => parse_integer(text, self.kind, i64::MIN, i64::MAX)?,
            ConfigType::Double => parse_double(text)?,
            ConfigType::List => Value::List(parse_list(text)),
            ConfigType::String | ConfigType::Class | ConfigType::Password => {
                Value::Text(text.to_owned())
            }
        };
        self.valid.check(&value)?;
        Ok(match (self.valid, value) {
            (Valid::ListOf(_), Value::List(values)) => Value::List(without_duplicates(values)),
            (_, value) => value,
        })
    }

    /// The default; `None` for null and for required.
    pub fn default_value(&self) -> Option<Value> {
        let text = self.default.text()?;
        Some(self.parse(text).expect("each default of the tables is valid, as a test shows"))
    }

    /// What is valid, in words for an error message and the documentation.
    pub fn valid_words(&self) -> String {
        let kind = match self.kind {
            ConfigType::Bool => "true or false",
            ConfigType::Short | ConfigType::Int | ConfigType::Long => "a whole number",
            ConfigType::Double => "a number",
            ConfigType::List => "a list separated by commas",
            ConfigType::Class => "a class name",
            ConfigType::String | ConfigType::Password => "text",
        };
        let max = match self.kind {
            ConfigType::Short => i64::from(i16::MAX),
            ConfigType::Int => i64::from(i32::MAX),
            _ => i64::MAX,
        };
        match self.valid {
            Valid::Any => kind.to_owned(),
            Valid::AtLeast(low) if self.kind == ConfigType::Long => {
                format!("{kind}, at least {low}")
            }
            Valid::AtLeast(low) => format!("{kind} from {low} to {max}"),
            Valid::Between(low, high) => format!("{kind} from {low} to {high}"),
            Valid::BetweenOr(low, high, or) => format!("{kind} from {low} to {high}, or {or}"),
            Valid::Fraction(low, high) => format!("{kind} from {low} to {high}"),
            Valid::OneOf(words) | Valid::OneOfIgnoringCase(words) => one_of(words),
            Valid::NonEmpty => format!("{kind}, not empty"),
            Valid::NonEmptyList => format!("{kind}, not empty"),
            Valid::ListOf(words) => format!("{kind} of {}", one_of(words)),
            Valid::NonEmptyListOf(words) => format!("{kind} of {}, not empty", one_of(words)),
            Valid::ThrottledReplicas => "* or a list of partition:broker".to_owned(),
            Valid::Voters => "a list of id@host:port".to_owned(),
            Valid::HostPorts => "a list of host:port".to_owned(),
            Valid::OffsetReset => "earliest, latest or by_duration:<PnDTnHnMn.nS>".to_owned(),
        }
    }
}

impl Valid {
    /// Whether `value`, of the key's type, is valid; else what is wrong with it.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::AtLeast(low), Value::Integer(n)) if n < low => {
                Err(format!("must be at least {low}"))
            }
            (Self::Between(low, high), Value::Integer(n)) if n < low || high < n => {
                Err(format!("must be from {low} to {high}"))
            }
            (Self::BetweenOr(low, high, or), Value::Integer(n))
                if (n < low || high < n) && n != or =>
            {
                Err(format!("must be from {low} to {high}, or {or}"))
            }
            (Self::Fraction(low, high), Value::Double(n)) if !(*low <= *n && *n <= *high) => {
                Err(format!("must be from {low} to {high}"))
            }
            (Self::OneOf(words), Value::Text(text)) if !words.contains(&text.as_str()) => {
                Err(format!("must be {}", one_of(words)))
            }
            (Self::OneOfIgnoringCase(words), Value::Text(text))
                if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) =>
            {
                Err(format!("must be {}", one_of(words)))
            }
            (Self::NonEmpty, Value::Text(text)) if text.is_empty() => {
                Err("must not be empty".to_owned())
            }
            (Self::OffsetReset, Value::Text(text)) if !is_offset_reset(text) => {
                Err("must be earliest, latest or by_duration:<PnDTnHnMn.nS>".to_owned())
            }
            (_, Value::List(values)) => self.check_list(values),
            _ => Ok(()),
        }
    }

    fn check_list(&self, values: &[String]) -> Result<(), String> {
        if let Self::ThrottledReplicas = self {
            let whole = values.len() == 1 && values[0] == "*";
            return match values.iter().find(|value| !whole && !is_replica(value)) {
                Some(value) => Err(format!("{value:?} is neither * nor partition:broker")),
                None => Ok(()),
            };
        }
        if values.iter().any(String::is_empty) {
            return Err("holds an empty value between two commas".to_owned());
        }
        let duplicate = values.iter().enumerate().find(|(n, value)| values[..*n].contains(value));
        if let (Some((_, value)), false) = (duplicate, matches!(self, Self::ListOf(_))) {
            return Err(format!("names {value:?} twice"));
        }
        match self {
            Self::NonEmptyList | Self::NonEmptyListOf(_) if values.is_empty() => {
                Err("must not be empty".to_owned())
            }
            Self::ListOf(words) | Self::NonEmptyListOf(words) => {
                match values.iter().find(|value| !words.contains(&value.as_str())) {
                    Some(value) => Err(format!("{value:?} must be {}", one_of(words))),
                    None => Ok(()),
                }
            }
            Self::Voters => match values.iter().find(|value| !is_voter(value)) {
                Some(value) => Err(format!("{value:?} is not id@host:port")),
                None => Ok(()),
            },
            Self::HostPorts => match values.iter().find(|value| !is_host_port(value)) {
                Some(value) => Err(format!("{value:?} is not host:port")),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn parse_bool(text: &str) -> Result<Value, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(Value::Bool(true))
    } else if text.eq_ignore_ascii_case("false") {
        Ok(Value::Bool(false))
    } else {
        Err("must be true or false".to_owned())
    }
}

fn parse_integer(text: &str, kind: ConfigType, low: i64, high: i64) -> Result<Value, String> {
    match text.parse::<i64>() {
        Ok(value) if (low..=high).contains(&value) => Ok(Value::Integer(value)),
        _ => Err(format!("is not a number of type {}", kind.name())),
    }
}

/// Java takes a type letter after the digits; its NaN and infinities make no sense in any key.
fn parse_double(text: &str) -> Result<Value, String> {
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Double(value)),
        _ => Err("is not a number of type DOUBLE".to_owned()),
    }
}

fn parse_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|value| value.trim().to_owned()).collect()
}

/// Kafka takes `delete,delete` for `delete`.
fn without_duplicates(values: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(values.len());
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn is_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => is_duration(duration),
        None => matches!(text, "earliest" | "latest"),
    }
}

/// Whether `text` is `PnDTnHnMn.nS` with at least one part and nothing negative.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['P', 'p']) else { return false };
    let rest = rest.to_ascii_uppercase();
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (rest.as_str(), None),
    };
    if time.map_or(days.is_empty(), str::is_empty) {
        return false;
    }
    is_parts(days, "D") && time.is_none_or(|time| is_parts(time, "HMS"))
}

/// Whether `text` is numbers, each with one of `units` behind it, in their order.
fn is_parts(text: &str, units: &str) -> bool {
    let mut rest = text;
    let mut units = units.chars();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, unit) = rest.split_at(digits);
        let Some(unit) = unit.chars().next() else { return false };
        let is_number = match number.split_once('.') {
            Some((whole, part)) => unit == 'S' && !whole.is_empty() && !part.contains('.'),
            None => !number.is_empty(),
        };
        if !is_number || !units.any(|known| known == unit) {
            return false;
        }
        rest = &rest[digits + unit.len_utf8()..];
    }
    true
}

fn is_replica(text: &str) -> bool {
    let number = |part: &str| part.parse::<u32>().is_ok();
    text.split_once(':').is_some_and(|(partition, broker)| number(partition) && number(broker))
}

fn is_voter(text: &str) -> bool {
    text.split_once('@').is_some_and(|(id, address)| {
        id.parse::<i32>().is_ok_and(|id| 0 <= id) && is_host_port(address)
    })
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// `value` as Java prints it: decimal between 0.001 and 10,000,000, else with an exponent.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}
