//! Requests about topics, and what is answered.
//!
//! CreateTopics 4, Metadata 5, ListOffsets 1, IncrementalAlterConfigs 0: none of them in the
//! flexible encoding.

use std::io;

use super::{Fields, Frame};

/// Creates topics of one replica, all with the same settings.
pub(crate) fn create_topics(topics: &[String], partitions: i32, configs: &[(&str, &str)]) -> Frame {
    let mut frame = Frame::new(19, 4);
    frame.i32(topics.len() as i32);
    for topic in topics {
        frame.string(topic).i32(partitions).i16(1).i32(0).i32(configs.len() as i32);
        for (name, value) in configs {
            frame.string(name).string(value);
        }
    }
    frame.i32(120_000).i8(0);
    frame.done()
}

/// Checks that every topic was created.
pub(crate) fn created(answer: &[u8], topics: usize) -> io::Result<()> {
    let mut fields = Fields::after_header(answer);
    fields.i32()?;
    let count = fields.i32()?;
    for _ in 0..count {
        let topic = fields.string()?;
        let error = fields.i16()?;
        let message = fields.string()?;
        if error != 0 {
            return Err(io::Error::other(format!("create {topic}: error {error}, {message}")));
        }
    }
    if count as usize == topics {
        return Ok(());
    }
    Err(io::Error::other(format!("{count} of {topics} topics were answered")))
}

/// Asks for every topic.
pub(crate) fn metadata_of_all() -> Frame {
    let mut frame = Frame::new(3, 5);
    frame.i32(-1).i8(0);
    frame.done()
}

/// How many partitions with a leader a Metadata answer has.
pub(crate) fn led_partitions(answer: &[u8]) -> io::Result<usize> {
    let mut fields = Fields::after_header(answer);
    fields.i32()?;
    for _ in 0..fields.i32()? {
        fields.i32()?;
        fields.string()?;
        fields.i32()?;
        fields.string()?;
    }
    fields.string()?;
    fields.i32()?;
    let mut led = 0;
    for _ in 0..fields.i32()? {
        let topic_error = fields.i16()?;
        fields.string()?;
        fields.raw(1)?;
        for _ in 0..fields.i32()? {
            let error = fields.i16()?;
            fields.i32()?;
            let leader = fields.i32()?;
            for _ in 0..3 {
                let nodes = fields.i32()?;
                fields.raw(4 * nodes as usize)?;
            }
            led += usize::from(topic_error == 0 && error == 0 && leader >= 0);
        }
    }
    Ok(led)
}

/// Asks for the end of every partition of these topics.
pub(crate) fn list_offsets(topics: &[String], partitions: i32) -> Frame {
    let mut frame = Frame::new(2, 1);
    frame.i32(-1).i32(topics.len() as i32);
    for topic in topics {
        frame.string(topic).i32(partitions);
        for partition in 0..partitions {
            frame.i32(partition).i64(-1);
        }
    }
    frame.done()
}

/// How many partitions a ListOffsets answer has without an error.
pub(crate) fn listed_offsets(answer: &[u8]) -> io::Result<usize> {
    let mut fields = Fields::after_header(answer);
    let mut listed = 0;
    for _ in 0..fields.i32()? {
        fields.string()?;
        for _ in 0..fields.i32()? {
            fields.i32()?;
            listed += usize::from(fields.i16()? == 0);
            fields.raw(16)?;
        }
    }
    Ok(listed)
}

/// The ends that a ListOffsets answer tells for all partitions of one topic.
///
/// # Errors
/// Any error code, and a partition left out or told twice.
pub(crate) fn ends(answer: &[u8], partitions: i32) -> io::Result<Vec<i64>> {
    let mut fields = Fields::after_header(answer);
    let topics = fields.i32()?;
    fields.string()?;
    let count = fields.i32()?;
    if (topics, count) != (1, partitions) {
        return Err(io::Error::other(format!("the ends of {count} partitions of {partitions}")));
    }
    let mut ends = vec![None; count.unsigned_abs() as usize];
    for _ in 0..count {
        let (partition, error) = (fields.i32()?, fields.i16()?);
        let _timestamp = fields.i64()?;
        let end = fields.i64()?;
        let place = ends.get_mut(partition as usize).filter(|place| place.is_none());
        match place.filter(|_| error == 0) {
            Some(place) => *place = Some(end),
            None => return Err(io::Error::other(format!("end of {partition}: error {error}"))),
        }
    }
    Ok(ends.into_iter().flatten().collect())
}

/// Sets settings of a topic.
pub(crate) fn alter_configs(topic: &str, configs: &[(&str, &str)]) -> Frame {
    let mut frame = Frame::new(44, 0);
    frame.i32(1).i8(2).string(topic).i32(configs.len() as i32);
    for (name, value) in configs {
        frame.string(name).i8(0).string(value);
    }
    frame.i8(0);
    frame.done()
}

/// Checks that the settings were taken.
pub(crate) fn altered(answer: &[u8]) -> io::Result<()> {
    let mut fields = Fields::after_header(answer);
    fields.i32()?;
    fields.i32()?;
    match fields.i16()? {
        0 => Ok(()),
        code => Err(io::Error::other(format!("alter configs: error {code}, {}", fields.string()?))),
    }
}
