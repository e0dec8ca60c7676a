//! Settings, by Kafka's names.
//!
//! [`Properties`] are names and values as a file or a program has them; the tables say which names
//! there are, and what they mean. A name that is in no table is an error that says which one was
//! probably meant, unless Kafka's clients have it for what does not matter here ([`elsewhere`]).

use std::time::Duration;

use crate::chance::Backoff;
use crate::error::{Error, ErrorKind};
use crate::net::reactor::NetSettings;
use crate::net::socket::SocketBuffers;
use crate::session::SessionSettings;

mod consumer;
mod def;
mod elsewhere;
mod every_client;
mod producer;
mod properties;

pub use def::{Def, Kind};
pub use properties::Properties;

pub(crate) use consumer::CONSUMER;
pub(crate) use def::{Table, defs};
use elsewhere::Elsewhere;
pub(crate) use every_client::COMMON;
pub(crate) use producer::PRODUCER;

/// Properties that were checked against the tables of one kind of client.
pub(crate) struct Settings<'a> {
    tables: &'static [&'static Table],
    properties: &'a Properties,
}

impl<'a> Settings<'a> {
    /// # Errors
    /// A name that no client has, or whose effect would be missed; a value that is not valid.
    pub(crate) fn new(
        tables: &'static [&'static Table],
        properties: &'a Properties,
    ) -> Result<Self, Error> {
        let settings = Self { tables, properties };
        for (name, value) in properties.iter() {
            match settings.def(name) {
                Some(def) => def.check(value).map_err(|wrong| properties.error(name, &wrong))?,
                None => settings.pass_over(name, value)?,
            }
        }
        Ok(settings)
    }

    /// A name that is in none of the tables.
    fn pass_over(&self, name: &str, value: &str) -> Result<(), Error> {
        match Elsewhere::of(name, value) {
            Some(Elsewhere::OtherKind) => Ok(()),
            Some(Elsewhere::NoEffect) => {
                log::debug!("{name} has no effect on this client");
                Ok(())
            }
            Some(Elsewhere::Missing(wrong)) => Err(self.error(name, wrong)),
            None => {
                let all = self.tables.iter().flat_map(|table| table.iter());
                let guess = ottla_properties::nearest(name, all.map(|def| def.name));
                let guess = guess.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
                Err(self.error(name, &format!("unknown setting{guess}")))
            }
        }
    }

    fn def(&self, name: &str) -> Option<&'static Def> {
        self.tables.iter().flat_map(|table| table.iter()).find(|def| def.name == name)
    }

    /// The value, or its default; `None` when there is neither.
    ///
    /// # Panics
    /// When the name is in none of the tables.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        let def = self.def(name).expect("callers name settings of their tables");
        self.properties.get(name).or(def.default)
    }

    /// Whether it is not left to its default.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.properties.get(name).is_some()
    }

    /// A number, or its default.
    ///
    /// # Panics
    /// When it is no number with a default in one of the tables.
    pub(crate) fn number(&self, name: &str) -> i64 {
        let text = self.text(name).expect("it has a default");
        text.trim().parse().expect("it was checked")
    }

    /// A number that is never negative, or its default.
    pub(crate) fn size(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(0)
    }

    /// A number of milliseconds, or its default.
    pub(crate) fn duration(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(name)).unwrap_or(0))
    }

    /// Yes or no.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }

    /// The parts of a list.
    pub(crate) fn list(&self, name: &str) -> Vec<&'a str> {
        let parts = self.text(name).unwrap_or_default().split(',');
        parts.map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// What is wrong with the value of a setting, with the place that it was set at.
    pub(crate) fn error(&self, name: &str, wrong: &str) -> Error {
        self.properties.error(name, wrong)
    }

    /// How connections are made.
    pub(crate) fn net(&self) -> NetSettings {
        let idle_max = self.number("connections.max.idle.ms");
        NetSettings {
            client_id: self.text("client.id").unwrap_or_default().into(),
            reconnect_backoff: self.backoff("reconnect.backoff.ms", "reconnect.backoff.max.ms"),
            setup_timeout: self.backoff(
                "socket.connection.setup.timeout.ms",
                "socket.connection.setup.timeout.max.ms",
            ),
            idle_max: u64::try_from(idle_max).ok().map(Duration::from_millis),
            frame_bytes_max: self.size("receive.message.max.bytes"),
            socket_buffers: SocketBuffers {
                send: usize::try_from(self.number("send.buffer.bytes")).ok(),
                receive: usize::try_from(self.number("receive.buffer.bytes")).ok(),
            },
        }
    }

    /// How brokers are asked.
    ///
    /// # Errors
    /// No address in `bootstrap.servers`, or one that is none.
    pub(crate) fn session(&self) -> Result<SessionSettings, Error> {
        Ok(SessionSettings {
            bootstrap: self.bootstrap()?,
            metadata_max_age: self.duration("metadata.max.age.ms"),
            retry_backoff: self.backoff("retry.backoff.ms", "retry.backoff.max.ms"),
            request_timeout: self.duration("request.timeout.ms"),
            may_create_topics: false,
            topic_idle_max: Duration::ZERO,
        })
    }

    fn backoff(&self, first: &str, max: &str) -> Backoff {
        let (first, max) = (self.duration(first), self.duration(max));
        // Kafka's clients take the greater one for both, too.
        Backoff { first, max: max.max(first) }
    }

    fn bootstrap(&self) -> Result<Vec<(String, u16)>, Error> {
        const NAME: &str = "bootstrap.servers";
        let addresses = self.list(NAME);
        if addresses.is_empty() {
            let detail = "bootstrap.servers is not set: the address of a broker, localhost:9092";
            return Err(Error::new(ErrorKind::Config, detail));
        }
        let parsed = |address: &&str| {
            host_and_port(address).ok_or_else(|| {
                let wrong = format!("{address:?} is no HOST:PORT, such as localhost:9092");
                self.error(NAME, &wrong)
            })
        };
        addresses.iter().map(parsed).collect()
    }
}

/// `localhost:9092`, `[::1]:9092`, or `PLAINTEXT://localhost:9092`.
fn host_and_port(address: &str) -> Option<(String, u16)> {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &Properties) -> Result<Settings<'_>, String> {
        Settings::new(&[COMMON], properties).map_err(|error| error.to_string())
    }

    fn refused(name: &str, value: &str) -> String {
        settings(&Properties::new().with(name, value)).err().unwrap()
    }

    #[test]
    fn defaults_are_valid_and_kafkas() {
        let properties = Properties::new().with("bootstrap.servers", "a:1, [::1]:2,");
        let settings = settings(&properties).unwrap();
        for def in COMMON.iter() {
            if let Some(default) = def.default {
                assert_eq!(def.check(default), Ok(()), "{}", def.name);
            }
        }
        let net = settings.net();
        assert_eq!(net.idle_max, Some(Duration::from_secs(540)));
        assert_eq!(net.reconnect_backoff.max, Duration::from_secs(1));
        let session = settings.session().unwrap();
        assert_eq!(session.bootstrap, [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        assert_eq!(session.metadata_max_age, Duration::from_secs(300));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let text = "bootstrap.server=a:1: unknown setting; did you mean bootstrap.servers?";
        assert_eq!(refused("bootstrap.server", "a:1"), text);
        let text = "retry.backoff.ms=soon: not a whole number from 0 to 9223372036854775807";
        assert_eq!(refused("retry.backoff.ms", "soon"), text);
        let text = "transactional.id=a: there are no transactions yet; leave it out";
        assert_eq!(refused("transactional.id", "a"), text);
        assert!(settings(&Properties::new().with("value.serializer", "S")).is_ok());
        for address in ["", "a", "a:", ":1", "a:0", "a:65536", "::1:1", "[::1:1"] {
            let properties = Properties::new().with("bootstrap.servers", address);
            let error = settings(&properties).unwrap().session().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{address}");
        }
    }
}
