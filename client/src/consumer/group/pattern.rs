//! Topics by a regular expression, which this client has to match in a classic group.
//!
//! The dialect is that of the regex-lite crate: Perl's without look-around and back-references, so
//! that a match takes linear time; `\w`, `\d`, `\s` and case folding are ASCII, as topic names
//! are. Java's `Pattern` has these beside. Both match the whole name. Groups of KIP-848 match at
//! the coordinator, with RE2's syntax.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use regex_lite::Regex;

use super::{GroupSettings, taken};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing, Until};
use crate::pending::Pending;
use crate::session::{Route, Session, question};

/// In which asking may be told not to create.
const VERSIONS: RangeInclusive<i16> = 4..=13;

/// A topic's name, and whether it is internal.
type Listed = (String, bool);

/// The topics that match, kept fresh.
pub(super) struct Pattern {
    regex: Regex,
    asked: Option<Pending<Vec<Listed>>>,
    /// When to ask again.
    next: Option<Instant>,
    matching: Option<BTreeSet<Arc<str>>>,
}

impl Pattern {
    /// # Errors
    /// It is no regular expression.
    pub(super) fn new(pattern: &str) -> Result<Self, Error> {
        // By itself first: what it has open must not be closed by what is put around it.
        let whole = Regex::new(pattern).and_then(|_| Regex::new(&format!("^(?:{pattern})$")));
        let regex = whole.map_err(|error| {
            let detail = format!("the pattern {pattern:?} is no regular expression: {error}");
            Error::new(ErrorKind::Usage, detail)
        })?;
        Ok(Self { regex, asked: None, next: None, matching: None })
    }

    /// The topics, when they are known.
    pub(super) fn matching(&self) -> Option<&BTreeSet<Arc<str>>> {
        self.matching.as_ref()
    }

    /// Asks for all topics as often as for metadata.
    pub(super) fn turn(
        &mut self,
        session: &mut Session,
        settings: &GroupSettings,
        now: Instant,
    ) -> Until {
        match taken(&mut self.asked) {
            Some(Ok(listed)) => {
                let matches = |(name, is_internal): &Listed| {
                    !(*is_internal && settings.excludes_internal) && self.regex.is_match(name)
                };
                let matching = listed.into_iter().filter(matches).map(|(name, _)| name.into());
                self.matching = Some(matching.collect());
                self.next = Some(now + settings.metadata_max_age);
            }
            Some(Err(error)) => {
                log::warn!("no list of topics for the pattern {}: {error}", self.regex.as_str());
                self.next = Some(now + settings.retry_backoff.max);
            }
            None => {}
        }
        if self.asked.is_none() && self.next.is_none_or(|next| next <= now) {
            let (ask, listed) = question(Route::Any, (ApiKey::Metadata, VERSIONS), ask, listed);
            session.calls.ask(ask, now + settings.request_timeout, now);
            self.asked = Some(listed);
            return Until::Event;
        }
        match self.asked {
            Some(_) => Until::Event,
            None => self.next.into(),
        }
    }
}

fn ask(version: i16, timeout: Duration) -> Result<Outgoing, ottla_protocol::wire::WriteError> {
    let all = MetadataRequest {
        topics: None,
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    Outgoing::new(&all, version, timeout)
}

fn listed(answer: &Answer) -> Result<Vec<Listed>, Error> {
    let read: MetadataResponse<'_> = answer.read()?;
    Error::of_code(read.error_code, None)?;
    let there = read.topics.iter().filter(|topic| topic.error_code.is_none());
    Ok(there.filter_map(|topic| Some((topic.name?.to_owned(), topic.is_internal))).collect())
}
