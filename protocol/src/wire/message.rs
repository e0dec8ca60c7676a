//! Messages as tables: one line a field, from which reading, writing and defaults follow.

use std::ops::RangeInclusive;

use super::{ReadError, ReadErrorKind, Reader, Ver, Wire, WriteError, Writer};

/// A struct that stands on its own: a request, a response, a record's key or value.
pub trait Message<'a>: Wire<'a> {
    /// The name in Kafka's schemas.
    const NAME: &'static str;
    /// The versions that exist.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version; `None` when all are classic.
    const FLEXIBLE_FROM: Option<i16>;

    /// How `version` is written; `None` when the message has no such version.
    fn ver(version: i16) -> Option<Ver> {
        let flexible = Self::FLEXIBLE_FROM.is_some_and(|first| version >= first);
        Self::VERSIONS.contains(&version).then_some(Ver { version, flexible })
    }

    /// Reads the message at the reader's position. Bytes after it are left: Kafka ignores them.
    ///
    /// # Errors
    /// When the version does not exist or the bytes are not this message.
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, ReadError> {
        match Self::ver(version) {
            Some(ver) => Self::read(reader, ver),
            None => Err(reader.error(ReadErrorKind::UnsupportedVersion)),
        }
    }

    /// Reads the message that `bytes` begin with.
    ///
    /// # Errors
    /// As [`Message::decode`].
    fn from_bytes(bytes: &'a [u8], version: i16) -> Result<Self, ReadError> {
        Self::decode(&mut Reader::new(bytes), version)
    }

    /// Appends the message.
    ///
    /// # Errors
    /// When the version does not exist, or a field has no form in it.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), WriteError> {
        match Self::ver(version) {
            Some(ver) => self.write(writer, ver),
            None => Err(WriteError::UnsupportedVersion { name: Self::NAME, version }),
        }
    }

    /// The message's bytes. A record set that is a splice leaves nothing but its length.
    ///
    /// # Errors
    /// As [`Message::encode`].
    fn to_bytes(&self, version: i16) -> Result<Vec<u8>, WriteError> {
        let mut writer = Writer::new();
        self.encode(&mut writer, version)?;
        Ok(writer.finish().bytes)
    }
}

/// Declares structs with their wire form.
///
/// ```text
/// struct Name<'a> [0..=9, flexible (6..)] {      versions; absent for a struct within a message
///     field: Type [versions];
///     field: Type [versions, ignorable];         dropped in silence when the version lacks it
///     field: Option<Type> [versions];            nullable wherever it exists
///     field: Option<Type> [versions; null 2..];  nullable in these versions only
///     field: Type [versions] = default;          else Rust's default
/// } tagged {
///     0 => field: Type [versions];               written only when not at its default
///     1 after other => field: Type [versions];   in Kafka's schema, and so in JSON, behind `other`
/// }
/// ```
///
/// A field outside its versions reads as its default. Writing one there is an error unless it is at
/// its default or `ignorable`, as in Kafka. A lifetime must be called `'a`.
macro_rules! messages {
    ($(
        $(#[$meta:meta])*
        struct $name:ident $(<$lt:lifetime>)? $([$valid:expr $(, flexible ($flexible:expr))?])? {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $ty:ty
                [$versions:expr $(, $ignorable:ident)? $(; null $null:expr)?] $(= $default:expr)?;
            )*
        }
        $(tagged {
            $(
                $(#[$tag_meta:meta])*
                $tag:literal $(after $after:ident)? => $tag_field:ident: $tag_ty:ty
                [$tag_versions:expr $(, $tag_ignorable:ident)?] $(= $tag_default:expr)?;
            )*
        })?
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name $(<$lt>)? {
            $( $(#[$field_meta])* pub $field: $ty, )*
            $($( $(#[$tag_meta])* pub $tag_field: $tag_ty, )*)?
        }

        impl $(<$lt>)? Default for $name $(<$lt>)? {
            fn default() -> Self {
                Self {
                    $( $field: $crate::wire::default_of!($ty $(, $default)?), )*
                    $($( $tag_field: $crate::wire::default_of!($tag_ty $(, $tag_default)?), )*)?
                }
            }
        }

        impl<'a> $crate::wire::Wire<'a> for $name $(<$lt>)? {
            fn read(
                r: &mut $crate::wire::Reader<'a>,
                ver: $crate::wire::Ver,
            ) -> Result<Self, $crate::wire::ReadError> {
                $(
                    let $field: $ty = if ($versions).contains(&ver.version) {
                        $crate::wire::read_field!(r, ver $(, $null)?)
                    } else {
                        $crate::wire::default_of!($ty $(, $default)?)
                    };
                )*
                $($(
                    let mut $tag_field: $tag_ty =
                        $crate::wire::default_of!($tag_ty $(, $tag_default)?);
                )*)?
                if ver.flexible {
                    let mut cursor = r.begin_tags()?;
                    while let Some(_tag) = r.next_tag(&mut cursor)? {
                        $($(
                            if _tag == $tag && ($tag_versions).contains(&ver.version) {
                                $tag_field = $crate::wire::Wire::read_tagged(r, ver)?;
                            }
                        )*)?
                    }
                }
                Ok(Self { $($field,)* $($($tag_field,)*)? })
            }

            fn write(
                &self,
                w: &mut $crate::wire::Writer,
                ver: $crate::wire::Ver,
            ) -> Result<(), $crate::wire::WriteError> {
                $(
                    if ($versions).contains(&ver.version) {
                        $crate::wire::write_field!(self, $name, $field, w, ver $(, $null)?);
                    } else {
                        $crate::wire::check_default!(
                            ($name, $field, ver) self.$field,
                            $crate::wire::default_of!($ty $(, $default)?) $(, $ignorable)?
                        );
                    }
                )*
                let mut _tags = 0u32;
                $($(
                    if !($tag_versions).contains(&ver.version) {
                        $crate::wire::check_default!(
                            ($name, $tag_field, ver) self.$tag_field,
                            $crate::wire::default_of!($tag_ty $(, $tag_default)?)
                            $(, $tag_ignorable)?
                        );
                    } else if self.$tag_field
                        != $crate::wire::default_of!($tag_ty $(, $tag_default)?)
                    {
                        _tags += 1;
                    }
                )*)?
                if ver.flexible {
                    w.uvarint(_tags);
                    $($(
                        if ($tag_versions).contains(&ver.version)
                            && self.$tag_field
                                != $crate::wire::default_of!($tag_ty $(, $tag_default)?)
                        {
                            let start = w.begin_tag($tag);
                            $crate::wire::Wire::write_tagged(&self.$tag_field, w, ver)?;
                            w.end_tag(start);
                        }
                    )*)?
                }
                Ok(())
            }
        }

        impl<'a> $crate::wire::Nullable<'a> for $name $(<$lt>)? {
            fn read_nullable(
                r: &mut $crate::wire::Reader<'a>,
                ver: $crate::wire::Ver,
            ) -> Result<Option<Self>, $crate::wire::ReadError> {
                r.presence()?.then(|| $crate::wire::Wire::read(r, ver)).transpose()
            }

            fn write_nullable(
                value: Option<&Self>,
                w: &mut $crate::wire::Writer,
                ver: $crate::wire::Ver,
            ) -> Result<(), $crate::wire::WriteError> {
                w.presence(value.is_some());
                value.map_or(Ok(()), |value| $crate::wire::Wire::write(value, w, ver))
            }

            fn read_nullable_tagged(
                r: &mut $crate::wire::Reader<'a>,
                ver: $crate::wire::Ver,
            ) -> Result<Option<Self>, $crate::wire::ReadError> {
                (r.uvarint()? > 0).then(|| $crate::wire::Wire::read(r, ver)).transpose()
            }

            fn write_nullable_tagged(
                value: Option<&Self>,
                w: &mut $crate::wire::Writer,
                ver: $crate::wire::Ver,
            ) -> Result<(), $crate::wire::WriteError> {
                w.uvarint(u32::from(value.is_some()));
                value.map_or(Ok(()), |value| $crate::wire::Wire::write(value, w, ver))
            }
        }

        $crate::wire::message_impl!(
            ($name $(<$lt>)?) $name [$($valid $(, $flexible)?)?]
        );

        #[cfg(any(test, feature = "schema"))]
        impl $(<$lt>)? $crate::wire::reflect::Reflect for $name $(<$lt>)? {
            fn type_schema() -> $crate::wire::reflect::TypeSchema {
                use $crate::wire::reflect;
                let _default = Self::default();
                let mut fields = vec![ $(
                    reflect::field(stringify!($field), &_default.$field, &$versions)
                        $(.ignorable(stringify!($ignorable)))?
                        $(.null(&$null))?,
                )* ];
                fields.extend([ $($(
                    reflect::field(stringify!($tag_field), &_default.$tag_field, &$tag_versions)
                        $(.ignorable(stringify!($tag_ignorable)))?
                        $(.after(stringify!($after)))?
                        .tag($tag),
                )*)? ]);
                reflect::TypeSchema::Struct { name: stringify!($name), fields }
            }

            fn default_text(&self) -> String {
                $crate::wire::reflect::struct_default(*self == Self::default())
            }

            fn sample(_seed: &mut $crate::wire::reflect::Seed, _ver: $crate::wire::Ver) -> Self {
                $(
                    let $field: $ty = if ($versions).contains(&_ver.version) {
                        let sampled = $crate::wire::reflect::Reflect::sample(_seed, _ver);
                        $crate::wire::sampled_field!(sampled, _ver $(, $null)?)
                    } else {
                        $crate::wire::default_of!($ty $(, $default)?)
                    };
                )*
                $($(
                    let $tag_field: $tag_ty =
                        if ($tag_versions).contains(&_ver.version) && _seed.flip() {
                            $crate::wire::reflect::Reflect::sample(_seed, _ver)
                        } else {
                            $crate::wire::default_of!($tag_ty $(, $tag_default)?)
                        };
                )*)?
                Self { $($field,)* $($($tag_field,)*)? }
            }
        }
    )* };
}

/// A field's default: the one given, or its type's.
macro_rules! default_of {
    ($ty:ty) => {
        <$ty as Default>::default()
    };
    ($ty:ty, $default:expr) => {
        $default
    };
}

/// Reads one field; the third argument are the versions in which it is nullable, if not all.
macro_rules! read_field {
    ($r:ident, $ver:ident) => {
        $crate::wire::Wire::read($r, $ver)?
    };
    ($r:ident, $ver:ident, $null:expr) => {
        $crate::wire::read_gated($r, $ver, ($null).contains(&$ver.version))?
    };
}

/// Writes one field; the last argument as for `read_field`.
macro_rules! write_field {
    ($this:ident, $name:ident, $field:ident, $w:ident, $ver:ident) => {
        $crate::wire::Wire::write(&$this.$field, $w, $ver)?
    };
    ($this:ident, $name:ident, $field:ident, $w:ident, $ver:ident, $null:expr) => {
        let nullable = ($null).contains(&$ver.version);
        if !$crate::wire::write_gated(&$this.$field, $w, $ver, nullable)? {
            return Err($crate::wire::WriteError::NullNotAllowed {
                name: stringify!($name),
                field: stringify!($field),
                version: $ver.version,
            });
        }
    };
}

/// A sampled field without a null that its version does not allow; arguments as for `read_field`.
#[cfg(any(test, feature = "schema"))]
macro_rules! sampled_field {
    ($sampled:ident, $ver:ident) => {
        $sampled
    };
    ($sampled:ident, $ver:ident, $null:expr) => {
        if ($null).contains(&$ver.version) {
            $sampled
        } else {
            Some(Option::unwrap_or_default($sampled))
        }
    };
}

/// Refuses a field that is set in a version without it, unless it is `ignorable`.
macro_rules! check_default {
    (($name:ident, $field:ident, $ver:ident) $value:expr, $default:expr, ignorable) => {};
    (($name:ident, $field:ident, $ver:ident) $value:expr, $default:expr) => {
        if $value != $default {
            return Err($crate::wire::WriteError::FieldNotInVersion {
                name: stringify!($name),
                field: stringify!($field),
                version: $ver.version,
            });
        }
    };
}

/// Implements [`Message`] for a struct that has versions of its own.
macro_rules! message_impl {
    (($($ty:tt)*) $name:ident []) => {};
    (($($ty:tt)*) $name:ident [$valid:expr]) => {
        impl<'a> $crate::wire::Message<'a> for $($ty)* {
            const NAME: &'static str = stringify!($name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $valid;
            const FLEXIBLE_FROM: Option<i16> = None;
        }
    };
    (($($ty:tt)*) $name:ident [$valid:expr, $flexible:expr]) => {
        impl<'a> $crate::wire::Message<'a> for $($ty)* {
            const NAME: &'static str = stringify!($name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $valid;
            const FLEXIBLE_FROM: Option<i16> = {
                let versions: std::ops::RangeFrom<i16> = $flexible;
                Some(versions.start)
            };
        }
    };
}

#[cfg(any(test, feature = "schema"))]
pub(crate) use sampled_field;
pub(crate) use {check_default, default_of, message_impl, messages, read_field, write_field};
