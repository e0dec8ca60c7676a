//! What the message tables declare, as data: for the comparison with Kafka's schemas, and for
//! tests that fill every field. Not part of the shipped broker.

use std::fmt::Debug;
use std::ops::{RangeFrom, RangeInclusive};

use super::{Message, Reader, Records, Ver};
use crate::error_code::ErrorCode;
use crate::uuid::Uuid;

/// A type's form, as far as the schemas name it.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeSchema {
    /// A type without parts, by its name in the schemas: `int32`, `string`, `records` and so on.
    Plain(&'static str),
    /// An array of something.
    Array(Box<TypeSchema>),
    /// Something that may be null.
    Nullable(Box<TypeSchema>),
    /// A struct and its fields, the tagged ones last.
    Struct {
        /// Its name in the table.
        name: &'static str,
        /// In the order in which they are written.
        fields: Vec<FieldSchema>,
    },
}

/// Versions from the first to the last; no last means all later ones.
pub type VersionRange = (i16, Option<i16>);

/// One line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSchema {
    /// The name, in snake case.
    pub name: &'static str,
    /// The type.
    pub ty: TypeSchema,
    /// Where it exists.
    pub versions: VersionRange,
    /// Where it is nullable, if `ty` is and that is not everywhere.
    pub null: Option<VersionRange>,
    /// The default, spelled as in the schemas.
    pub default: String,
    /// Whether it may be dropped in a version without it.
    pub ignorable: bool,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u32>,
    /// The field that it stands behind in Kafka's schema, if that is not the one before it here.
    pub after: Option<&'static str>,
}

/// A message's line in the registry: what it is and how to try it.
#[derive(Clone, Debug)]
pub struct MessageSchema {
    /// The name in the schemas.
    pub name: &'static str,
    /// The versions that exist.
    pub versions: RangeInclusive<i16>,
    /// The first flexible version.
    pub flexible_from: Option<i16>,
    /// The fields, as [`TypeSchema::Struct`].
    pub ty: TypeSchema,
    /// Bytes of a message of this version whose fields are filled from the seed.
    pub sample: fn(&mut Seed, i16) -> Vec<u8>,
    /// Reads bytes, and says only whether they could be read.
    pub reads: fn(&[u8], i16) -> bool,
    /// Reads bytes and writes what was read; and how many bytes reading left over.
    pub recode: fn(&[u8], i16) -> Recoded,
    /// Writes a filled message and reads it back; says what differs.
    pub round_trip: fn(&mut Seed, i16) -> Result<(), String>,
}

/// What reading some bytes and writing them again gave, and how many bytes reading left.
pub type Recoded = Result<(Vec<u8>, usize), super::ReadError>;

/// A small generator of repeatable values.
#[derive(Clone, Debug)]
pub struct Seed(pub u64);

impl Seed {
    /// The next 64 bits (splitmix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True half of the time.
    pub fn flip(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> usize {
        (self.bits() % limit) as usize
    }
}

/// A type that can say its schema and make up values.
pub trait Reflect {
    /// Its form.
    fn type_schema() -> TypeSchema;
    /// This value as a schema would spell it as a default.
    fn default_text(&self) -> String;
    /// A value that has a form at this version.
    fn sample(seed: &mut Seed, ver: Ver) -> Self;
}

/// A version range, of either of the kinds that the tables use.
pub trait Versions {
    /// First and last.
    fn bounds(&self) -> VersionRange;
}

impl Versions for RangeFrom<i16> {
    fn bounds(&self) -> VersionRange {
        (self.start, None)
    }
}

impl Versions for RangeInclusive<i16> {
    fn bounds(&self) -> VersionRange {
        (*self.start(), Some(*self.end()))
    }
}

/// Starts a field's schema.
pub(crate) fn field<T: Reflect>(
    name: &'static str,
    default: &T,
    versions: &dyn Versions,
) -> FieldSchema {
    FieldSchema {
        name,
        ty: T::type_schema(),
        versions: versions.bounds(),
        null: None,
        default: default.default_text(),
        ignorable: false,
        tag: None,
        after: None,
    }
}

impl FieldSchema {
    pub(crate) fn ignorable(self, mark: &str) -> Self {
        Self { ignorable: mark == "ignorable", ..self }
    }

    pub(crate) fn null(self, versions: &dyn Versions) -> Self {
        Self { null: Some(versions.bounds()), ..self }
    }

    pub(crate) fn after(self, field: &'static str) -> Self {
        Self { after: Some(field), ..self }
    }

    pub(crate) fn tag(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }
}

/// How a struct's default is spelled: schemas know none but the struct of defaults.
pub(crate) fn struct_default(is_default: bool) -> String {
    if is_default { String::new() } else { "not the default".to_owned() }
}

/// The registry line of `T`, given the four functions that need its lifetime.
pub fn message_schema<'a, T: Message<'a> + Reflect>(
    reads: fn(&[u8], i16) -> bool,
    sample: fn(&mut Seed, i16) -> Vec<u8>,
    recode: fn(&[u8], i16) -> Recoded,
    round_trip: fn(&mut Seed, i16) -> Result<(), String>,
) -> MessageSchema {
    MessageSchema {
        name: T::NAME,
        versions: T::VERSIONS,
        flexible_from: T::FLEXIBLE_FROM,
        ty: T::type_schema(),
        reads,
        sample,
        recode,
        round_trip,
    }
}

/// A message filled from the seed.
pub fn sample<'a, T: Message<'a> + Reflect>(seed: &mut Seed, version: i16) -> T {
    let ver = T::ver(version).expect("the registry asks for versions that exist");
    T::sample(seed, ver)
}

/// Writes a message that reading or sampling made.
pub fn written<'a, T: Message<'a>>(value: &T, version: i16) -> Vec<u8> {
    value.to_bytes(version).expect("a value of this version has a form in it")
}

/// Reads a message and says how many bytes it left.
pub fn read<'a, T: Message<'a>>(
    bytes: &'a [u8],
    version: i16,
) -> Result<(T, usize), super::ReadError> {
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader, version)?;
    Ok((value, reader.remaining().len()))
}

/// Says how two values differ.
pub fn compare<T: PartialEq + Debug>(wrote: &T, read: &T, left: usize) -> Result<(), String> {
    if left != 0 {
        return Err(format!("{left} bytes left over after {read:?}"));
    }
    if wrote == read { Ok(()) } else { Err(format!("wrote {wrote:?}, read {read:?}")) }
}

/// Lists messages for the comparison with the schemas and for the tests.
macro_rules! registry {
    ($($path:path),* $(,)?) => {
        vec![ $( {
            use $crate::wire::reflect;
            use $path as Listed;
            reflect::message_schema::<Listed>(
                |bytes, version| reflect::read::<Listed>(bytes, version).is_ok(),
                |seed, version| {
                    reflect::written(&reflect::sample::<Listed>(seed, version), version)
                },
                |bytes, version| {
                    let (value, left) = reflect::read::<Listed>(bytes, version)?;
                    Ok((reflect::written(&value, version), left))
                },
                |seed, version| {
                    let wrote = reflect::sample::<Listed>(seed, version);
                    let bytes = reflect::written(&wrote, version);
                    let (read, left) = reflect::read::<Listed>(&bytes, version)
                        .map_err(|error| format!("{error} in {bytes:x?} of {wrote:?}"))?;
                    reflect::compare(&wrote, &read, left)
                },
            )
        }, )* ]
    };
}
pub(crate) use registry;

macro_rules! plain {
    ($($ty:ty: $name:literal, $sample:expr;)*) => { $(
        impl Reflect for $ty {
            fn type_schema() -> TypeSchema {
                TypeSchema::Plain($name)
            }

            fn default_text(&self) -> String {
                self.to_string()
            }

            fn sample(seed: &mut Seed, _: Ver) -> Self {
                let sample: fn(&mut Seed) -> $ty = $sample;
                sample(seed)
            }
        }
    )* };
}

plain! {
    bool: "bool", Seed::flip;
    i8: "int8", |seed| seed.bits() as i8;
    i16: "int16", |seed| seed.bits() as i16;
    u16: "uint16", |seed| seed.bits() as u16;
    i32: "int32", |seed| seed.bits() as i32;
    u32: "uint32", |seed| seed.bits() as u32;
    i64: "int64", |seed| seed.bits() as i64;
    // A NaN would not equal itself.
    f64: "float64", |seed| seed.bits() as i32 as f64 / 8.0;
    Uuid: "uuid", |seed| Uuid::from_u64s(seed.bits(), seed.bits());
}

impl Reflect for ErrorCode {
    fn type_schema() -> TypeSchema {
        TypeSchema::Plain("int16")
    }

    fn default_text(&self) -> String {
        self.0.to_string()
    }

    fn sample(seed: &mut Seed, _: Ver) -> Self {
        Self(seed.bits() as i16)
    }
}

impl Reflect for &str {
    fn type_schema() -> TypeSchema {
        TypeSchema::Plain("string")
    }

    fn default_text(&self) -> String {
        (*self).to_owned()
    }

    fn sample(seed: &mut Seed, _: Ver) -> Self {
        const LONG: &str = "a string that is long enough to take a compact length of two bytes: \
            one hundred and twenty-seven bytes at the least, so here are some more";
        ["", "a", "topic-1", "grüße", LONG][seed.below(5)]
    }
}

impl Reflect for &[u8] {
    fn type_schema() -> TypeSchema {
        TypeSchema::Plain("bytes")
    }

    fn default_text(&self) -> String {
        String::from_utf8_lossy(self).into_owned()
    }

    fn sample(seed: &mut Seed, _: Ver) -> Self {
        [&b""[..], b"\0", b"\xff\xfe bytes", &[7; 200]][seed.below(4)]
    }
}

impl Reflect for Records<'_> {
    fn type_schema() -> TypeSchema {
        TypeSchema::Plain("records")
    }

    fn default_text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    fn sample(seed: &mut Seed, ver: Ver) -> Self {
        Self::Bytes(Reflect::sample(seed, ver))
    }
}

impl<T: Reflect> Reflect for Vec<T> {
    fn type_schema() -> TypeSchema {
        TypeSchema::Array(Box::new(T::type_schema()))
    }

    fn default_text(&self) -> String {
        self.iter().map(T::default_text).collect()
    }

    fn sample(seed: &mut Seed, ver: Ver) -> Self {
        (0..seed.below(4)).map(|_| T::sample(seed, ver)).collect()
    }
}

impl<T: Reflect> Reflect for Option<T> {
    fn type_schema() -> TypeSchema {
        TypeSchema::Nullable(Box::new(T::type_schema()))
    }

    fn default_text(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), T::default_text)
    }

    fn sample(seed: &mut Seed, ver: Ver) -> Self {
        (seed.below(4) > 0).then(|| T::sample(seed, ver))
    }
}
