//! `ottlactl context`: clusters by names of one's own.
//!
//! They are in `~/.config/ottla/config.toml`, or under `XDG_CONFIG_HOME`:
//!
//! ```toml
//! current = "local"
//!
//! [contexts.local]
//! bootstrap-server = "localhost:9092"
//! command-config = "client.properties"   # optional, relative to this file
//! properties = { "client.id" = "me" }    # optional
//! ```

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use ottla_client::Properties;
use serde_json::Value;
use toml_edit::{DocumentMut, Item, Table, TableLike};

use crate::confirm::Yes;
use crate::global::{Global, name_and_value};
use crate::output::{self, text};
use crate::{CannotRun, Found, Outcome};

const EXAMPLES: &str = "\
Examples:
  ottlactl context set local -b localhost:9092
  ottlactl context set prod -b kafka1:9092,kafka2:9092 -X client.id=me
  ottlactl context use prod
  ottlactl topics list                         of prod
  ottlactl --context local topics list         of local

They are kept in ~/.config/ottla/config.toml, or under XDG_CONFIG_HOME.";

/// Clusters by names of one's own
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// All contexts, the current one marked
    List,
    /// Makes a context the current one
    Use {
        /// Its name
        name: String,
    },
    /// Makes a context of -b, -X and --command-config, or changes those of one that is there; the
    /// first one becomes the current one
    Set {
        /// Its name
        name: String,
    },
    /// Deletes a context
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
    /// What is in a context; in the current one if none is named
    Show {
        /// Its name
        name: Option<String>,
    },
}

/// What the names of settings have in them whose values are for nobody's eyes.
const SECRETS: [&str; 4] = ["password", "jaas", "secret", "keystore.key"];

const CURRENT: &str = "current";
const CONTEXTS: &str = "contexts";
const SERVER: &str = "bootstrap-server";
const CONFIG: &str = "command-config";
const PROPERTIES: &str = "properties";

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let mut contexts = Contexts::read()?;
    match &args.command {
        Command::List => list(&contexts, global)?,
        Command::Show { name } => {
            let name = name.as_deref().or(global.context()).or(contexts.current());
            let name = name.ok_or_else(|| {
                CannotRun("no context is the current one; ottlactl context use NAME".to_owned())
            })?;
            global.output.sections(&[contexts.section(name)?])?;
        }
        Command::Use { name } => {
            contexts.context(name)?;
            contexts.document[CURRENT] = toml_edit::value(name);
            contexts.write()?;
        }
        Command::Set { name } => {
            set(&mut contexts, name, global)?;
            contexts.write()?;
        }
        Command::Delete { name, yes } => {
            contexts.context(name)?;
            yes.confirm(&format!("delete the context {name}"))?;
            contexts.delete(name);
            contexts.write()?;
        }
    }
    Ok(Found::Nothing)
}

fn list(contexts: &Contexts, global: &Global) -> Result<(), CannotRun> {
    let mut table = output::Table::new(&[text("name"), text("current"), text("bootstrapServer")]);
    for name in contexts.names() {
        let is_current = contexts.current() == Some(name);
        let server = contexts.context(name)?.get(SERVER).and_then(Item::as_str);
        table.push([name.into(), is_current.into(), server.into()]);
    }
    global.output.table(&table)
}

fn set(contexts: &mut Contexts, name: &str, global: &Global) -> Result<(), CannotRun> {
    if name.is_empty() {
        return Err(CannotRun("a context needs a name".to_owned()));
    }
    let is_new = contexts.context(name).is_err();
    if is_new && global.given_bootstrap().is_none() && global.given_config().is_none() {
        return Err(CannotRun(format!("the context {name} is new; give it a cluster with -b")));
    }
    let is_first = contexts.names().next().is_none();
    let table = contexts.document[CONTEXTS].or_insert(Item::Table({
        let mut table = Table::new();
        table.set_implicit(true);
        table
    }));
    let malformed = || CannotRun(format!("{CONTEXTS} is no table; see ottlactl context --help"));
    let table = table.as_table_like_mut().ok_or_else(malformed)?;
    let context = table.entry(name).or_insert(Item::Table(Table::new()));
    let context = context.as_table_like_mut().ok_or_else(malformed)?;
    if let Some(server) = global.given_bootstrap() {
        context.insert(SERVER, toml_edit::value(server));
    }
    if let Some(file) = global.given_config() {
        let file = std::path::absolute(file)?;
        let file = file.to_str().ok_or_else(|| {
            CannotRun(format!("{}: a name that is not UTF-8 cannot be kept", file.display()))
        })?;
        context.insert(CONFIG, toml_edit::value(file));
    }
    if !global.given_properties().is_empty() {
        let properties = context.entry(PROPERTIES).or_insert(Item::Table(Table::new()));
        let properties = properties.as_table_like_mut().ok_or_else(malformed)?;
        for text in global.given_properties() {
            let (key, value) = name_and_value("-X", text)?;
            properties.insert(key, toml_edit::value(value));
        }
    }
    if is_first {
        contexts.document[CURRENT] = toml_edit::value(name);
    }
    Ok(())
}

/// The file of contexts.
pub(crate) struct Contexts {
    path: PathBuf,
    document: DocumentMut,
}

impl Contexts {
    /// Reads the file; one that is not there has none.
    ///
    /// # Errors
    /// It cannot be read, or is no TOML.
    pub(crate) fn read() -> Result<Self, CannotRun> {
        let path = path()?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(CannotRun(format!("{}: {error}", path.display()))),
        };
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
            let why = error.message().replace('\n', ", ");
            CannotRun(format!("{}, line {line}: {why}", path.display()))
        })?;
        Ok(Self { path, document })
    }

    fn current(&self) -> Option<&str> {
        let current = self.document.get(CURRENT).and_then(Item::as_str);
        current.filter(|name| !name.is_empty())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let contexts = self.document.get(CONTEXTS).and_then(Item::as_table_like);
        contexts.into_iter().flat_map(|table| table.iter().map(|(name, _)| name))
    }

    fn context(&self, name: &str) -> Result<&dyn TableLike, CannotRun> {
        let contexts = self.document.get(CONTEXTS).and_then(Item::as_table_like);
        let context = contexts.and_then(|contexts| contexts.get(name));
        context.and_then(Item::as_table_like).ok_or_else(|| {
            let guess = ottla_properties::nearest(name, self.names());
            let guess = guess.map(|name| format!("did you mean {name}?"));
            let next =
                guess.unwrap_or_else(|| "ottlactl context list shows which there are".into());
            CannotRun(format!("there is no context {name}; {next}"))
        })
    }

    /// The settings of a context.
    ///
    /// # Errors
    /// There is none of that name, or it is malformed.
    pub(crate) fn properties(&self, name: &str) -> Result<Properties, CannotRun> {
        let context = self.context(name)?;
        let malformed = |what: &str| {
            let place = self.path.display();
            CannotRun(format!("{place}: {what} of the context {name} is no text; put it in quotes"))
        };
        let mut properties = Properties::new();
        if let Some(file) = context.get(CONFIG) {
            let file = file.as_str().ok_or_else(|| malformed(CONFIG))?;
            properties.add_file(&self.path.parent().unwrap_or(Path::new(".")).join(file))?;
        }
        if let Some(given) = context.get(PROPERTIES) {
            let given = given.as_table_like().ok_or_else(|| malformed(PROPERTIES))?;
            for (key, value) in given.iter() {
                properties.set(key, value.as_str().ok_or_else(|| malformed(key))?);
            }
        }
        if let Some(server) = context.get(SERVER) {
            let server = server.as_str().ok_or_else(|| malformed(SERVER))?;
            properties.set("bootstrap.servers", server);
        }
        Ok(properties)
    }

    /// The settings of the current context; `None` when there is none.
    ///
    /// # Errors
    /// As [`Contexts::properties`].
    pub(crate) fn current_properties(&self) -> Result<Option<Properties>, CannotRun> {
        self.current().map(|name| self.properties(name)).transpose()
    }

    fn section(&self, name: &str) -> Result<output::Section, CannotRun> {
        let mut table = output::Table::new(&[text("property"), text("value")]);
        for (key, value) in self.properties(name)?.iter() {
            let is_secret = SECRETS.iter().any(|part| key.contains(part));
            table
                .push([key.into(), if is_secret { Value::from("(hidden)") } else { value.into() }]);
        }
        let config = self.context(name)?.get(CONFIG).and_then(Item::as_str);
        let facts = vec![
            ("name", name.into()),
            ("current", (self.current() == Some(name)).into()),
            ("commandConfig", config.into()),
        ];
        Ok(output::Section { facts, tables: vec![("properties", table)] })
    }

    fn delete(&mut self, name: &str) {
        if self.current() == Some(name) {
            // Removed, it would take a comment at the head of the file with it.
            self.document[CURRENT] = toml_edit::value("");
        }
        let contexts = self.document.get_mut(CONTEXTS).and_then(Item::as_table_like_mut);
        if let Some(contexts) = contexts {
            contexts.remove(name);
        }
    }

    /// Replaces the file as a whole; it may have secrets in it, which are its owner's alone.
    fn write(&self) -> Result<(), CannotRun> {
        let cannot = |error: io::Error| CannotRun(format!("{}: {error}", self.path.display()));
        // A link leads to where the file is kept, and stays.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let dir = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(cannot)?;
        let new = dir.join(format!("config.toml.{}.new", std::process::id()));
        let written = write_private(&new, self.document.to_string().as_bytes())
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| {
            _ = fs::remove_file(&new);
            cannot(error)
        })
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn path() -> Result<PathBuf, CannotRun> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let dir = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .ok_or_else(|| {
            CannotRun("neither XDG_CONFIG_HOME nor HOME is set; contexts are kept there".to_owned())
        })?;
    Ok(dir.join("ottla").join("config.toml"))
}
