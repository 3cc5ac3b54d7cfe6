//! The client's requests that the server has not answered. The client reads no other answers of the server: it might take
//! them for those to calls that are held, or that it makes next.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use serde_json::value::RawValue;

use crate::id::Id;
use crate::lock::lock;
use crate::members::{fold, outermost};
use crate::message::Asked;

#[derive(Default)]
pub(crate) struct Requests(Mutex<State>);

#[derive(Default)]
struct State {
    open: HashSet<Id>,
    /// Those whose answers the proxy reads.
    asked: HashMap<Id, Asked>,
}

impl Requests {
    /// Notes a request that the server is about to be sent.
    pub(crate) fn add(&self, id: Id) {
        self.state().open.insert(id);
    }

    /// The proxy itself answers a request of this id.
    pub(crate) fn remove(&self, id: &Id) {
        let mut state = self.state();
        state.open.remove(id);
        state.asked.remove(id);
    }

    /// The answer to this request is to be read.
    pub(crate) fn watch(&self, id: Id, asked: Asked) {
        self.state().asked.insert(id, asked);
    }

    /// The answer to this request is not to be read any more: if there is one, it passes as it is.
    pub(crate) fn unwatch(&self, id: &Id) -> Option<Asked> {
        self.state().asked.remove(id)
    }

    pub(crate) fn watches_none(&self) -> bool {
        self.state().asked.is_empty()
    }

    /// Whether the client may read a message of the server, however it reads it. A request that it answers has its answer
    /// then.
    pub(crate) fn permit(&self, message: &[u8]) -> bool {
        let answers: Vec<_> = readings(message)
            .iter()
            .flat_map(|it| answers_in(it))
            .collect();
        let mut state = self.state();
        let is_open = |it: &Answer| it.id.as_ref().is_some_and(|id| state.open.contains(id));
        if !answers.iter().all(is_open) {
            tracing::warn!(
                "the server answered what it was not asked, or has answered before: the answer is dropped"
            );
            return false;
        }
        for id in answers
            .iter()
            .filter(|it| it.is_whole)
            .flat_map(|it| &it.id)
        {
            state.open.remove(id);
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

/// A message as clients may read it: some begin a line at a carriage return, and some leave out what is not UTF-8.
fn readings(message: &[u8]) -> Vec<Cow<'_, str>> {
    let text = String::from_utf8_lossy(message.trim_ascii_end());
    let mut readings = Vec::new();
    if text.contains('\r') {
        readings.extend(text.split('\r').map(|part| part.to_owned().into()));
    }
    if let Cow::Owned(lossy) = &text {
        readings.push(lossy.replace(char::REPLACEMENT_CHARACTER, "").into());
    }
    readings.push(text);
    readings
}

/// What a reader may take for an answer.
struct Answer {
    /// `None` stands for what is no id.
    id: Option<Id>,
    /// Whether it has a result or an error. A line of a log may have an `id` alone.
    is_whole: bool,
}

/// The answers in a text to a reader that ignores case, takes any of several members of one name, or does not demand exact
/// JSON.
fn answers_in(text: &str) -> Vec<Answer> {
    let members = outermost(text);
    let has = |wanted: &str| members.iter().any(|(name, _)| fold(name) == wanted);
    let is_method = |(name, value): &(String, &str)| name == "method" && value.starts_with('"');
    let is_whole = has("result") || has("error");
    if members.iter().any(is_method) && !is_whole {
        return Vec::new();
    }
    let values = members
        .iter()
        .filter(|(name, value)| fold(name) == "id" && !value.is_empty());
    let ids = values.map(|(_, value)| read_id(value));
    ids.map(|id| Answer { id, is_whole }).collect()
}

/// The id that a text begins with.
fn read_id(text: &str) -> Option<Id> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    Id::read(values.next()?.ok()?)
}
