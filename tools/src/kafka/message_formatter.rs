//! How `kafka-console-consumer` prints records: Kafka's `DefaultMessageFormatter`.

use std::io::{self, Write};

use ottla_client::Record;
use ottla_protocol::record::batch::TimestampType;

use super::Failed;

/// What is printed of a record.
#[derive(Debug)]
pub(super) struct MessageFormatter {
    timestamp: bool,
    partition: bool,
    offset: bool,
    epoch: bool,
    delivery: bool,
    headers: bool,
    key: bool,
    value: bool,
    /// Between the fields, whatever its name says.
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null: Vec<u8>,
    key_as: Deserializer,
    value_as: Deserializer,
    header_as: Deserializer,
}

/// What bytes are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    Bytes,
    Text,
    /// A whole number of so many bytes.
    Number(usize),
}

impl Deserializer {
    fn of_class(name: &str) -> Result<Self, Failed> {
        let class = name.strip_prefix("org.apache.kafka.common.serialization.").unwrap_or(name);
        match class {
            "StringDeserializer" => Ok(Self::Text),
            "ShortDeserializer" => Ok(Self::Number(2)),
            "IntegerDeserializer" => Ok(Self::Number(4)),
            "LongDeserializer" => Ok(Self::Number(8)),
            _ => Err(Failed::Err(format!("{name}: there is no JVM here to load the class"))),
        }
    }

    fn write(self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Bytes => out.write_all(bytes),
            Self::Text => out.write_all(String::from_utf8_lossy(bytes).as_bytes()),
            Self::Number(size) if bytes.len() == size => {
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
                let number =
                    bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte));
                write!(out, "{number}")
            }
            Self::Number(size) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("Size of data received by the deserializer is not {size}"),
            )),
        }
    }
}

impl MessageFormatter {
    /// With these properties, `name=value`.
    ///
    /// # Errors
    /// A deserializer is a class that only a JVM can load.
    pub(super) fn new<'a>(
        properties: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Failed> {
        let mut formatter = Self {
            timestamp: false,
            partition: false,
            offset: false,
            epoch: false,
            delivery: false,
            headers: false,
            key: false,
            value: true,
            key_separator: b"\t".to_vec(),
            line_separator: b"\n".to_vec(),
            headers_separator: b",".to_vec(),
            null: b"null".to_vec(),
            key_as: Deserializer::Bytes,
            value_as: Deserializer::Bytes,
            header_as: Deserializer::Bytes,
        };
        for (name, value) in properties {
            let flag = value.trim().eq_ignore_ascii_case("true");
            let bytes = || value.as_bytes().to_vec();
            match name {
                "print.timestamp" => formatter.timestamp = flag,
                "print.partition" => formatter.partition = flag,
                "print.offset" => formatter.offset = flag,
                "print.epoch" => formatter.epoch = flag,
                "print.delivery" => formatter.delivery = flag,
                "print.headers" => formatter.headers = flag,
                "print.key" => formatter.key = flag,
                "print.value" => formatter.value = flag,
                "key.separator" => formatter.key_separator = bytes(),
                "line.separator" => formatter.line_separator = bytes(),
                "headers.separator" => formatter.headers_separator = bytes(),
                "null.literal" => formatter.null = bytes(),
                "key.deserializer" => formatter.key_as = Deserializer::of_class(value)?,
                "value.deserializer" => formatter.value_as = Deserializer::of_class(value)?,
                "headers.deserializer" => formatter.header_as = Deserializer::of_class(value)?,
                // The formatter passes over what it does not know.
                _ => {}
            }
        }
        Ok(formatter)
    }

    /// Prints a record.
    ///
    /// # Errors
    /// It cannot be written; a number is none.
    pub(super) fn write(&self, record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
        let mut is_first = true;
        if self.timestamp {
            self.separate(&mut is_first, out)?;
            match (record.timestamp(), record.timestamp_type()) {
                (..0, _) => out.write_all(b"NO_TIMESTAMP")?,
                (ms, TimestampType::CreateTime) => write!(out, "CreateTime:{ms}")?,
                (ms, TimestampType::LogAppendTime) => write!(out, "LogAppendTime:{ms}")?,
            }
        }
        if self.partition {
            self.separate(&mut is_first, out)?;
            write!(out, "Partition:{}", record.partition())?;
        }
        if self.offset {
            self.separate(&mut is_first, out)?;
            write!(out, "Offset:{}", record.offset())?;
        }
        for (is_printed, name) in [(self.delivery, "Delivery"), (self.epoch, "Epoch")] {
            if is_printed {
                self.separate(&mut is_first, out)?;
                // The tool has neither to tell.
                write!(out, "{name}:NOT_PRESENT")?;
            }
        }
        if self.headers {
            self.separate(&mut is_first, out)?;
            self.headers(record, out)?;
        }
        for (is_printed, field, of) in
            [(self.key, record.key(), self.key_as), (self.value, record.value(), self.value_as)]
        {
            if is_printed {
                self.separate(&mut is_first, out)?;
                self.field(field, of, out)?;
            }
        }
        out.write_all(&self.line_separator)
    }

    fn separate(&self, is_first: &mut bool, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(is_first) { Ok(()) } else { out.write_all(&self.key_separator) }
    }

    fn headers(&self, record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
        let headers = record.headers();
        if headers.len() == 0 {
            return out.write_all(b"NO_HEADERS");
        }
        for (index, header) in headers.enumerate() {
            if index > 0 {
                out.write_all(&self.headers_separator)?;
            }
            out.write_all(header.key)?;
            out.write_all(b":")?;
            self.field(header.value, self.header_as, out)?;
        }
        Ok(())
    }

    fn field(
        &self,
        field: Option<&[u8]>,
        of: Deserializer,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match field {
            None => out.write_all(&self.null),
            Some(bytes) => of.write(bytes, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_need_no_jvm_are_known() {
        let number = |class: &str, bytes: &[u8]| {
            let mut out = Vec::new();
            let name = format!("org.apache.kafka.common.serialization.{class}");
            Deserializer::of_class(&name).unwrap().write(bytes, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(number("LongDeserializer", &(-2_i64).to_be_bytes()), "-2");
        assert_eq!(number("IntegerDeserializer", &i32::MIN.to_be_bytes()), "-2147483648");
        assert_eq!(number("ShortDeserializer", &[1, 2]), "258");
        assert_eq!(number("StringDeserializer", b"a\xff"), "a\u{fffd}");
        let long = Deserializer::of_class("LongDeserializer").unwrap();
        assert!(long.write(b"abc", &mut Vec::new()).is_err());
        assert!(Deserializer::of_class("com.example.Own").is_err());
    }
}
