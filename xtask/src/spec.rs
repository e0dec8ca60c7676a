//! Compares the message tables of `ottla-protocol` with the schemas inside Kafka's own jars.
//!
//! Maven fetches the jars and unpacks them into `target/spec/`; nothing of them is in this
//! repository. Each field of each table is compared by name, order, type, versions,
//! nullability, default, tag and `ignorable`; each message by its versions and its first flexible
//! one; and the numbers of requests, metadata records and keys. Then Kafka's classes read and
//! write what the tables write ([`recode`]).

mod compare;
mod recode;
mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use ottla_protocol::api::ApiKey;
use ottla_protocol::wire::reflect::MessageSchema;
use ottla_protocol::{internal, messages, metadata};

use crate::gate::Outcome;
use compare::Report;
use schema::Schema;

/// The release that the tables follow.
const KAFKA_VERSION: &str = "4.3.1";
/// The jars that have schemas of ours: API messages and control records, metadata records, keys
/// and values of the three internal topics, producer snapshots.
const JARS: [&str; 6] = [
    "kafka-clients",
    "kafka-metadata",
    "kafka-group-coordinator",
    "kafka-transaction-coordinator",
    "kafka-share-coordinator",
    "kafka-storage",
];

/// What Kafka's converters to JSON stand on; the versions are those of that release.
const JACKSON: [(&str, &str); 3] =
    [("jackson-annotations", "2.21"), ("jackson-core", "2.21.2"), ("jackson-databind", "2.21.2")];

/// Runs the comparison.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let Some(folder) = fetch(root)? else {
        return Ok(Outcome { not_run: vec!["spec: needs mvn".to_owned()], ..Outcome::default() });
    };
    let schemas = load(&folder)?;
    let mut report = Report::default();
    let tables = tables();
    for table in &tables {
        match schemas.get(table.name) {
            Some(schema) => compare::message(table, schema, &mut report),
            None => report.differs(table.name, "Kafka has no such schema"),
        }
    }
    check_api_keys(&schemas, &mut report);
    check_record_numbers(&schemas, &mut report);
    for problem in &report.problems {
        println!("spec: {problem}");
    }
    let without = schemas.len() - tables.len().min(schemas.len());
    println!(
        "spec: {} messages with {} fields, {} facts compared with Kafka {KAFKA_VERSION}, \
         {} differences; {without} schemas have no table here",
        tables.len(),
        report.fields,
        report.facts,
        report.problems.len(),
    );
    let failed = report.problems.len() as u64;
    let mut outcome = Outcome { passed: report.facts - failed, failed, not_run: Vec::new() };
    outcome.add(recode::run(&tables, &folder)?);
    Ok(outcome)
}

/// All tables of the protocol crate.
fn tables() -> Vec<MessageSchema> {
    let mut tables = messages::registry();
    tables.extend(metadata::registry());
    tables.extend(metadata::control::registry());
    tables.extend(internal::registry());
    tables
}

/// The folder with the unpacked jars; `None` when there is no Maven to fetch them with.
fn fetch(root: &Path) -> Result<Option<PathBuf>> {
    let folder = root.join("target/spec").join(KAFKA_VERSION);
    // What was unpacked for another project is unpacked again.
    let done = folder.join("complete");
    if fs::read_to_string(&done).is_ok_and(|of| of == pom_text()) {
        return Ok(Some(folder));
    }
    fs::create_dir_all(&folder)?;
    let pom = folder.join("pom.xml");
    fs::write(&pom, pom_text())?;
    let mut maven = Command::new("mvn");
    maven
        .args(["--quiet", "--batch-mode", "-Dstyle.color=never", "--file"])
        .arg(&pom)
        .arg("dependency:unpack");
    match maven.status() {
        Ok(status) if status.success() => {
            fs::write(done, pom_text())?;
            Ok(Some(folder))
        }
        Ok(status) => {
            println!("spec: mvn cannot fetch Kafka's jars: {status}");
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}

/// A project whose only use is to have the jars unpacked beside it.
fn pom_text() -> String {
    let items: String = JARS
        .iter()
        .map(|jar| {
            format!(
                "<artifactItem><groupId>org.apache.kafka</groupId><artifactId>{jar}</artifactId>\
                 <version>{KAFKA_VERSION}</version></artifactItem>\n"
            )
        })
        .collect();
    let jackson: String = JACKSON
        .iter()
        .map(|(jar, version)| {
            format!(
                "<artifactItem><groupId>com.fasterxml.jackson.core</groupId>\
                 <artifactId>{jar}</artifactId><version>{version}</version></artifactItem>\n"
            )
        })
        .collect();
    format!(
        "<project>\n\
         <modelVersion>4.0.0</modelVersion>\n\
         <groupId>ottla</groupId><artifactId>spec</artifactId><version>1</version>\n\
         <packaging>pom</packaging>\n\
         <build><plugins><plugin>\n\
         <groupId>org.apache.maven.plugins</groupId>\n\
         <artifactId>maven-dependency-plugin</artifactId>\n\
         <configuration><includes>**/*.json,org/apache/kafka/**,com/fasterxml/**</includes>\n\
         <outputDirectory>${{project.basedir}}/jars</outputDirectory>\n\
         <artifactItems>\n{items}{jackson}</artifactItems></configuration>\n\
         </plugin></plugins></build>\n\
         </project>\n"
    )
}

/// All schemas under the folder, by name.
fn load(folder: &Path) -> Result<BTreeMap<String, Schema>> {
    let mut schemas = BTreeMap::new();
    let mut folders = vec![folder.join("jars")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            // Jars may hold other JSON files too; a schema has a name and fields.
            let text = fs::read_to_string(&path)?;
            if let Some(schema) =
                Schema::parse(&text).with_context(|| path.display().to_string())?
            {
                schemas.insert(schema.name.clone(), schema);
            }
        }
    }
    Ok(schemas)
}

/// The requests' numbers, served versions and first flexible versions.
fn check_api_keys(schemas: &BTreeMap<String, Schema>, report: &mut Report) {
    for &api in ApiKey::ALL {
        let name = format!("{}Request", api.name());
        let Some(schema) = schemas.get(&name) else {
            report.differs(&name, "Kafka has no such request");
            continue;
        };
        report.fact(&name, "number", &schema.api_key, &Some(api.as_i16()));
        report.fact(&name, "first flexible version", &schema.flexible_from, &api.flexible_from());
        let served = api.versions();
        let (first, last) = schema.versions;
        let within = first <= *served.start() && last.is_none_or(|last| *served.end() <= last);
        report.fact(&name, "served versions within those of the schema", &true, &within);
    }
}

/// The numbers of metadata records and of keys in the internal topics.
fn check_record_numbers(schemas: &BTreeMap<String, Schema>, report: &mut Report) {
    let records = metadata::registry();
    let names = records.iter().map(|record| record.name).zip(metadata::API_KEYS.iter().copied());
    let keys = internal::GroupKey::KINDS
        .iter()
        .chain(internal::TransactionKey::KINDS)
        .chain(internal::OTHER_KINDS)
        .copied();
    for (name, number) in names.chain(keys) {
        let expected = schemas.get(name).and_then(|schema| schema.api_key);
        report.fact(name, "number", &expected, &Some(number));
    }
}
