//! What the proxy must know of a line of JSON-RPC, read so that no server reads it differently.
//!
//! A line of the client is sent on only if it is one JSON text whose members cannot be mistaken: a server that
//! takes the first of two members, ignores case, or begins a line at a carriage return, would otherwise find a
//! tool call where the proxy finds none.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// What a line of the client is.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// Nothing that the proxy has to know.
    Other,
    /// A call of a tool.
    Call(ToolCall<'a>),
    /// A request of this id for the list of tools.
    List(Id),
    /// The client no longer waits for the answer to the request of this id.
    Cancelled(Id),
    /// Several messages in one line, as the revision 2025-03-26 permits.
    Batch(Vec<Self>),
    /// Not to be sent on.
    Invalid(Invalid),
}

/// A request `tools/call`.
#[derive(Debug)]
pub(crate) struct ToolCall<'a> {
    /// Without one it is a notification, which no answer can be given to.
    pub(crate) id: Option<Id>,
    pub(crate) tool: String,
    /// The members of `params`, without duplicates.
    pub(crate) params: Members<'a>,
}

/// The id of a request: a string or a number, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(String);

/// Why a line is not sent on, and whom to answer.
#[derive(Debug)]
pub(crate) struct Invalid {
    pub(crate) id: Option<Id>,
    pub(crate) code: i32,
    pub(crate) why: &'static str,
}

/// The server's answer to a request: the value of `result` or of `error`, as the server wrote it.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Result(Box<RawValue>),
    Error(Box<RawValue>),
}

/// The members of an object in their order.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
const INVALID_PARAMS: i32 = -32_602;

const MESSAGE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: [&str; 3] = ["name", "arguments", "_meta"];

/// Reads a line of the client, without its line end.
pub(crate) fn read_line(line: &[u8]) -> Line<'_> {
    if line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        return Line::Other;
    }
    let invalid = |code, why| {
        Line::Invalid(Invalid {
            id: None,
            code,
            why,
        })
    };
    if line.contains(&b'\r') {
        let why = "a message must not contain a carriage return, which some servers take for the end of a line";
        return invalid(PARSE_ERROR, why);
    }
    let Ok(raw) = serde_json::from_slice::<&RawValue>(line) else {
        return invalid(PARSE_ERROR, "the line is not one JSON text in UTF-8");
    };
    match raw.get().as_bytes()[0] {
        b'{' => read_message(raw),
        b'[' => match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(batch) if !batch.is_empty() => {
                Line::Batch(batch.into_iter().map(read_message).collect())
            }
            _ => invalid(INVALID_REQUEST, "an empty batch"),
        },
        _ => invalid(INVALID_REQUEST, "a message must be an object"),
    }
}

fn read_message(raw: &RawValue) -> Line<'_> {
    let refuse = |id, code, why| Line::Invalid(Invalid { id, code, why });
    let Some(message) = Members::read(raw, &MESSAGE) else {
        let why = "a message must be an object, and each of its members must be clear: no name twice, no other \
                   capitals, no invalid escape";
        return refuse(None, INVALID_REQUEST, why);
    };
    let id = message.get("id").and_then(Id::read);
    let Some(method) = message.get("method") else {
        return Line::Other;
    };
    let Ok(method) = serde_json::from_str::<String>(method.get()) else {
        return refuse(id, INVALID_REQUEST, "the method must be a text");
    };
    match method.as_str() {
        "tools/call" => {
            if message.get("id").is_some() && id.is_none() {
                let why = "the id of a request must be a string or a number";
                return refuse(None, INVALID_REQUEST, why);
            }
            match message.get("params").and_then(read_call) {
                Some((tool, params)) => Line::Call(ToolCall { id, tool, params }),
                None => {
                    let why = "the parameters of tools/call must be an object with the name of a tool, and each \
                               member must be clear: no name twice, no other capitals, no invalid escape";
                    refuse(id, INVALID_PARAMS, why)
                }
            }
        }
        "tools/list" => id.map_or(Line::Other, Line::List),
        "notifications/cancelled" => {
            let params = message
                .get("params")
                .and_then(|raw| Members::read(raw, &[]));
            let of = params.and_then(|params| Id::read(params.get("requestId")?));
            of.map_or(Line::Other, Line::Cancelled)
        }
        _ => Line::Other,
    }
}

fn read_call(params: &RawValue) -> Option<(String, Members<'_>)> {
    let params = Members::read(params, &PARAMS)?;
    let tool = serde_json::from_str(params.get("name")?.get()).ok()?;
    Some((tool, params))
}

/// The answer in a line of the server, and the id of the request that it is for.
pub(crate) fn read_answer(line: &[u8]) -> Option<(Id, Answer)> {
    let raw: &RawValue = serde_json::from_slice(line).ok()?;
    let message = Members::read(raw, &[])?;
    if message.get("method").is_some() {
        return None;
    }
    let id = Id::read(message.get("id")?)?;
    let answer = match (message.get("result"), message.get("error")) {
        (_, Some(error)) => Answer::Error(error.to_owned()),
        (Some(result), None) => Answer::Result(result.to_owned()),
        (None, None) => return None,
    };
    Some((id, answer))
}

/// The line that answers a request.
pub(crate) fn answer_line(id: &Id, answer: &Answer) -> String {
    let (member, value) = match answer {
        Answer::Result(result) => ("result", result),
        Answer::Error(error) => ("error", error),
    };
    let Id(id) = id;
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{member}\":{value}}}\n")
}

/// The line that answers an invalid message.
pub(crate) fn invalid_line(Invalid { id, code, why }: &Invalid) -> String {
    let error = serde_json::json!({"code": code, "message": format!("human-oversight-mcp: {why}")});
    let id = id.as_ref().map_or("null", |Id(id)| id);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n")
}

impl Line<'_> {
    /// The requests of a batch, with their ids as far as they can be read, refused for one reason.
    pub(crate) fn refuse(&self, why: &'static str) -> Invalid {
        let id = match self {
            Line::Call(call) => call.id.clone(),
            Line::Invalid(invalid) => invalid.id.clone(),
            _ => None,
        };
        let code = INVALID_REQUEST;
        Invalid { id, code, why }
    }
}

impl Id {
    fn read(raw: &RawValue) -> Option<Self> {
        match serde_json::from_str(raw.get()).ok()? {
            // As JSON, in one spelling.
            id @ Value::String(_) => Some(Self(id.to_string())),
            Value::Number(_) => Some(Self(raw.get().to_owned())),
            _ => None,
        }
    }

    /// An id of the proxy's own. `prefix` is one that no client can guess.
    pub(crate) fn own(prefix: &str, number: u64) -> Self {
        Self(format!("\"held-{prefix}-{number}\""))
    }

    /// As JSON.
    pub(crate) fn as_json(&self) -> &str {
        &self.0
    }
}

impl<'a> Members<'a> {
    /// The members of an object. There are none if a name occurs twice, or one is spelt nearly as one of `names`.
    pub(crate) fn read(object: &'a RawValue, names: &[&str]) -> Option<Self> {
        let members: Self = serde_json::from_str(object.get()).ok()?;
        let is_clear = |at: usize, name: &str| {
            let is_near = names.iter().any(|it| *it != name && fold(name) == *it);
            !is_near && !members.0[..at].iter().any(|(before, _)| before == name)
        };
        let mut named = members.0.iter().enumerate();
        named
            .all(|(at, (name, _))| is_clear(at, name))
            .then_some(members)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| *value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// A name as readers see it that ignore case, in Unicode too: `ſ` is an `s` to them, and the Kelvin sign a `k`.
fn fold(name: &str) -> String {
    let folded = name.chars().flat_map(char::to_uppercase);
    folded.flat_map(char::to_lowercase).collect()
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl Answer {
    /// The error, if the call failed.
    pub(crate) fn failure(&self) -> Option<String> {
        match self {
            Self::Error(error) => {
                let error: Value = serde_json::from_str(error.get()).unwrap_or_default();
                let message = error["message"]
                    .as_str()
                    .unwrap_or("an error without a message");
                Some(message.to_owned())
            }
            Self::Result(result) => {
                let result: Value = serde_json::from_str(result.get()).unwrap_or_default();
                if result["isError"] != true {
                    return None;
                }
                let texts = result["content"].as_array().into_iter().flatten();
                let texts = texts.filter_map(|part| part["text"].as_str());
                Some(texts.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a lenient reader might find a call of a tool in these bytes: one that begins a line at each carriage
    /// return, knows batches, ignores the case of names, and takes any of several members of one name.
    fn may_be_a_call(line: &str) -> bool {
        line.split(['\r', '\n']).any(|part| {
            let batch = serde_json::from_str::<Vec<&RawValue>>(part);
            let messages = match (&batch, serde_json::from_str::<&RawValue>(part)) {
                (Ok(batch), _) => batch.clone(),
                (_, Ok(message)) => vec![message],
                _ => Vec::new(),
            };
            messages.into_iter().any(|message| {
                let members: Result<Members<'_>, _> = serde_json::from_str(message.get());
                members.is_ok_and(|members| {
                    members.iter().any(|(name, value)| {
                        let method = serde_json::from_str::<String>(value.get());
                        fold(name) == "method" && method.is_ok_and(|it| it == "tools/call")
                    })
                })
            })
        })
    }

    fn text(choices: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
        prop::sample::select(choices)
    }

    fn message() -> impl Strategy<Value = String> {
        let names = &[
            r#""method""#,
            r#""Method""#,
            r#""METHOD""#,
            r#""m\u0065thod""#,
            r#""id""#,
            r#""params""#,
            r#""x""#,
        ];
        let values = &[
            r#""tools/call""#,
            r#""tools\u002fcall""#,
            r#""ping""#,
            "1",
            "null",
            "{}",
            "[]",
            r#"{"name":"a"}"#,
            r#"{"name":"a","name":"b"}"#,
            "\"\u{e9}\"",
        ];
        let space = &["", "", "", " ", "\r", "\t"];
        let member = (
            text(space),
            text(names),
            text(space),
            text(values),
            text(space),
        )
            .prop_map(|(a, name, b, value, c)| format!("{a}{name}:{b}{value}{c}"));
        prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => message(),
            1 => prop::collection::vec(message(), 0..3).prop_map(|batch| format!("[{}]", batch.join(","))),
            1 => (message(), message()).prop_map(|(a, b)| format!("{a}\r{b}")),
            1 => message().prop_map(|a| format!("{{\"x\":\r{a}\r}}")),
        ]
    }

    proptest! {
        #[test]
        fn no_line_passes_in_which_a_server_may_find_a_call(line in line(), cut in 0..200_usize) {
            let cut: String = line.chars().enumerate().filter(|(at, _)| *at != cut).map(|(_, c)| c).collect();
            for line in [line, cut] {
                let passes = matches!(read_line(line.as_bytes()), Line::Other | Line::List(_) | Line::Cancelled(_));
                prop_assert!(!(passes && may_be_a_call(&line)), "{line}");
            }
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_line(&bytes);
            read_answer(&bytes);
        }
    }
}
