//! Kafka's schemas as they are written: JSON with line comments.

use anyhow::{Context, Result, bail};
use ottla_protocol::wire::reflect::VersionRange;
use serde_json::Value;

/// One schema file.
pub(super) struct Schema {
    /// The message's name.
    pub(super) name: String,
    /// The number of a request, response, metadata record, key or value.
    pub(super) api_key: Option<i16>,
    /// The versions that exist.
    pub(super) versions: VersionRange,
    /// The first flexible version.
    pub(super) flexible_from: Option<i16>,
    /// The fields in their order.
    pub(super) fields: Vec<Field>,
    /// Structs that several fields share, with their fields.
    commons: Vec<(String, Vec<Field>)>,
}

/// One field of a schema.
pub(super) struct Field {
    pub(super) name: String,
    /// `int32`, `[]string`, a struct's name and so on.
    pub(super) ty: String,
    pub(super) versions: VersionRange,
    pub(super) null: Option<VersionRange>,
    pub(super) default: Option<Value>,
    pub(super) ignorable: bool,
    pub(super) tag: Option<u32>,
    /// Where it is a tagged field.
    pub(super) tagged: Option<VersionRange>,
    /// The fields of the struct that it is or is an array of, if they stand here.
    fields: Vec<Field>,
}

impl Schema {
    /// Reads a schema; `None` for JSON of another kind.
    pub(super) fn parse(text: &str) -> Result<Option<Schema>> {
        let json: Value = serde_json::from_str(&without_comments(text))?;
        let (Some(name), Some(valid)) = (json["name"].as_str(), json["validVersions"].as_str())
        else {
            return Ok(None);
        };
        // A schema that was retired keeps its file, with no versions.
        let Some(versions) = range(valid)? else { return Ok(None) };
        let flexible = json["flexibleVersions"].as_str().unwrap_or("none");
        let mut commons = Vec::new();
        for common in json["commonStructs"].as_array().into_iter().flatten() {
            let name = common["name"].as_str().context("a common struct has no name")?;
            commons.push((name.to_owned(), fields(common)?));
        }
        Ok(Some(Schema {
            name: name.to_owned(),
            api_key: json["apiKey"].as_i64().map(i16::try_from).transpose()?,
            versions,
            flexible_from: range(flexible)?.map(|(first, _)| first),
            fields: fields(&json)?,
            commons,
        }))
    }

    /// The fields of the struct that a field is or is an array of.
    pub(super) fn fields_of<'a>(&'a self, field: &'a Field) -> &'a [Field] {
        let name = field.ty.trim_start_matches("[]");
        let common = self.commons.iter().find(|(common, _)| common == name);
        common.map_or(&field.fields, |(_, fields)| fields)
    }
}

fn fields(json: &Value) -> Result<Vec<Field>> {
    json["fields"].as_array().into_iter().flatten().map(field).collect()
}

fn field(json: &Value) -> Result<Field> {
    let text = |key: &str| json[key].as_str();
    let name = text("name").context("a field has no name")?;
    let versions = |key: &str| text(key).map_or(Ok(None), range);
    let tagged = versions("taggedVersions")?;
    Ok(Field {
        name: name.to_owned(),
        ty: text("type").with_context(|| format!("{name} has no type"))?.to_owned(),
        versions: versions("versions")?.or(tagged).with_context(|| format!("{name}: versions"))?,
        null: versions("nullableVersions")?,
        default: json.get("default").cloned(),
        ignorable: json["ignorable"].as_bool().unwrap_or(false),
        tag: json["tag"].as_u64().map(u32::try_from).transpose()?,
        tagged,
        fields: fields(json)?,
    })
}

/// Reads `none`, `3`, `3+` or `3-5`.
fn range(text: &str) -> Result<Option<VersionRange>> {
    if text == "none" {
        return Ok(None);
    }
    if let Some(first) = text.strip_suffix('+') {
        return Ok(Some((first.parse()?, None)));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => Ok(Some((first, Some(last)))),
        _ => bail!("{text:?} are no versions"),
    }
}

/// Takes away what follows `//` on each line, unless it is within a string.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quoted = false;
        let mut end = line.len();
        for (n, byte) in line.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'/' if !quoted && line[n..].starts_with("//") => {
                    end = n;
                    break;
                }
                _ => {}
            }
        }
        out.push_str(&line[..end]);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        let text = "// a\n{ \"a\": \"http://b\" // c \"d\"\n}";
        assert_eq!(without_comments(text), "\n{ \"a\": \"http://b\" \n}\n");
    }

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("none", None),
            ("3", Some((3, Some(3)))),
            ("3+", Some((3, None))),
            ("3-5", Some((3, Some(5)))),
        ] {
            assert_eq!(range(text).unwrap(), expected, "{text}");
        }
        assert!(range("x+").is_err());
        assert!(range("1-x").is_err());
    }
}
