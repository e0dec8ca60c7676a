//! Compares a table with its schema, fact by fact.

use std::fmt::Debug;

use ottla_protocol::wire::reflect::{FieldSchema, MessageSchema, TypeSchema, VersionRange};
use serde_json::Value;

use super::schema::{Field, Schema};

/// What was compared and what differs.
#[derive(Default)]
pub(super) struct Report {
    pub(super) fields: u64,
    pub(super) facts: u64,
    pub(super) problems: Vec<String>,
}

impl Report {
    /// Counts one comparison, and notes it when the two are not equal.
    pub(super) fn fact<T: PartialEq + Debug>(&mut self, of: &str, what: &str, kafka: &T, ours: &T) {
        self.facts += 1;
        if kafka != ours {
            self.problems.push(format!("{of}: {what}: Kafka has {kafka:?}, the table {ours:?}"));
        }
    }

    /// Notes a difference that is no comparison of two values.
    pub(super) fn differs(&mut self, of: &str, what: &str) {
        self.facts += 1;
        self.problems.push(format!("{of}: {what}"));
    }
}

/// Compares a message.
pub(super) fn message(table: &MessageSchema, schema: &Schema, report: &mut Report) {
    let versions = (*table.versions.start(), Some(*table.versions.end()));
    report.fact(table.name, "versions", &schema.versions, &versions);
    report.fact(table.name, "first flexible version", &schema.flexible_from, &table.flexible_from);
    match &table.ty {
        TypeSchema::Struct { fields, .. } => {
            compare_fields(table.name, schema, &schema.fields, fields, report);
        }
        other => report.differs(table.name, &format!("the table is no struct but {other:?}")),
    }
}

/// Compares a struct's fields: the untagged ones in their order, then the others by their tags.
fn compare_fields(
    of: &str,
    schema: &Schema,
    kafka: &[Field],
    ours: &[FieldSchema],
    report: &mut Report,
) {
    let mut kafka: Vec<&Field> = kafka.iter().collect();
    kafka.sort_by_key(|field| field.tag.map_or(0, |tag| u64::from(tag) + 1));
    let names: Vec<String> = kafka.iter().map(|field| plain_name(&field.name)).collect();
    let our_names: Vec<String> = ours.iter().map(|field| plain_name(field.name)).collect();
    report.fact(of, "names of fields", &names, &our_names);
    if names == our_names {
        for (kafka, ours) in kafka.iter().zip(ours) {
            report.fields += 1;
            compare_field(&format!("{of}.{}", ours.name), schema, kafka, ours, report);
        }
    }
}

fn compare_field(
    of: &str,
    schema: &Schema,
    kafka: &Field,
    ours: &FieldSchema,
    report: &mut Report,
) {
    report.fact(of, "versions", &kafka.versions, &ours.versions);
    report.fact(of, "tag", &kafka.tag, &ours.tag);
    report.fact(of, "ignorable", &kafka.ignorable, &ours.ignorable);
    report.fact(of, "default", &default_text(kafka), &ours.default);
    if let Some(tagged) = kafka.tagged {
        report.fact(of, "tagged versions", &kafka.versions, &tagged);
    }
    let (ty, null) = match &ours.ty {
        TypeSchema::Nullable(ty) => (ty.as_ref(), ours.null.or(Some(ours.versions))),
        ty => (ty, None),
    };
    let kafka_null = kafka.null.and_then(|null| both(null, kafka.versions));
    report.fact(of, "nullable versions", &kafka_null, &null);
    compare_type(of, schema, kafka, &kafka.ty, ty, report);
}

fn compare_type(
    of: &str,
    schema: &Schema,
    field: &Field,
    kafka: &str,
    ours: &TypeSchema,
    report: &mut Report,
) {
    match ours {
        TypeSchema::Plain(ours) => report.fact(of, "type", &kafka, ours),
        TypeSchema::Array(element) => match kafka.strip_prefix("[]") {
            Some(kafka) => compare_type(of, schema, field, kafka, element, report),
            None => report.differs(of, &format!("Kafka has {kafka}, the table an array")),
        },
        // Structs of a request and a response may share a name in Kafka, but not in one file.
        TypeSchema::Struct { name, fields } => {
            report.fact(of, "struct", &true, &name.ends_with(kafka));
            compare_fields(of, schema, schema.fields_of(field), fields, report);
        }
        TypeSchema::Nullable(_) => report.differs(of, "elements of an array are never null"),
    }
}

/// A name without what the two ways of writing it differ in.
fn plain_name(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "").to_lowercase()
}

/// The versions in both ranges.
fn both(a: VersionRange, b: VersionRange) -> Option<VersionRange> {
    let first = a.0.max(b.0);
    let last = match (a.1, b.1) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    last.is_none_or(|last| first <= last).then_some((first, last))
}

/// A schema's default, spelled out: what is not given follows from the type.
fn default_text(field: &Field) -> String {
    let given = match &field.default {
        Some(Value::String(text)) => text.clone(),
        // A null without quotes is the same as no default to Kafka's generator.
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    match field.ty.as_str() {
        // The generated classes start a record set as null, whatever the schema says of it.
        "records" => "null".to_owned(),
        "bool" if given.is_empty() => "false".to_owned(),
        "uuid" if given.is_empty() => "A".repeat(22),
        ty if (ty.contains("int") || ty == "float64") && !ty.starts_with("[]") => number(&given),
        _ => given,
    }
}

fn number(text: &str) -> String {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).map_or(text.to_owned(), |n| n.to_string()),
        None if text.is_empty() => "0".to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of HeartbeatRequest's table against a schema made of these fields.
    fn problems(versions: &str, fields: &[&str]) -> Vec<String> {
        let text = format!(
            "{{ \"name\": \"HeartbeatRequest\", \"apiKey\": 12, {versions},\n\"fields\": [{}] }}",
            fields.join(",\n")
        );
        let schema = Schema::parse(&text).unwrap().unwrap();
        let tables = ottla_protocol::messages::registry();
        let table = tables.iter().find(|table| table.name == "HeartbeatRequest").unwrap();
        let mut report = Report::default();
        message(table, &schema, &mut report);
        report.problems
    }

    const VERSIONS: &str = r#""validVersions": "0-4", "flexibleVersions": "4+""#;
    const GROUP: &str = r#"{ "name": "GroupId", "type": "string", "versions": "0+" }"#;
    const GENERATION: &str = r#"{ "name": "GenerationId", "type": "int32", "versions": "0+" }"#;
    const MEMBER: &str = r#"{ "name": "MemberId", "type": "string", "versions": "0+" }"#;
    const INSTANCE: &str = r#"{ "name": "GroupInstanceId", "type": "string", "versions": "3+",
        "nullableVersions": "3+", "default": "null" }"#;

    #[test]
    fn each_kind_of_difference_is_found() {
        let right = [GROUP, GENERATION, MEMBER, INSTANCE];
        assert_eq!(problems(VERSIONS, &right), Vec::<String>::new());
        let versions = VERSIONS.replace("0-4", "1-4");
        assert_eq!(problems(&versions, &right).len(), 1);
        let flexible = VERSIONS.replace("4+", "none");
        assert_eq!(problems(&flexible, &right).len(), 1);
        assert_eq!(problems(VERSIONS, &[GENERATION, GROUP, MEMBER, INSTANCE]).len(), 1);
        assert_eq!(problems(VERSIONS, &right[..3]).len(), 1);
        for (from, to) in [
            ("\"3+\"", "\"2+\""),
            ("\"nullableVersions\": \"3+\"", "\"nullableVersions\": \"4+\""),
            ("\"string\"", "\"bytes\""),
            ("\"string\"", "\"[]string\""),
            (", \"default\": \"null\"", ""),
            ("\"default\"", "\"ignorable\": true, \"default\""),
            ("\"default\"", "\"tag\": 0, \"taggedVersions\": \"3+\", \"default\""),
        ] {
            let instance = INSTANCE.replace(from, to);
            let found = problems(VERSIONS, &[GROUP, GENERATION, MEMBER, &instance]);
            assert!(!found.is_empty(), "{from} to {to}");
        }
        let generation = GENERATION.replace("\"0+\"", "\"0+\", \"default\": \"0x7fffffff\"");
        assert_eq!(
            problems(VERSIONS, &[GROUP, &generation, MEMBER, INSTANCE]),
            ["HeartbeatRequest.generation_id: default: Kafka has \"2147483647\", the table \"0\""]
        );
    }
}
