//! Asks a service by a topic, and gets the answers by another: each request says where its answer
//! goes and by which id it is known again.
//!
//! `cargo run -p ottla-client --example request_reply [BOOTSTRAP]`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use ottla_client::{
    Admin, Consumer, ErrorKind, Header, NewTopic, Producer, ProducerRecord, Properties, Record,
    TopicPartition,
};

mod cluster;

const REPLY_TO: &[u8] = b"reply-to";
const CORRELATION_ID: &[u8] = b"correlation-id";
const QUESTIONS: [&str; 3] = ["1 2 3", "40 2", "seven"];

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let cluster = cluster::Cluster::find()?;
    run(&cluster.properties(), &mut io::stdout())
}

pub(crate) fn run(properties: &Properties, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let (requests, replies) = (cluster::fresh("requests"), cluster::fresh("replies"));
    let admin = Admin::new(properties)?;
    let topics = [&requests, &replies].map(|topic| NewTopic::new(topic).partitions(1));
    for (_, created) in admin.create_topics(&topics)? {
        created?;
    }
    let service = reader(properties, &requests)?;
    let answers = thread::scope(|scope| {
        let serving =
            scope.spawn(|| serve(properties, &service).map_err(|error| error.to_string()));
        let answers = ask(properties, &requests, &replies);
        // Ends the poll that it waits in, from another thread.
        service.wakeup();
        serving.join().map_err(|_| "the service panicked")??;
        answers
    })?;
    for (question, answer) in answers {
        writeln!(out, "{question}: {answer}")?;
    }
    admin.delete_topics(&[&requests, &replies])?;
    Ok(())
}

/// A consumer of a topic of one partition.
fn reader(properties: &Properties, topic: &str) -> Result<Consumer, ottla_client::Error> {
    let consumer = Consumer::new(&properties.clone().with("auto.offset.reset", "earliest"))?;
    consumer.assign(&[TopicPartition::new(topic, 0)])?;
    Ok(consumer)
}

fn header<'a>(record: &Record<'a>, key: &[u8]) -> Option<&'a [u8]> {
    record.headers().find(|header| header.key == key)?.value
}

/// Adds the numbers of each request, until it is woken up.
fn serve(properties: &Properties, requests: &Consumer) -> Result<(), ottla_client::Error> {
    // An answer is waited for: it is not to wait for others that could go with it.
    let producer = Producer::new(&properties.clone().with("linger.ms", "0"))?;
    loop {
        let records = match requests.poll(Duration::from_secs(60)) {
            Err(error) if error.kind() == ErrorKind::Wakeup => return Ok(()),
            polled => polled?,
        };
        for request in &records {
            let topic = header(&request, REPLY_TO).and_then(|to| std::str::from_utf8(to).ok());
            // Who does not say where to wants no answer.
            let (Some(topic), Some(id)) = (topic, header(&request, CORRELATION_ID)) else {
                continue;
            };
            let text = String::from_utf8_lossy(request.value().unwrap_or_default());
            let sum = text.split(' ').map(str::parse::<i64>).sum::<Result<i64, _>>();
            let answer = sum.map_or_else(|error| error.to_string(), |sum| sum.to_string());
            let headers = [Header { key: CORRELATION_ID, value: Some(id) }];
            let reply = ProducerRecord::new(topic, answer.as_bytes()).headers(&headers);
            drop(producer.send(&reply)?);
        }
    }
}

/// Sends all questions, and waits for the answer to each.
fn ask(
    properties: &Properties,
    requests: &str,
    replies: &str,
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let consumer = reader(properties, replies)?;
    let producer = Producer::new(&properties.clone().with("linger.ms", "0"))?;
    let mut waiting = BTreeMap::new();
    for (id, question) in QUESTIONS.iter().enumerate() {
        let id = id.to_string();
        let headers = [
            Header { key: REPLY_TO, value: Some(replies.as_bytes()) },
            Header { key: CORRELATION_ID, value: Some(id.as_bytes()) },
        ];
        let request = ProducerRecord::new(requests, question.as_bytes()).headers(&headers);
        drop(producer.send(&request)?);
        waiting.insert(id.into_bytes(), *question);
    }
    let mut answers = BTreeMap::new();
    while !waiting.is_empty() {
        for reply in &consumer.poll(Duration::from_secs(10))? {
            // Answers may come in any order, twice, and to others who share the topic.
            let id = header(&reply, CORRELATION_ID).unwrap_or_default();
            let Some(question) = waiting.remove(id) else { continue };
            let answer = String::from_utf8_lossy(reply.value().unwrap_or_default());
            answers.insert(question.to_owned(), answer.into_owned());
        }
    }
    Ok(answers)
}
