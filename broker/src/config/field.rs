//! From values that were checked to the plain fields that the rest of the broker reads.

use super::value::Value;

/// Declares structs of settings and how each is read, one line a field. `FIELDS` lists them.
macro_rules! settings {
    ($($(#[$doc:meta])* $struct:ident { $($field:ident: $type:ty = $name:literal;)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            #[expect(missing_docs, reason = "each field is the key of its name; see SUBJECTS")]
            pub struct $struct {
                $(pub $field: $type,)*
            }

            impl $struct {
                /// Reads each key by `value`, which knows where to look.
                fn read<E>(
                    value: impl Fn(&'static str) -> Result<Option<$crate::config::Value>, E>,
                ) -> Result<Self, E> {
                    Ok(Self { $($field: $crate::config::field::Field::of(value($name)?),)* })
                }
            }
        )*

        #[cfg(test)]
        pub(super) const FIELDS: &[(&str, &str)] =
            &[$($((stringify!($field), $name)),*),*];
    };
}
pub(super) use settings;

/// A type that a setting's value can be read as. The declarations are the check, so this cannot
/// fail: a negative number is read as 0 where there are none, and null as nothing. A test
/// compares each field with its key's default.
pub(super) trait Field {
    fn of(value: Option<Value>) -> Self;
}

impl Field for bool {
    fn of(value: Option<Value>) -> Self {
        matches!(value, Some(Value::Bool(true)))
    }
}

impl Field for i64 {
    fn of(value: Option<Value>) -> Self {
        if let Some(Value::Integer(n)) = value { n } else { 0 }
    }
}

impl Field for f64 {
    fn of(value: Option<Value>) -> Self {
        if let Some(Value::Double(n)) = value { n } else { 0.0 }
    }
}

impl Field for i32 {
    fn of(value: Option<Value>) -> Self {
        let n = i64::of(value).clamp(i32::MIN.into(), i32::MAX.into());
        i32::try_from(n).expect("clamped")
    }
}

impl Field for u32 {
    fn of(value: Option<Value>) -> Self {
        u32::try_from(i64::of(value).clamp(0, u32::MAX.into())).expect("clamped")
    }
}

impl Field for i16 {
    fn of(value: Option<Value>) -> Self {
        let n = i64::of(value).clamp(i16::MIN.into(), i16::MAX.into());
        i16::try_from(n).expect("clamped")
    }
}

impl Field for u64 {
    fn of(value: Option<Value>) -> Self {
        u64::try_from(i64::of(value).max(0)).expect("not negative")
    }
}

impl Field for usize {
    fn of(value: Option<Value>) -> Self {
        usize::try_from(i64::of(value).max(0)).unwrap_or(usize::MAX)
    }
}

impl Field for String {
    fn of(value: Option<Value>) -> Self {
        if let Some(Value::Text(text)) = value { text } else { String::new() }
    }
}

impl Field for Vec<String> {
    fn of(value: Option<Value>) -> Self {
        if let Some(Value::List(values)) = value { values } else { Vec::new() }
    }
}

impl<T: Field> Field for Option<T> {
    fn of(value: Option<Value>) -> Self {
        value.map(|value| T::of(Some(value)))
    }
}
