//! What cargo knows of the workspace: packages, licenses, and who depends on whom.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::gate::cargo_command;

/// A package of the workspace or one that it depends on.
pub(crate) struct Package {
    /// The name on the registry or in the workspace.
    pub(crate) name: String,
    /// The version, for messages.
    pub(crate) version: String,
    /// The SPDX expression; empty when the package has none.
    pub(crate) license: String,
    /// Whether it is one of ours.
    pub(crate) member: bool,
    /// Names of direct dependencies of every kind but those that only tests need.
    pub(crate) dependencies: Vec<String>,
    /// Names of direct dependencies of tests, examples and benchmarks.
    pub(crate) dev_dependencies: Vec<String>,
}

/// Every package of the lock file, read from `cargo metadata`.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>> {
    let args = ["metadata", "--format-version", "1", "--locked"];
    let output = cargo_command(root, &args).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    parse(&serde_json::from_slice(&output.stdout)?).context("cargo metadata has another form")
}

fn parse(metadata: &Value) -> Option<Vec<Package>> {
    let members: Vec<&str> =
        metadata["workspace_members"].as_array()?.iter().filter_map(Value::as_str).collect();
    let mut packages = Vec::new();
    for package in metadata["packages"].as_array()? {
        let of_kind = |is_dev: bool| -> Option<Vec<String>> {
            let all = package["dependencies"].as_array()?.iter();
            let of = all.filter(|dependency| (dependency["kind"] == "dev") == is_dev);
            Some(of.filter_map(|of| of["name"].as_str().map(str::to_owned)).collect())
        };
        packages.push(Package {
            name: package["name"].as_str()?.to_owned(),
            version: package["version"].as_str()?.to_owned(),
            license: package["license"].as_str().unwrap_or_default().to_owned(),
            member: members.contains(&package["id"].as_str()?),
            dependencies: of_kind(false)?,
            dev_dependencies: of_kind(true)?,
        });
    }
    Some(packages)
}

/// Names of all packages that end up in the broker's binary on this machine.
pub(crate) fn shipped(root: &Path) -> Result<Vec<String>> {
    let args = ["tree", "--locked", "-p", "ottla", "-e", "normal", "--prefix", "none"];
    let output = cargo_command(root, &args).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut names: Vec<String> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
