//! Answers to requests.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::id::Id;
use crate::lenient;
use crate::members::Members;
use crate::message::INVALID_PARAMS;

/// The server's answer to a request: the value of `result` or of `error`, as the server wrote it.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Result(Box<RawValue>),
    Error(Box<RawValue>),
}

/// A message of the server.
pub(crate) enum Message {
    /// Of this id.
    Answer(Id, Answer),
    /// Of this id; a notification has none.
    Request(Option<Id>),
    /// An object of a log.
    Other,
}

/// Reads a line of the server, or a message of a batch. There is none if it cannot be read.
pub(crate) fn read_message(line: &[u8]) -> Option<Message> {
    let raw: &RawValue = serde_json::from_slice(line).ok()?;
    let message = Members::read(raw)?;
    let [result, error] = ["result", "error"].map(|name| message.get(name));
    let answer = match (result, error) {
        // Some servers write both members.
        (Some(result), Some(error)) if error.get() == "null" => Answer::Result(result.to_owned()),
        (_, Some(error)) => Answer::Error(error.to_owned()),
        (Some(result), None) => Answer::Result(result.to_owned()),
        (None, None) => {
            let method = message.get("method").map(RawValue::get);
            return Some(match method.filter(|it| it.starts_with('"')) {
                Some(_) => Message::Request(message.get("id").and_then(Id::read)),
                None => Message::Other,
            });
        }
    };
    Some(Message::Answer(Id::read(message.get("id")?)?, answer))
}

/// The answer in a line of the server, and the id of the request that it is for.
pub(crate) fn read_answer(line: &[u8]) -> Option<(Id, Answer)> {
    match read_message(line)? {
        Message::Answer(id, answer) => Some((id, answer)),
        Message::Request(_) | Message::Other => None,
    }
}

/// Whether a line that cannot be read looks like the answer to this request, as one of a log that names it does not.
pub(crate) fn looks_like_answer(line: &[u8], id: &Id) -> bool {
    let line = String::from_utf8_lossy(line);
    // What follows is of a request, whose arguments may have any name.
    let before = line.split("\"method\"").next().unwrap_or_default();
    values(&line, "\"id\"").any(|value| value.starts_with(id.as_json()))
        && ["\"result\"", "\"error\""]
            .iter()
            .any(|name| values(before, name).next().is_some())
}

/// What follows each member of this name, as far as a text that is no JSON has members.
fn values<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let found = text.match_indices(name);
    found.filter_map(|(at, name)| {
        let value = text[at + name.len()..].trim_start().strip_prefix(':')?;
        Some(value.trim_start())
    })
}

/// The line that answers a request.
pub(crate) fn answer_line(id: &Id, answer: &Answer) -> String {
    let (member, value) = match answer {
        Answer::Result(result) => ("result", result),
        Answer::Error(error) => ("error", error),
    };
    let id = id.as_json();
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{member}\":{value}}}\n")
}

/// An answer of the proxy.
pub(crate) fn answer(result: Value) -> Answer {
    raw(result.to_string())
}

/// An answer of this JSON.
pub(crate) fn raw(result: String) -> Answer {
    Answer::Result(RawValue::from_string(result).expect("it is made of JSON"))
}

/// An error of the proxy.
pub(crate) fn error(why: &str) -> Answer {
    let error = json!({"code": INVALID_PARAMS, "message": format!("human-oversight-mcp: {why}")});
    Answer::Error(RawValue::from_string(error.to_string()).expect("a value is JSON"))
}

impl Answer {
    /// The id of the server's task that is to have the result, as revision 2025-11-25 has it.
    pub(crate) fn task(&self) -> Option<String> {
        let Self::Result(result) = self else {
            return None;
        };
        Some(lenient::read(result)["task"]["taskId"].as_str()?.to_owned())
    }

    /// The error, if the call failed. A result that does not clearly say otherwise is one.
    pub(crate) fn failure(&self) -> Option<String> {
        match self {
            Self::Error(error) => {
                let error = lenient::read(error);
                let message = error["message"].as_str().or(error.as_str());
                Some(message.unwrap_or("an error without a message").to_owned())
            }
            Self::Result(result) => {
                let Some(members) = Members::read(result) else {
                    return Some("the tool server's result cannot be read".to_owned());
                };
                if matches!(
                    members.get("isError").map(RawValue::get),
                    None | Some("false" | "null")
                ) {
                    return None;
                }
                let content = members.get("content").map(lenient::read);
                let content = content.unwrap_or_default();
                let texts = content.as_array().into_iter().flatten();
                let texts = texts.filter_map(|part| part["text"].as_str());
                Some(texts.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}
