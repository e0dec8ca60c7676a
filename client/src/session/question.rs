//! A request whose answer somebody on another thread waits for.

use std::ops::RangeInclusive;
use std::time::Duration;

use ottla_protocol::api::ApiKey;
use ottla_protocol::wire::WriteError;

use super::calls::{Ask, Route};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::pending::{Pending, Promise, pending};

/// How to ask, and what to make of the answer.
struct Question<B, R, T> {
    route: Route,
    api: ApiKey,
    versions: RangeInclusive<i16>,
    build: B,
    read: R,
    promise: Option<Promise<T>>,
}

/// A question to be asked, and its answer when it comes. `build` is called again for each attempt;
/// `read` may say a retriable error, which is an attempt that failed.
pub(crate) fn question<B, R, T>(
    route: Route,
    (api, versions): (ApiKey, RangeInclusive<i16>),
    build: B,
    read: R,
) -> (Box<dyn Ask>, Pending<T>)
where
    B: FnMut(i16, Duration) -> Result<Outgoing, WriteError> + Send + 'static,
    R: FnMut(&Answer) -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    let (promise, waiting) = pending();
    let question = Question { route, api, versions, build, read, promise: Some(promise) };
    (Box::new(question), waiting)
}

impl<B, R, T> Ask for Question<B, R, T>
where
    B: FnMut(i16, Duration) -> Result<Outgoing, WriteError> + Send,
    R: FnMut(&Answer) -> Result<T, Error> + Send,
    T: Send,
{
    fn route(&self) -> Route {
        self.route.clone()
    }

    fn api(&self) -> (ApiKey, RangeInclusive<i16>) {
        (self.api, self.versions.clone())
    }

    fn request(&mut self, version: i16, timeout: Duration) -> Result<Outgoing, Error> {
        (self.build)(version, timeout).map_err(|error| {
            // What a newer broker could be told has no form for this one, or is too long for any.
            let kind = match error {
                WriteError::TooLong { .. } => ErrorKind::Usage,
                _ => ErrorKind::UnsupportedVersion,
            };
            Error::new(kind, error.to_string())
        })
    }

    fn answered(&mut self, answer: &Answer) -> Result<(), Error> {
        let result = (self.read)(answer)?;
        if let Some(promise) = self.promise.take() {
            promise.keep(Ok(result));
        }
        Ok(())
    }

    fn failed(mut self: Box<Self>, error: Error) {
        if let Some(promise) = self.promise.take() {
            promise.keep(Err(error));
        }
    }
}
