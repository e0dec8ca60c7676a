//! Repeatable chance, and what it does to an answer.

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::{self, api_versions::ApiVersionsResponse};
use ottla_protocol::wire::reflect::{MessageSchema, Seed};
use ottla_protocol::wire::{Message, Writer};

/// Changes the bytes behind an answer's correlation id.
pub(crate) struct Mutator {
    seed: Seed,
    messages: Vec<MessageSchema>,
}

/// Bytes that are counts, lengths and ends more often than others.
const LIKELY: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xff, 0xfe, 0x40];

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: Seed(seed), messages: messages::registry() }
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.seed.below(count) == 0
    }

    /// Makes of an answer to ApiVersions that of an older broker, half of the time. It is no lie:
    /// the broker serves those versions, and what clients do with them is tried as well.
    pub(crate) fn age(&mut self, answer: &mut Vec<u8>, version: i16) {
        let (id, body) = answer.split_first_chunk::<4>().unwrap();
        let mut told = ApiVersionsResponse::from_bytes(body, version).unwrap();
        if self.seed.flip() {
            return;
        }
        for of in &mut told.api_keys {
            let least = match ApiKey::from_i16(of.api_key).unwrap() {
                // The first one that clients know; without it they wait for another broker.
                ApiKey::Metadata => 7,
                api => *api.versions().start(),
            };
            let count = u64::try_from(of.max_version - least).unwrap() + 1;
            of.max_version = least + self.seed.below(count) as i16;
        }
        let mut writer = Writer::on(id.to_vec());
        told.encode(&mut writer, version).unwrap();
        *answer = writer.finish().bytes;
    }

    /// Another body in the place of this one.
    pub(crate) fn change(&mut self, body: &mut Vec<u8>, api: ApiKey, version: i16) {
        match self.seed.below(8) {
            // Well-formed, and nonsense. A header in front may have tags.
            0 | 1 => {
                let name = format!("{}Response", api.name());
                let schema = self.messages.iter().find(|message| message.name == name).unwrap();
                let is_flexible = schema.flexible_from.is_some_and(|from| from <= version);
                body.clear();
                if is_flexible && api != ApiKey::ApiVersions {
                    body.push(0);
                }
                body.extend((schema.sample)(&mut self.seed, version));
                // Sound values in it, and unsound ones among them.
                if self.seed.flip() {
                    self.bytes(body);
                }
            }
            2 => body.truncate(self.seed.below(body.len() as u64 + 1)),
            3 => {
                let more = self.seed.below(40);
                body.extend((0..more).map(|_| self.seed.bits() as u8));
            }
            4 => self.piece(body),
            _ => self.bytes(body),
        }
    }

    /// Some bytes are others.
    fn bytes(&mut self, body: &mut [u8]) {
        for _ in 0..=self.seed.below(4) {
            let at = self.seed.below(body.len().max(1) as u64);
            let (likely, any) = (LIKELY[self.seed.below(8)], self.seed.bits() as u8);
            let is_likely = self.seed.flip();
            if let Some(byte) = body.get_mut(at) {
                *byte = if is_likely { likely } else { any };
            }
        }
    }

    /// A piece is taken out, or comes twice.
    fn piece(&mut self, body: &mut Vec<u8>) {
        let start = self.seed.below(body.len() as u64 + 1);
        let end = start + self.seed.below((body.len() - start).min(64) as u64 + 1);
        let piece = body[start..end].to_vec();
        let with = if self.seed.flip() { Vec::new() } else { piece.repeat(2) };
        body.splice(start..end, with);
    }

    /// Another length or correlation id than the right one.
    pub(crate) fn word(&mut self, right: u32) -> u32 {
        match self.seed.below(4) {
            0 => right.wrapping_add(1),
            1 => right.wrapping_sub(1),
            2 => [0, 3, 4, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][self.seed.below(6)],
            _ => self.seed.bits() as u32,
        }
    }
}
