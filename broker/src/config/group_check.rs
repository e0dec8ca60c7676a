//! Whether a group may be given some settings.

use super::group_keys;
use super::keys;
use super::layers::{Layers, Overrides};
use super::topic_check::InvalidConfig;
use super::value::Value;

/// Whether a group may have the settings `group`, all of those that it is to have.
///
/// # Errors
/// The message that goes with INVALID_CONFIG: an unknown key, a value that is not valid or outside
/// the broker's bounds, members that would be out before they are due.
pub fn check_group(layers: Layers<'_>, group: &Overrides) -> Result<(), InvalidConfig> {
    for (name, text) in group {
        let Some(def) = group_keys::find(name) else {
            return Err(InvalidConfig(format!("Unknown group config name: {name}")));
        };
        let value = def.parse(text).map_err(|wrong| {
            InvalidConfig(format!("Invalid value {text} for configuration {name}: it {wrong}"))
        })?;
        if let Value::Integer(n) = value {
            check_bounds(layers, name, n)?;
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let key = |name: &str| format!("{kind}.{name}");
        let (session, heartbeat) = (key("session.timeout.ms"), key("heartbeat.interval.ms"));
        let value = |name: &str| layers.group_value(group_keys::find(name)?, group);
        if let (Some(Value::Integer(session_ms)), Some(Value::Integer(heartbeat_ms))) =
            (value(&session), value(&heartbeat))
            && session_ms <= heartbeat_ms
            && (group.contains_key(&*session) || group.contains_key(&*heartbeat))
        {
            return Err(InvalidConfig(format!("{session} must be greater than {heartbeat}")));
        }
    }
    Ok(())
}

/// The broker's bounds of the group key `name`: `group.<kind>.min.<rest>` and so on.
fn check_bounds(layers: Layers<'_>, name: &str, value: i64) -> Result<(), InvalidConfig> {
    let Some((kind, rest)) = name.split_once('.') else { return Ok(()) };
    let rest = rest.strip_prefix("num.").unwrap_or(rest);
    let bound = |which: &str| {
        let key = format!("group.{kind}.{which}.{rest}");
        match keys::find(&key).and_then(|def| layers.value(def)) {
            Some(Value::Integer(bound)) => Some((key, bound)),
            _ => None,
        }
    };
    if let Some((key, low)) = bound("min")
        && value < low
    {
        return Err(InvalidConfig(format!("{name} must be greater than or equal to {key}")));
    }
    if let Some((key, high)) = bound("max")
        && high < value
    {
        return Err(InvalidConfig(format!("{name} must be less than or equal to {key}")));
    }
    Ok(())
}
