//! Gets the clients through their own package managers, pinned, into `target/interop/`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice::from_ref;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::RELEASE_BUILD;
use super::clients::Client;
use super::process;
use crate::gate::{cargo_command, target_dir};

/// Getting everything from empty caches takes under two minutes here; a stuck download ends too.
const LIMIT: Duration = Duration::from_secs(600);

/// Before what could not be got is asked for again.
const PAUSE: Duration = Duration::from_secs(10);

/// Around Kafka's version in `pom.xml`.
const VERSION: (&str, &str) = ("<kafka.version>", "</kafka.version>");

/// What lanes need from the machine; each client names its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// kcat and a Python that drives it.
    Kcat,
    /// A Python that can make a virtual environment.
    Python,
    /// Node and npm.
    Node,
    /// The Go toolchain.
    Go,
    /// A JDK and Maven.
    Java,
    /// The cargo that runs this program.
    Cargo,
}

const NEEDS: [Need; 6] = [Need::Kcat, Need::Python, Need::Node, Need::Go, Need::Java, Need::Cargo];

impl Need {
    fn commands(self) -> &'static [&'static str] {
        match self {
            Need::Kcat => &["kcat", "python3"],
            Need::Python => &["python3"],
            Need::Node => &["node", "npm"],
            Need::Go => &["go"],
            Need::Java => &["java", "javac", "mvn"],
            Need::Cargo => &[],
        }
    }

    /// The first command that the machine lacks.
    fn lacking(self) -> Option<&'static str> {
        self.commands().iter().find(|command| find(command).is_none()).copied()
    }
}

/// Where everything is.
pub(crate) struct Toolbox {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// The folder of the client programs.
    pub(crate) sources: PathBuf,
    /// Everything that is got, built or written.
    pub(crate) target: PathBuf,
    /// The release build of the broker.
    pub(crate) ottla: PathBuf,
    /// The release build of the offline tools.
    pub(crate) ottlactl: PathBuf,
    /// The release build of the program around `ottla-client`.
    pub(crate) ottla_client: PathBuf,
    ready: Vec<Need>,
}

impl Toolbox {
    /// Gets what the chosen clients and the lanes need: Java when they want Apache Kafka, Go when
    /// they want its programs. Returns what cannot run with it, as `lane: needs tool`.
    pub(crate) fn prepare(
        root: &Path,
        clients: &[&Client],
        lanes: &[Need],
    ) -> Result<(Toolbox, Vec<String>)> {
        let mut toolbox = Toolbox {
            root: root.to_owned(),
            sources: root.join("interop"),
            target: root.join("target/interop"),
            ottla: target_dir(root).join("release/ottla"),
            ottlactl: target_dir(root).join("release/ottlactl"),
            ottla_client: target_dir(root).join("release/ottla-interop"),
            ready: Vec::new(),
        };
        fs::create_dir_all(toolbox.target.join("log"))?;
        let mut missing = Vec::new();
        for client in clients {
            if let Some(command) = client.needs.lacking() {
                missing.push(format!("interop {}: needs {command}", client.name));
            }
        }
        for need in lanes {
            if let Some(command) = need.lacking() {
                missing.push(format!("interop lanes with {need:?}: needs {command}"));
            }
        }
        let wanted: Vec<Need> = NEEDS
            .into_iter()
            .filter(|need| need.lacking().is_none())
            .filter(|need| clients.iter().any(|c| c.needs == *need) || lanes.contains(need))
            .collect();
        let results: Vec<Result<()>> = thread::scope(|scope| {
            let toolbox = &toolbox;
            let threads: Vec<_> =
                wanted.iter().map(|need| scope.spawn(|| toolbox.get(*need))).collect();
            threads.into_iter().map(|t| t.join().expect("getting tools does not panic")).collect()
        });
        for (need, result) in wanted.into_iter().zip(results) {
            result.with_context(|| format!("{need:?}"))?;
            toolbox.ready.push(need);
        }
        Ok((toolbox, missing))
    }

    /// Whether that part is there.
    pub(crate) fn has(&self, need: Need) -> bool {
        self.ready.contains(&need)
    }

    /// A file for a program's error output.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.target.join("log").join(name)
    }

    /// A JVM with Apache Kafka and our classes in it. Tools are short, so that it starts fast.
    pub(crate) fn java(&self) -> Command {
        self.java_with(&self.class_path())
    }

    /// The same with other classes.
    pub(crate) fn java_with(&self, class_path: &str) -> Command {
        let mut command = Command::new("java");
        let config = self.sources.join("log4j2.xml");
        command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1G"]);
        command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
        command.arg("-cp").arg(class_path);
        command
    }

    /// Our classes and every jar; the JVM expands the star.
    pub(crate) fn class_path(&self) -> String {
        format!("{0}/classes:{0}/libs/*", self.target.display())
    }

    /// Gets another version of Apache Kafka with what its broker needs; for `-cp` of a JVM.
    pub(crate) fn other_kafka(&self, version: &str) -> Result<String> {
        let text = fs::read_to_string(self.sources.join("pom.xml"))?;
        let (before, rest) = text.split_once(VERSION.0).context("pom.xml names Kafka's version")?;
        let (_, after) = rest.split_once(VERSION.1).context("pom.xml ends Kafka's version")?;
        let name = format!("kafka-{version}");
        let pom = self.target.join(format!("{name}.xml"));
        fs::write(&pom, format!("{before}{}{version}{}{after}", VERSION.0, VERSION.1))?;
        let libs = self.target.join(&name);
        self.once(&name, from_ref(&pom), || self.copy_jars(&pom, &libs))?;
        Ok(format!("{}/*", libs.display()))
    }

    fn copy_jars(&self, pom: &Path, libs: &Path) -> Result<()> {
        let mut copy = Command::new("mvn");
        copy.args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "--file"]);
        copy.arg(pom).arg(format!("-DoutputDirectory={}", libs.display()));
        // Older versions bring another logger, and there can be one.
        copy.arg("-DexcludeArtifactIds=slf4j-reload4j");
        self.run(copy, "mvn")
    }

    fn get(&self, need: Need) -> Result<()> {
        let start = Instant::now();
        let get = || match need {
            Need::Kcat => Ok(false),
            Need::Python => self.get_python(),
            Need::Node => self.get_node(),
            Need::Go => self.get_go(),
            Need::Java => self.get_java(),
            Need::Cargo => self.get_cargo(),
        };
        // The way to a registry may be bad for a moment.
        let fresh = get().or_else(|error| {
            println!("{need:?}, for another try: {error:#}");
            thread::sleep(PAUSE);
            get()
        })?;
        if fresh {
            println!("got {need:?} in {:.1} s", start.elapsed().as_secs_f64());
        }
        Ok(())
    }

    fn get_python(&self) -> Result<bool> {
        let venv = self.target.join("venv");
        let requirements = self.sources.join("python/requirements.txt");
        self.once("venv", from_ref(&requirements), || {
            let mut create = Command::new("python3");
            create.args(["-m", "venv", "--clear"]).arg(&venv);
            self.run(create, "venv")?;
            let mut install = Command::new(venv.join("bin/pip"));
            install.args(["install", "--quiet", "--only-binary", ":all:", "-r"]).arg(&requirements);
            self.run(install, "pip")
        })
    }

    fn get_node(&self) -> Result<bool> {
        let folder = self.target.join("node");
        let files =
            ["package.json", "package-lock.json"].map(|f| self.sources.join("node").join(f));
        self.once("node", &files, || {
            fs::create_dir_all(&folder)?;
            for file in &files {
                fs::copy(file, folder.join(file.file_name().context("a file has a name")?))?;
            }
            let mut install = Command::new("npm");
            install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
            install.current_dir(&folder);
            self.run(install, "npm")
        })
    }

    fn get_go(&self) -> Result<bool> {
        // Go's own cache makes this quick when nothing has changed.
        let mut build = Command::new("go");
        build.args(["build", "-mod=readonly", "-o"]).arg(self.target.join("bin/")).arg("./...");
        build.current_dir(self.sources.join("go"));
        fs::create_dir_all(self.target.join("bin"))?;
        self.run(build, "go").map(|()| true)
    }

    fn get_cargo(&self) -> Result<bool> {
        self.run(cargo_command(&self.root, &RELEASE_BUILD), "cargo").map(|()| true)
    }

    fn get_java(&self) -> Result<bool> {
        let libs = self.target.join("libs");
        let pom = self.sources.join("pom.xml");
        let got = self.once("libs", from_ref(&pom), || self.copy_jars(&pom, &libs))?;
        let mut sources: Vec<PathBuf> = fs::read_dir(self.sources.join("java"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        sources.sort();
        let compiled = self.once("classes", &sources, || {
            let mut compile = Command::new("javac");
            compile.arg("-Xlint:all").arg("-d").arg(self.target.join("classes"));
            compile.arg("-cp").arg(format!("{}/*", libs.display())).args(&sources);
            self.run(compile, "javac")
        })?;
        Ok(got || compiled)
    }

    fn run(&self, command: Command, name: &str) -> Result<()> {
        process::output(command, &self.log(name), LIMIT).map(|_| ())
    }

    /// Fills a folder of `target/interop` unless that was done before from the same inputs.
    fn once(
        &self,
        name: &str,
        inputs: &[PathBuf],
        fill: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        let mut wanted = String::new();
        for input in inputs {
            wanted += &fs::read_to_string(input)?;
        }
        let stamp = self.target.join(name).join("stamp");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(false);
        }
        let folder = self.target.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        fill()?;
        fs::write(stamp, wanted)?;
        Ok(true)
    }
}

/// The path of a command, as a shell would find it.
fn find(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.is_file())
}
