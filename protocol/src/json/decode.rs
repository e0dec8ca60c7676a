//! Any message of the tables, from its bytes to JSON.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::text::{java_string, push_double, push_quoted};
use crate::uuid::Uuid;
use crate::wire::Message;
use crate::wire::reflect::{FieldSchema, MessageSchema, Reflect, TypeSchema, VersionRange};

/// Names whose first letters Kafka's schemas spell in a way that camel case does not give.
const NAMES: [(&str, &str); 2] =
    [("kraft_version", "kRaftVersion"), ("kraft_version_feature", "kRaftVersionFeature")];

/// The longest string, in bytes.
const STRING_BYTES_MAX: i32 = 0x7fff;

/// A message's table, as data.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The name in Kafka's schemas.
    pub name: &'static str,
    /// The oldest version.
    pub version_min: i16,
    /// The newest version.
    pub version_max: i16,
    flexible_from: Option<i16>,
    fields: Vec<FieldSchema>,
}

/// Why bytes are not a message: the text of Kafka's exception; `None` for one without a text, which
/// is what it has for bytes that end too early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub Option<String>);

impl Fault {
    /// The text as Java puts it into another one.
    pub fn text(&self) -> &str {
        self.0.as_deref().unwrap_or("null")
    }

    fn of(text: String) -> Self {
        Self(Some(text))
    }
}

const UNDERFLOW: Fault = Fault(None);

impl Schema {
    /// The table of `T`.
    pub fn of<'a, T: Message<'a> + Reflect>() -> Self {
        let fields = match T::type_schema() {
            TypeSchema::Struct { fields, .. } => fields,
            _ => Vec::new(),
        };
        Self {
            name: T::NAME,
            version_min: *T::VERSIONS.start(),
            version_max: *T::VERSIONS.end(),
            flexible_from: T::FLEXIBLE_FROM,
            fields,
        }
    }

    /// Reads the message that `bytes` begin with, and writes it as JSON; also how many bytes are
    /// left. Versions beyond the known ones are read as far as the table goes, as Kafka does.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn json(&self, bytes: &[u8], version: i16) -> Result<(String, usize), Fault> {
        self.json_as(bytes, version, version)
    }

    /// As [`Schema::json`], but written as another version than it is read.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn json_as(&self, bytes: &[u8], read: i16, write: i16) -> Result<(String, usize), Fault> {
        let mut walk = self.walk(bytes, read, write);
        let mut out = String::new();
        walk.fields(&self.fields, &mut out)?;
        Ok((out, walk.rest.len()))
    }

    /// As [`Schema::json`], of a classic group: what consumers say in their own protocol is read
    /// too, by these schemas, where it can be.
    pub(super) fn json_of_group(
        &self,
        bytes: &[u8],
        version: i16,
        member: &MemberSchemas,
    ) -> Result<(String, usize), Fault> {
        let mut walk = Walk { member: Some(member), ..self.walk(bytes, version, version) };
        let mut out = String::new();
        walk.fields(&self.fields, &mut out)?;
        Ok((out, walk.rest.len()))
    }

    fn walk<'a>(&self, bytes: &'a [u8], read: i16, write: i16) -> Walk<'a> {
        Walk {
            rest: bytes,
            read,
            write,
            newest: self.version_max,
            oldest: self.version_min,
            flexible: self.flexible_from.is_some_and(|first| read >= first),
            member: None,
            consumer: false,
        }
    }
}

impl From<&MessageSchema> for Schema {
    fn from(table: &MessageSchema) -> Self {
        let fields = match &table.ty {
            TypeSchema::Struct { fields, .. } => fields.clone(),
            _ => Vec::new(),
        };
        Self {
            name: table.name,
            version_min: *table.versions.start(),
            version_max: *table.versions.end(),
            flexible_from: table.flexible_from,
            fields,
        }
    }
}

/// How the bytes within a classic group's members are read.
#[derive(Clone, Debug)]
pub(super) struct MemberSchemas {
    pub(super) subscription: Schema,
    pub(super) assignment: Schema,
}

/// The walk through a message.
struct Walk<'a> {
    rest: &'a [u8],
    read: i16,
    write: i16,
    oldest: i16,
    newest: i16,
    flexible: bool,
    member: Option<&'a MemberSchemas>,
    /// Whether the group's protocol type was read, and is that of consumers.
    consumer: bool,
}

impl<'a> Walk<'a> {
    /// Whether a field is there in a version. One that is there in all known versions is not asked
    /// about by Kafka's readers either.
    fn there(&self, versions: VersionRange, version: i16) -> bool {
        let (first, last) = versions;
        (first <= self.oldest || first <= version)
            && last.is_none_or(|last| last >= self.newest || version <= last)
    }

    fn fields(&mut self, fields: &[FieldSchema], out: &mut String) -> Result<(), Fault> {
        // Texts of the fields by their place, since tagged ones are read last and may be printed
        // anywhere.
        let mut texts: Vec<Option<String>> = vec![None; fields.len()];
        for (field, text) in fields.iter().zip(&mut texts) {
            if field.tag.is_some() {
                continue;
            }
            let mut value = String::new();
            if self.there(field.versions, self.read) {
                self.field(field, &mut value)?;
            } else {
                self.push_default(&field.ty, &field.default, &mut value);
            }
            *text = self.there(field.versions, self.write).then_some(value);
        }
        if self.flexible {
            self.tagged(fields, &mut texts)?;
        }
        out.push('{');
        for field in in_order(fields) {
            let place = fields.iter().position(|other| std::ptr::eq(other, field));
            if let Some(text) = place.and_then(|place| texts[place].take()) {
                if !out.ends_with('{') {
                    out.push(',');
                }
                _ = write!(out, "\"{}\":{text}", camel(field.name));
            }
        }
        out.push('}');
        Ok(())
    }

    fn tagged(
        &mut self,
        fields: &[FieldSchema],
        texts: &mut [Option<String>],
    ) -> Result<(), Fault> {
        let count = self.uvarint()?;
        // Each takes two bytes at the least, or the reading fails.
        for _ in 0..count.max(0) {
            let (tag, size) = (self.uvarint()?, self.uvarint()?);
            let known = fields.iter().position(|f| f.tag == Some(tag as u32));
            let Some(place) = known else {
                self.bytes(size)?;
                continue;
            };
            let field = &fields[place];
            if !self.there(field.versions, self.read) {
                let text = format!("Tag {tag} is not valid for version {}", self.read);
                return Err(Fault::of(text));
            }
            let mut value = String::new();
            self.field(field, &mut value)?;
            let mut default = String::new();
            self.push_default(&field.ty, &field.default, &mut default);
            let shown = self.there(field.versions, self.write) && value != default;
            texts[place] = shown.then_some(value);
        }
        Ok(())
    }

    fn field(&mut self, field: &FieldSchema, out: &mut String) -> Result<(), Fault> {
        let name = camel(field.name);
        match &field.ty {
            TypeSchema::Nullable(ty) => {
                let nullable = field.null.is_none_or(|null| self.there(null, self.read));
                self.value(ty, &name, nullable, field.tag.is_some(), out)?;
            }
            ty => self.value(ty, &name, false, field.tag.is_some(), out)?,
        }
        if self.member.is_some() {
            self.look_into(field.name, out);
        }
        Ok(())
    }

    /// Puts what a consumer says in its own protocol in the place of its bytes.
    fn look_into(&mut self, name: &str, out: &mut String) {
        let Some(member) = self.member else { return };
        let schema = match name {
            "protocol_type" => {
                self.consumer = out == "\"consumer\"";
                return;
            }
            "subscription" => &member.subscription,
            "assignment" => &member.assignment,
            _ => return,
        };
        let bytes = STANDARD.decode(out.trim_matches('"')).unwrap_or_default();
        if let (true, Some((version, body))) = (self.consumer, bytes.split_first_chunk())
            && let Ok((json, _)) = schema.json(body, i16::from_be_bytes(*version))
        {
            *out = json;
        }
    }

    /// A value behind the length or presence that tells whether it is null.
    fn value(
        &mut self,
        ty: &TypeSchema,
        name: &str,
        nullable: bool,
        tagged: bool,
        out: &mut String,
    ) -> Result<(), Fault> {
        let absent = |out: &mut String| match nullable {
            true => {
                out.push_str("null");
                Ok(())
            }
            false => {
                let text = format!("non-nullable field {name} was serialized as null");
                Err(Fault::of(text))
            }
        };
        match ty {
            TypeSchema::Plain("string") => {
                let length = match self.flexible {
                    true => self.uvarint()?.wrapping_sub(1),
                    false => i32::from(self.int::<2>().map(i16::from_be_bytes)?),
                };
                if length < 0 {
                    return absent(out);
                }
                if length > STRING_BYTES_MAX {
                    let text = format!("string field {name} had invalid length {length}");
                    return Err(Fault::of(text));
                }
                push_quoted(out, &java_string(self.bytes(length)?));
            }
            TypeSchema::Plain("bytes" | "records") => {
                let length = self.length()?;
                if length < 0 {
                    return absent(out);
                }
                let bytes = self.bytes(length)?;
                _ = write!(out, "\"{}\"", STANDARD.encode(bytes));
            }
            TypeSchema::Array(element) => {
                let count = self.length()?;
                if count < 0 {
                    return absent(out);
                }
                self.elements(element, name, count, out)?;
            }
            TypeSchema::Struct { fields, .. } if nullable => {
                let present = match tagged {
                    true => self.uvarint()? > 0,
                    false => self.int::<1>()?[0] as i8 >= 0,
                };
                if !present {
                    return absent(out);
                }
                self.fields(fields, out)?;
            }
            TypeSchema::Struct { name, fields } => {
                if self.read > self.newest {
                    let text = format!("Can't read version {} of {name}", self.read);
                    return Err(Fault::of(text));
                }
                self.fields(fields, out)?;
            }
            TypeSchema::Nullable(ty) => self.value(ty, name, true, tagged, out)?,
            TypeSchema::Plain(plain) => self.plain(plain, out)?,
        }
        Ok(())
    }

    fn elements(
        &mut self,
        element: &TypeSchema,
        name: &str,
        count: i32,
        out: &mut String,
    ) -> Result<(), Fault> {
        let left = self.rest.len();
        if count as usize > left {
            let text = format!(
                "Tried to allocate a collection of size {count}, but there are only {left} bytes \
                 remaining."
            );
            return Err(Fault::of(text));
        }
        let name = format!("{name} element");
        out.push('[');
        for n in 0..count {
            if n > 0 {
                out.push(',');
            }
            self.value(element, &name, false, false, out)?;
        }
        out.push(']');
        Ok(())
    }

    fn plain(&mut self, plain: &str, out: &mut String) -> Result<(), Fault> {
        // Writing to a string cannot fail.
        _ = match plain {
            "bool" => write!(out, "{}", self.int()? != [0]),
            "int8" => write!(out, "{}", self.int().map(i8::from_be_bytes)?),
            "int16" => write!(out, "{}", self.int().map(i16::from_be_bytes)?),
            "uint16" => write!(out, "{}", self.int().map(u16::from_be_bytes)?),
            "int32" => write!(out, "{}", self.int().map(i32::from_be_bytes)?),
            "uint32" => write!(out, "{}", self.int().map(u32::from_be_bytes)?),
            "int64" => write!(out, "{}", self.int().map(i64::from_be_bytes)?),
            "uuid" => write!(out, "\"{}\"", Uuid::from_bytes(self.int()?)),
            "float64" => {
                push_double(out, self.int().map(f64::from_be_bytes)?);
                Ok(())
            }
            other => return Err(Fault::of(format!("the tables know no type {other}"))),
        };
        Ok(())
    }

    fn push_default(&self, ty: &TypeSchema, default: &str, out: &mut String) {
        match ty {
            TypeSchema::Nullable(_) if default == "null" => out.push_str("null"),
            TypeSchema::Nullable(ty) => self.push_default(ty, default, out),
            TypeSchema::Array(_) => out.push_str("[]"),
            TypeSchema::Plain("string") => push_quoted(out, default),
            TypeSchema::Plain("bytes" | "records") => out.push_str("\"\""),
            TypeSchema::Plain("uuid") => _ = write!(out, "\"{default}\""),
            TypeSchema::Plain("float64") => push_double(out, default.parse().unwrap_or(0.0)),
            TypeSchema::Plain(_) => out.push_str(default),
            TypeSchema::Struct { fields, .. } => {
                out.push('{');
                for field in in_order(fields) {
                    if field.tag.is_some() || !self.there(field.versions, self.write) {
                        continue;
                    }
                    if !out.ends_with('{') {
                        out.push(',');
                    }
                    _ = write!(out, "\"{}\":", camel(field.name));
                    self.push_default(&field.ty, &field.default, out);
                }
                out.push('}');
            }
        }
    }

    /// The length of bytes or of an array; negative for null.
    fn length(&mut self) -> Result<i32, Fault> {
        match self.flexible {
            true => Ok(self.uvarint()?.wrapping_sub(1)),
            false => self.int().map(i32::from_be_bytes),
        }
    }

    fn int<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (int, rest) = self.rest.split_first_chunk().ok_or(UNDERFLOW)?;
        self.rest = rest;
        Ok(*int)
    }

    fn bytes(&mut self, length: i32) -> Result<&'a [u8], Fault> {
        let left = self.rest.len();
        match usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(Fault::of(format!(
                "Error reading byte array of {length} byte(s): only {left} byte(s) available"
            ))),
        }
    }

    fn uvarint(&mut self) -> Result<i32, Fault> {
        read_uvarint(&mut self.rest)
    }
}

/// Reads what Kafka calls an unsigned varint: the 32 bits are taken for a signed number.
pub(super) fn read_uvarint(rest: &mut &[u8]) -> Result<i32, Fault> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first().ok_or(UNDERFLOW)?;
        *rest = after;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value as i32);
        }
    }
    Err(Fault::of(format!(
        "Varint is too long, the most significant bit in the 5th byte is set, converted value: \
         {value:x}"
    )))
}

/// The fields in the order of Kafka's schema, which is that of JSON.
fn in_order(fields: &[FieldSchema]) -> Vec<&FieldSchema> {
    let mut ordered: Vec<&FieldSchema> = fields.iter().filter(|f| f.after.is_none()).collect();
    let mut moved: Vec<&FieldSchema> = fields.iter().filter(|f| f.after.is_some()).collect();
    // Each round places those whose neighbor is placed. A name that is not there ends it.
    while !moved.is_empty() {
        let before = moved.len();
        moved.retain(|field| {
            let place = ordered.iter().position(|other| Some(other.name) == field.after);
            if let Some(place) = place {
                ordered.insert(place + 1, field);
            }
            place.is_none()
        });
        if moved.len() == before {
            ordered.append(&mut moved);
        }
    }
    ordered
}

/// The name of a field in JSON.
fn camel(name: &str) -> String {
    if let Some((_, known)) = NAMES.iter().find(|(snake, _)| *snake == name) {
        return (*known).to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for word in name.trim_start_matches("r#").split('_') {
        let mut chars = word.chars();
        match chars.next() {
            Some(first) if !out.is_empty() => out.push(first.to_ascii_uppercase()),
            Some(first) => out.push(first),
            None => {}
        }
        out.push_str(chars.as_str());
    }
    out
}
