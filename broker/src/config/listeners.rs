//! `listeners` and the keys around it: what to bind, and what to tell clients.

use super::error::Problem;
use super::keys;
use super::statics::StaticConfig;
use super::value::Value;

/// A socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in upper case, PLAINTEXT say.
    pub name: String,
    /// A host name or an address, IPv6 without brackets; empty for every address.
    pub host: String,
    /// 0 for one that the system picks.
    pub port: u16,
}

/// What clients that came in by a listener are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name in upper case.
    pub listener: String,
    /// A host name or an address, IPv6 without brackets; never empty.
    pub host: String,
    /// 0 stands for the port that the listener got.
    pub port: u16,
}

/// All that the keys about listeners say, the controller's left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// What to bind; at least one.
    pub bind: Vec<Listener>,
    /// What to tell clients, one for each of `bind` in its order.
    pub advertised: Vec<Endpoint>,
    /// The name of the listener that other brokers would use.
    pub inter_broker: String,
}

impl Listeners {
    /// The names of those that are bound, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.bind.iter().map(|listener| listener.name.as_str())
    }

    /// Reads them. `hostname` is this machine's name, which is advertised for a listener
    /// without a host.
    pub(super) fn read(config: &StaticConfig, hostname: &str) -> Result<Self, Problem> {
        let controller: Vec<String> =
            list(config, "controller.listener.names")?.iter().map(|n| n.to_uppercase()).collect();
        let declared = addresses(config, "listeners")?;
        check_declared(config, &declared)?;
        let own: Vec<&Address> =
            declared.iter().filter(|listener| !controller.contains(&listener.name)).collect();
        if own.is_empty() {
            let wrong = "leaves no listener for clients; all of them are the controller's";
            return Err(config.problem("listeners", wrong));
        }
        check_protocols(config, &own)?;
        let advertised = advertised(config, &own, &controller, hostname)?;
        let bind: Vec<Listener> = own
            .iter()
            .map(|address| Listener {
                name: address.name.clone(),
                host: address.host.clone(),
                port: address.port,
            })
            .collect();
        for listener in &bind {
            check_own_limits(config, &listener.name)?;
        }
        let inter_broker = inter_broker(config, &bind, &controller)?;
        Ok(Self { bind, advertised, inter_broker })
    }
}

/// The keys that a listener may have for itself, as `listener.name.<name>.<key>`.
pub(super) const LISTENER_LIMITS: &[&str] =
    &["num.network.threads", "max.connections", "max.connection.creation.rate"];

/// A `NAME://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    name: String,
    host: String,
    port: u16,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once("://")?;
        let (host, port) = rest.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None => host,
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
        if name.is_empty() || !host.chars().all(allowed) {
            return None;
        }
        Some(Self { name: name.to_uppercase(), host: host.to_owned(), port: port.parse().ok()? })
    }
}

fn list(config: &StaticConfig, key: &str) -> Result<Vec<String>, Problem> {
    match config.known(key)? {
        Some(Value::List(values)) => Ok(values),
        _ => Ok(Vec::new()),
    }
}

fn text(config: &StaticConfig, key: &str) -> Result<Option<String>, Problem> {
    match config.known(key)? {
        Some(Value::Text(text)) => Ok(Some(text)),
        _ => Ok(None),
    }
}

fn addresses(config: &StaticConfig, key: &str) -> Result<Vec<Address>, Problem> {
    let parse = |text: &String| {
        Address::parse(text).ok_or_else(|| {
            let mut problem =
                config.problem(key, format!("holds {text:?}, which is no NAME://host:port"));
            "PLAINTEXT://:9092 or PLAINTEXT://[::1]:9092, several separated by commas"
                .clone_into(&mut problem.valid);
            problem
        })
    };
    list(config, key)?.iter().map(parse).collect()
}

/// Names are unique; so are ports, but for one IPv4 and one IPv6 address that share one.
fn check_declared(config: &StaticConfig, declared: &[Address]) -> Result<(), Problem> {
    for (n, address) in declared.iter().enumerate() {
        for other in &declared[..n] {
            if other.name == address.name {
                let wrong = format!("uses the name {} twice", address.name);
                return Err(config.problem("listeners", wrong));
            }
            let is_pair = other.host.contains(':') != address.host.contains(':')
                && !other.host.is_empty()
                && !address.host.is_empty();
            if other.port == address.port && address.port != 0 && !is_pair {
                let wrong = format!(
                    "gives {} and {} the same port {}",
                    other.name, address.name, address.port
                );
                return Err(config.problem("listeners", wrong));
            }
        }
    }
    Ok(())
}

/// Each of `own` has a protocol in the map, and it is one that Ottla speaks.
fn check_protocols(config: &StaticConfig, own: &[&Address]) -> Result<(), Problem> {
    const KEY: &str = "listener.security.protocol.map";
    let map = text(config, KEY)?.unwrap_or_default();
    let mut protocols = Vec::new();
    for entry in map.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let known = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
        match entry.split_once(':') {
            Some((name, protocol)) if known.contains(&protocol.to_uppercase().as_str()) => {
                protocols.push((name.to_uppercase(), protocol.to_uppercase()));
            }
            _ => {
                let mut problem =
                    config.problem(KEY, format!("holds {entry:?}, which is no NAME:PROTOCOL"));
                problem.valid = format!("NAME:PROTOCOL,..., of {}", known.join(", "));
                return Err(problem);
            }
        }
    }
    for address in own {
        match protocols.iter().find(|(name, _)| *name == address.name) {
            None => {
                let wrong =
                    format!("has listener {}, whose protocol {KEY} leaves out", address.name);
                let mut problem = config.problem("listeners", wrong);
                problem.valid = format!("names that are in {KEY}");
                problem.next = format!("add {}:PLAINTEXT to {KEY}", address.name);
                return Err(problem);
            }
            Some((_, protocol)) if protocol != "PLAINTEXT" => {
                let wrong = format!(
                    "listener {} speaks {protocol}; neither TLS nor SASL is built yet",
                    address.name
                );
                let mut problem = config.problem("listeners", wrong);
                "listeners whose protocol is PLAINTEXT".clone_into(&mut problem.valid);
                problem.next = format!(
                    "remove {}, or make it PLAINTEXT behind a proxy that ends TLS",
                    address.name
                );
                return Err(problem);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn advertised(
    config: &StaticConfig,
    own: &[&Address],
    controller: &[String],
    hostname: &str,
) -> Result<Vec<Endpoint>, Problem> {
    const KEY: &str = "advertised.listeners";
    let given = match config.get(KEY) {
        Some(_) => addresses(config, KEY)?,
        None => Vec::new(),
    };
    let is_bound = |address: &Address| own.iter().any(|listener| listener.name == address.name);
    if let Some(stranger) = given.iter().find(|a| !is_bound(a) && !controller.contains(&a.name)) {
        return Err(config.problem(KEY, format!("names {}, which is no listener", stranger.name)));
    }
    let mut advertised = Vec::with_capacity(own.len());
    for listener in own {
        let address = match given.iter().find(|address| address.name == listener.name) {
            Some(address) => address,
            None if given.is_empty() => listener,
            None => return Err(config.problem(KEY, format!("leaves out {}", listener.name))),
        };
        // Nobody can connect to "every address": Kafka refuses the IPv4 form too.
        if matches!(address.host.as_str(), "0.0.0.0" | "::") {
            let key = if given.is_empty() { "listeners" } else { KEY };
            let wrong = format!("would tell clients to connect to {}", address.host);
            let mut problem = config.problem(key, wrong);
            "an address or name that clients can reach".clone_into(&mut problem.valid);
            problem.next =
                format!("set {KEY}={}://NAME-OF-THIS-HOST:{}", listener.name, address.port);
            return Err(problem);
        }
        let host = if address.host.is_empty() { hostname } else { &address.host };
        advertised.push(Endpoint {
            listener: listener.name.clone(),
            host: host.to_owned(),
            port: address.port,
        });
    }
    Ok(advertised)
}

/// Each `listener.name.<name>.<key>` of a listener that is bound.
fn check_own_limits(config: &StaticConfig, name: &str) -> Result<(), Problem> {
    for key in LISTENER_LIMITS {
        let full = format!("listener.name.{}.{key}", name.to_lowercase());
        let Some(setting) = config.get(&full) else { continue };
        let def = keys::find(key).expect("a test looks up each of them");
        if let Err(wrong) = def.parse(&setting.value) {
            let mut problem = Problem::with_value(def, &setting.value, &setting.origin, wrong);
            problem.subject = format!("{full}={}", setting.value);
            return Err(problem);
        }
    }
    Ok(())
}

fn inter_broker(
    config: &StaticConfig,
    bind: &[Listener],
    controller: &[String],
) -> Result<String, Problem> {
    const KEY: &str = "inter.broker.listener.name";
    let Some(name) = text(config, KEY)?.map(|name| name.to_uppercase()) else {
        // Without the name Kafka goes by the protocol, and every listener here is PLAINTEXT.
        let plain = bind.iter().find(|listener| listener.name == "PLAINTEXT");
        return Ok(plain.unwrap_or(&bind[0]).name.clone());
    };
    if controller.contains(&name) {
        return Err(config.problem(KEY, "names a listener of the controller"));
    }
    if !bind.iter().any(|listener| listener.name == name) {
        return Err(config.problem(KEY, "names no listener"));
    }
    Ok(name)
}
