//! Answers: a message, its header, and the file regions that belong into it.

use std::io;

use ottla_network::{Chunk, Reply, Response};
use ottla_protocol::api::ApiKey;
use ottla_protocol::header::ResponseHeader;
use ottla_protocol::wire::{Encoded, Message, WriteError, Writer};
use ottla_storage::log::FileRegion;

use super::{Call, Unanswerable};

/// Room that an answer begins with, bytes: most need no more, and one that is lengthened is moved.
const ANSWER_BYTES: usize = 256;

/// What a handler makes of a request.
pub enum Outcome {
    /// An answer.
    Answer(Response),
    /// No answer, and the connection goes on: Produce with acks=0.
    Nothing,
    /// No answer, and the connection is closed.
    Close,
    /// An answer later: what is to be done with the reply.
    Later(Box<dyn FnOnce(Reply) + Send>),
}

/// What an answer repeats of its request.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
}

impl Call<'_> {
    /// What the answer needs of this request.
    pub fn envelope(&self) -> Envelope {
        Envelope {
            api: self.api,
            version: self.version(),
            correlation_id: self.header.correlation_id,
        }
    }

    /// An answer in the request's version.
    pub fn answer<'m>(&self, message: &impl Message<'m>) -> Result<Outcome, Unanswerable> {
        Ok(Outcome::Answer(self.envelope().response(message, &[])?))
    }
}

impl Envelope {
    /// The envelope of a test's request.
    #[cfg(test)]
    pub(crate) fn of(api: ApiKey, version: i16) -> Self {
        Self { api, version, correlation_id: 0 }
    }

    /// The version of the request.
    pub fn version(self) -> i16 {
        self.version
    }

    /// The response that is `message`, whose splices are numbers of `regions`.
    pub fn response<'m>(
        self,
        message: &impl Message<'m>,
        regions: &[FileRegion],
    ) -> Result<Response, WriteError> {
        let mut writer = Writer::on(Vec::with_capacity(ANSWER_BYTES));
        let header = ResponseHeader { correlation_id: self.correlation_id };
        header.write(&mut writer, self.api, self.version);
        message.encode(&mut writer, self.version)?;
        Ok(Response { chunks: chunks(writer.finish(), regions) })
    }
}

/// Cuts a message's bytes where file regions belong.
fn chunks(Encoded { mut bytes, splices }: Encoded, regions: &[FileRegion]) -> Vec<Chunk> {
    // From the last to the first: so the head, mostly all there is, stays where it was written.
    let mut chunks = Vec::with_capacity(2 * splices.len() + 1);
    for splice in splices.iter().rev() {
        let behind = bytes.split_off(splice.at);
        if !behind.is_empty() {
            chunks.push(Chunk::Bytes(behind));
        }
        chunks.push(chunk_of(&regions[splice.token as usize]));
    }
    chunks.push(Chunk::Bytes(bytes));
    chunks.reverse();
    chunks
}

fn chunk_of(region: &FileRegion) -> Chunk {
    match region.file.os_file() {
        Some(file) => {
            Chunk::File { file: file.clone(), position: region.position, length: region.length }
        }
        None => Chunk::Bytes(read(region).unwrap_or_else(|error| {
            // The length was promised already: zeros are no batch, and no client takes them for
            // one.
            log::error!("a file region could not be read: {error}");
            vec![0; region.length as usize]
        })),
    }
}

fn read(region: &FileRegion) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; region.length as usize];
    region.file.read_exact_at(&mut bytes, region.position)?;
    Ok(bytes)
}
