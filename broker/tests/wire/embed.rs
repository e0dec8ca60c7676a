//! Brokers inside of a program, as its tests have them.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use ottla::{Broker, BrokerError, Config};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};

use crate::harness::{Client, batch};

fn ephemeral() -> Broker {
    Broker::start(Config::ephemeral()).unwrap()
}

fn client(broker: &Broker) -> Client {
    Client::connect(broker.address())
}

/// How many partitions a topic has that is asked for.
fn partitions(client: &mut Client, topic: &str) -> usize {
    let topics = vec![MetadataRequestTopic { name: Some(topic), ..Default::default() }];
    let request = MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    let answer = client.call(ApiKey::Metadata, 12, &request);
    let response: MetadataResponse<'_> = answer.message();
    assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
    response.topics[0].partitions.len()
}

#[test]
fn a_directory_of_its_own_goes_with_the_broker() {
    let broker = ephemeral();
    let dir = broker.dir().to_owned();
    assert!(dir.starts_with(std::env::temp_dir()) && dir.join("meta.properties").exists());
    assert_eq!(broker.bootstrap_servers(), broker.address().to_string());
    assert!(broker.address().ip().is_loopback());
    client(&broker).create_topic("t", 1, &[]);
    assert!(dir.join("t-0").exists());
    // Connections that are open do not keep it.
    let _open = client(&broker);
    drop(broker);
    assert!(!dir.exists());

    let stopped = ephemeral().stop().unwrap();
    let dir = stopped.dir().unwrap().to_owned();
    assert!(dir.exists());
    drop(stopped);
    assert!(!dir.exists());
}

#[test]
fn what_is_stopped_goes_on_with_its_data_at_its_address() {
    let mut broker = ephemeral();
    let (address, dir) = (broker.address(), broker.dir().to_owned());
    client(&broker).create_topic("t", 1, &[]);
    for round in 0..5 {
        assert_eq!(client(&broker).append("t", &batch(&[b"a"])), round);
        let stopped = broker.stop().unwrap();
        TcpStream::connect(address).unwrap_err();
        // The system gives its port to nobody else.
        let others: Vec<_> = (0..50).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != address));
        broker = Broker::start(stopped).unwrap();
        assert_eq!((broker.address(), broker.dir()), (address, &*dir));
    }
    assert_eq!(client(&broker).fetch("t", 0).high_watermark, 5);
}

#[test]
fn a_directory_that_was_given_stays() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let broker = Broker::start(Config::in_dir(&dir)).unwrap();
    client(&broker).create_topic("t", 1, &[]);
    client(&broker).append("t", &batch(&[b"a", b"b"]));
    drop(broker);
    assert!(dir.join(".kafka_cleanshutdown").exists(), "dropping it is an orderly stop");
    let broker = Broker::start(Config::in_dir(&dir)).unwrap();
    assert_eq!(client(&broker).fetch("t", 0).high_watermark, 2);

    let error = Broker::start(Config::in_dir(&dir)).unwrap_err().to_string();
    assert!(error.contains(dir.to_str().unwrap()), "{error}");
    assert_eq!(client(&broker).fetch("t", 0).high_watermark, 2, "the first one goes on");
    broker.stop().unwrap();
    assert!(dir.exists());
}

#[test]
fn settings_are_kafkas() {
    let config = Config::ephemeral().with("num.partitions", "7").with("num.partitions", "3");
    let broker = Broker::start(config).unwrap();
    assert_eq!(partitions(&mut client(&broker), "t"), 3);
    let stopped = broker.stop().unwrap().with("num.partitions", "4");
    let broker = Broker::start(stopped).unwrap();
    assert_eq!(partitions(&mut client(&broker), "t"), 3);
    assert_eq!(partitions(&mut client(&broker), "u"), 4);
}

#[test]
fn what_is_wrong_with_a_configuration_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = taken.local_addr().unwrap();
    let with = |name, value| Config::ephemeral().with(name, value);
    let told: Vec<(Config, &str)> = vec![
        (with("num.partition", "3"), "unknown setting num.partition; did you mean num.partitions?"),
        (with("retention.ms", "3"), "did you mean log.retention.ms?"),
        (with("qqqqqqqq", "3"), "unknown setting qqqqqqqq; see docs/CONFIG.md"),
        (with("num.partitions", "many"), "the program's configuration: num.partitions=many"),
        (with("listeners", "PLAINTEXT://:9092"), "call Config::listen instead"),
        (with("log.dirs", "/tmp/x"), "call Config::in_dir instead"),
        (Config::in_dir(&PathBuf::from("a,b")), "cannot be a data directory"),
        (Config::in_dir(&PathBuf::from("/dev/null/x")), "/dev/null"),
        (Config::ephemeral().listen(taken_address), "choose another address by Config::listen"),
    ];
    for (config, part) in told {
        let error = Broker::start(config).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn one_is_chosen_to_listen_on() {
    let broker = Broker::start(Config::ephemeral().listen("[::1]:0".parse().unwrap())).unwrap();
    assert_eq!(broker.bootstrap_servers(), format!("[::1]:{}", broker.address().port()));
    client(&broker).create_topic("t", 1, &[]);
    let address = broker.address();
    drop(broker);
    let broker = Broker::start(Config::ephemeral().listen(address)).unwrap();
    assert_eq!(broker.address(), address);
    client(&broker).create_topic("t", 1, &[]);
}

#[test]
fn many_do_not_know_of_each_other() {
    thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let mut broker = ephemeral();
                for round in 0..3 {
                    let topic = format!("t{number}-{round}");
                    let mut client = client(&broker);
                    client.create_topic(&topic, 1, &[]);
                    assert_eq!(client.append(&topic, &batch(&[b"a"])), 0);
                    broker = Broker::start(broker.stop().unwrap()).unwrap();
                }
                let logs = std::fs::read_dir(broker.dir()).unwrap().filter(|entry| {
                    entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with('t')
                });
                assert_eq!(logs.count(), 3);
            });
        }
    });
}

#[test]
fn a_directory_that_is_taken_away_harms_nobody_else() {
    let broker = ephemeral();
    let other = ephemeral();
    std::fs::remove_dir_all(broker.dir()).unwrap();
    // Whether the stop finds out is not sure; that neither it nor the drop panics is.
    let _: Result<Config, BrokerError> = broker.stop();
    client(&other).create_topic("t", 1, &[]);
}

#[test]
fn it_may_be_shared_and_sent() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Broker>();
    shared::<Config>();
}

#[test]
fn a_test_that_fails_leaves_nothing() {
    let panicked = thread::spawn(|| {
        let broker = ephemeral();
        std::panic::panic_any(broker.dir().to_owned());
    });
    let dir = *panicked.join().unwrap_err().downcast::<PathBuf>().unwrap();
    assert!(!dir.exists());
}
