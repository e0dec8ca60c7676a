//! What a broker is told to start in spite of, by name (`--accept`).

use super::error::{ConfigError, Problem};
use super::statics::Origin;

/// A reason not to start that is a matter of judgment: somebody may say that it does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acceptable {
    /// An authorizer is set, whose ACLs Ottla does not enforce.
    Acls,
    /// The cluster has other brokers, which Ottla takes for gone.
    OtherBrokers,
    /// Tiered storage is on, and Ottla does not read what was moved away.
    TieredStorage,
    /// There are partitions, and no metadata log that knows them.
    Strays,
    /// A log directory is blank, and partitions lie in one that is not here.
    LostDirectories,
}

impl Acceptable {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Acls, Self::OtherBrokers, Self::TieredStorage, Self::Strays, Self::LostDirectories];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acls => "acls",
            Self::OtherBrokers => "other-brokers",
            Self::TieredStorage => "tiered-storage",
            Self::Strays => "strays",
            Self::LostDirectories => "lost-directories",
        }
    }

    /// What it means to accept it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Acls => "every client may do everything",
            Self::OtherBrokers => {
                "they are stopped and stay so, and what has no replica in sync here is not served"
            }
            Self::TieredStorage => "records in remote storage cannot be read",
            Self::Strays => "a new cluster begins, and every partition here is renamed to *-stray",
            Self::LostDirectories => {
                "the directory is made a new one, and the partitions of the lost ones stay offline"
            }
        }
    }
}

/// What was accepted; nothing at first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted(Vec<Acceptable>);

impl Accepted {
    /// Adds names separated by commas.
    ///
    /// # Errors
    /// One is not known.
    pub fn add(&mut self, names: &str) -> Result<(), ConfigError> {
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let known = Acceptable::ALL.into_iter().find(|known| known.name() == name);
            let Some(known) = known else { return Err(unknown(name).into()) };
            if !self.contains(known) {
                self.0.push(known);
            }
        }
        Ok(())
    }

    /// Whether this was accepted.
    pub fn contains(&self, one: Acceptable) -> bool {
        self.0.contains(&one)
    }

    /// What was accepted, in the order in which it was.
    pub fn iter(&self) -> impl Iterator<Item = Acceptable> {
        self.0.iter().copied()
    }
}

fn unknown(name: &str) -> Problem {
    Problem {
        place: Origin::Option("--accept").to_string(),
        subject: format!("{name:?}"),
        wrong: "is nothing that can be accepted".to_owned(),
        valid: Acceptable::ALL.map(Acceptable::name).join(", "),
        next: "run ottla check, which names what there is to accept".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_added_once_each() {
        let mut accepted = Accepted::default();
        accepted.add("acls, other-brokers, tiered-storage").unwrap();
        accepted.add("acls").unwrap();
        let all: Vec<Acceptable> = accepted.iter().collect();
        assert_eq!(all, [Acceptable::Acls, Acceptable::OtherBrokers, Acceptable::TieredStorage]);
        assert!(accepted.contains(Acceptable::Acls));
        let error = accepted.add("acls,acl").unwrap_err().to_string();
        assert!(error.starts_with("command line, --accept: \"acl\""), "{error}");
        let valid = "valid: acls, other-brokers, tiered-storage, strays, lost-directories";
        assert!(error.contains(valid), "{error}");
    }
}
