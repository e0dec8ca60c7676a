//! Records of the `__cluster_metadata` log and of its snapshots.
//!
//! A data record has no key; its value is a frame around one of the records below:
//!
//! | field | type |
//! |---|---|
//! | frame version | uvarint, 1 |
//! | api key: which record | uvarint |
//! | version of the record | uvarint |
//! | the record | its fields, then its tagged fields; all versions are flexible |
//!
//! Control records are in [`control`].

pub mod cluster;
pub mod config;
pub mod control;
mod control_messages;
pub mod node;
pub mod security;
pub mod topic;

use cluster::*;
use config::*;
use node::*;
use security::*;
use topic::*;

use crate::wire::{Message, ReadError, ReadErrorKind, Reader, WriteError, Writer};

/// The only frame version that Kafka has released with.
const FRAME_VERSION: u32 = 1;

macro_rules! records {
    ($(
        $(#[$meta:meta])*
        $key:literal $kind:ident($file:ident::$record:ident $(<$lt:lifetime>)?);
    )*) => {
        /// One data record of the metadata log.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum MetadataRecord<'a> {
            $( $(#[$meta])* $kind($record $(<$lt>)?), )*
            /// A record of a kind that is not known here, kept so that a snapshot can repeat it.
            Unknown(UnknownRecord<'a>),
        }

        impl<'a> MetadataRecord<'a> {
            /// Which record it is.
            pub fn api_key(&self) -> i16 {
                match self {
                    $( Self::$kind(_) => $key, )*
                    Self::Unknown(unknown) => unknown.api_key,
                }
            }

            /// Kafka's name of the record; of one that is not known, `"unknown"`.
            pub fn name(&self) -> &'static str {
                match self {
                    $( Self::$kind(_) => stringify!($record), )*
                    Self::Unknown(_) => "unknown",
                }
            }

            /// The newest version that the record can be written in; for an unknown one, its own.
            pub fn version_max(&self) -> i16 {
                match self {
                    $( Self::$kind(_) => *$record::VERSIONS.end(), )*
                    Self::Unknown(unknown) => unknown.version,
                }
            }

            fn read_body(
                reader: &mut Reader<'a>,
                api_key: i16,
                version: i16,
            ) -> Result<Self, ReadError> {
                Ok(match api_key {
                    $( $key => Self::$kind($record::decode(reader, version)?), )*
                    _ => {
                        let body = reader.remaining();
                        reader.take(body.len())?;
                        Self::Unknown(UnknownRecord { api_key, version, body })
                    }
                })
            }

            fn write_body(&self, writer: &mut Writer, version: i16) -> Result<(), WriteError> {
                match self {
                    $( Self::$kind(record) => record.encode(writer, version), )*
                    Self::Unknown(unknown) => {
                        writer.put(unknown.body);
                        Ok(())
                    }
                }
            }
        }

        $(
            impl<'a> From<$record $(<$lt>)?> for MetadataRecord<'a> {
                fn from(record: $record $(<$lt>)?) -> Self {
                    Self::$kind(record)
                }
            }
        )*

        /// All data records.
        #[cfg(any(test, feature = "schema"))]
        pub fn registry() -> Vec<crate::wire::reflect::MessageSchema> {
            crate::wire::reflect::registry![$($file::$record,)*]
        }

        /// The tables of all data records.
        #[cfg(any(test, feature = "schema"))]
        pub const RECORD_SCHEMAS: fn() -> Vec<RecordSchema> = || {
            use crate::json::Schema;
            vec![$(RecordSchema { api_key: $key, schema: Schema::of::<$file::$record>() },)*]
        };

        /// The numbers of all data records, in the registry's order.
        #[cfg(any(test, feature = "schema"))]
        pub const API_KEYS: &[i16] = &[$($key),*];
    };
}

records! {
    /// A broker's registration.
    0 RegisterBroker(node::RegisterBrokerRecord<'a>);
    /// Forgets a broker.
    1 UnregisterBroker(node::UnregisterBrokerRecord);
    /// A new topic.
    2 Topic(topic::TopicRecord<'a>);
    /// A new partition, or all of one in a snapshot.
    3 Partition(topic::PartitionRecord);
    /// A config set or removed.
    4 Config(config::ConfigRecord<'a>);
    /// A change of a partition; what is absent stays.
    5 PartitionChange(topic::PartitionChangeRecord);
    /// Takes a broker out of use.
    7 FenceBroker(node::FenceBrokerRecord);
    /// Takes a broker into use again.
    8 UnfenceBroker(node::UnfenceBrokerRecord);
    /// Removes a topic and its partitions.
    9 RemoveTopic(topic::RemoveTopicRecord);
    /// A delegation token.
    10 DelegationToken(security::DelegationTokenRecord<'a>);
    /// A SCRAM credential.
    11 UserScramCredential(security::UserScramCredentialRecord<'a>);
    /// A feature's level.
    12 FeatureLevel(cluster::FeatureLevelRecord<'a>);
    /// A quota set or removed.
    14 ClientQuota(config::ClientQuotaRecord<'a>);
    /// A block of producer ids given to a broker.
    15 ProducerIds(cluster::ProducerIdsRecord);
    /// A change of a broker's registration.
    17 BrokerRegistrationChange(node::BrokerRegistrationChangeRecord);
    /// An ACL.
    18 AccessControlEntry(security::AccessControlEntryRecord<'a>);
    /// Removes an ACL.
    19 RemoveAccessControlEntry(security::RemoveAccessControlEntryRecord);
    /// Does nothing; shows that the controller lives.
    20 NoOp(cluster::NoOpRecord);
    /// The state of a migration from ZooKeeper.
    21 ZkMigrationState(cluster::ZkMigrationStateRecord);
    /// Removes a SCRAM credential.
    22 RemoveUserScramCredential(security::RemoveUserScramCredentialRecord<'a>);
    /// Begins a transaction: what follows counts only when it ends.
    23 BeginTransaction(cluster::BeginTransactionRecord<'a>);
    /// Ends a transaction: its records count now.
    24 EndTransaction(cluster::EndTransactionRecord);
    /// Gives up the transaction of records that was begun.
    25 AbortTransaction(cluster::AbortTransactionRecord<'a>);
    /// Removes a delegation token.
    26 RemoveDelegationToken(security::RemoveDelegationTokenRecord<'a>);
    /// A controller's registration.
    27 RegisterController(node::RegisterControllerRecord<'a>);
    /// Forgets eligible leader replicas, of one topic or of all.
    28 ClearElr(topic::ClearElrRecord<'a>);
}

/// A record's number and its table.
#[cfg(any(test, feature = "schema"))]
#[derive(Clone, Debug)]
pub struct RecordSchema {
    /// Which record it is.
    pub api_key: i16,
    /// Its fields.
    pub schema: crate::json::Schema,
}

/// A record of a kind that is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRecord<'a> {
    /// Its number.
    pub api_key: i16,
    /// The version that it is written in.
    pub version: i16,
    /// Its bytes after the frame's three numbers.
    pub body: &'a [u8],
}

impl<'a> MetadataRecord<'a> {
    /// Reads a record's value: the frame and what it holds; also the version it was written in.
    ///
    /// # Errors
    /// When the frame is not of version 1, when a known record has a version that is not known, or
    /// when the bytes are not such a record or more than one.
    pub fn read(value: &'a [u8]) -> Result<(Self, i16), ReadError> {
        let mut reader = Reader::new(value);
        if reader.uvarint()? != FRAME_VERSION {
            return Err(reader.error(ReadErrorKind::UnsupportedFrame));
        }
        let api_key = Self::frame_number(&mut reader)?;
        let version = Self::frame_number(&mut reader)?;
        let record = Self::read_body(&mut reader, api_key, version)?;
        if !reader.remaining().is_empty() {
            return Err(reader.error(ReadErrorKind::TrailingBytes));
        }
        Ok((record, version))
    }

    fn frame_number(reader: &mut Reader<'a>) -> Result<i16, ReadError> {
        let number = reader.uvarint()?;
        i16::try_from(number).map_err(|_| reader.error(ReadErrorKind::UnsupportedFrame))
    }

    /// Appends the record in its frame. An unknown record keeps its own version.
    ///
    /// # Errors
    /// When the version does not exist, or a field has no form in it.
    pub fn write(&self, version: i16, writer: &mut Writer) -> Result<(), WriteError> {
        let version = match self {
            Self::Unknown(unknown) => unknown.version,
            _ => version,
        };
        writer.uvarint(FRAME_VERSION);
        writer.uvarint(self.api_key() as u16 as u32);
        writer.uvarint(version as u16 as u32);
        self.write_body(writer, version)
    }

    /// The record's value in its frame.
    ///
    /// # Errors
    /// As [`MetadataRecord::write`].
    pub fn to_bytes(&self, version: i16) -> Result<Vec<u8>, WriteError> {
        let mut writer = Writer::new();
        self.write(version, &mut writer)?;
        Ok(writer.finish().bytes)
    }
}

#[cfg(test)]
mod tests;
