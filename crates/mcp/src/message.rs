//! What the proxy must know of a line of JSON-RPC, read so that no server reads it differently.
//!
//! A line of the client is sent on only if it is one JSON text whose members cannot be mistaken: a server that
//! takes the first of two members, ignores case, ends a text at U+0000, or begins a line at a carriage return, would
//! otherwise find a tool call where the proxy finds none.

use serde_json::value::RawValue;

use crate::clear::{MESSAGE, PARAMS, fault};
use crate::id::Id;
use crate::lenient;
use crate::members::Members;

/// What a line of the client is.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// Nothing of which the proxy has to know more than the id, if it is a request.
    Other(Option<Id>),
    /// A call of a tool.
    Call(ToolCall<'a>),
    /// A request whose answer the proxy reads.
    Asked(Id, Asked),
    /// A request about one task.
    Task(TaskRequest),
    /// The client no longer waits for the answer to the request of this id.
    Cancelled(Id),
    /// Several messages in one line, as the revision 2025-03-26 permits.
    Batch(Vec<Part<'a>>),
    /// Not to be sent on.
    Invalid(Invalid),
}

/// A message of a batch.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Of a request, as far as it can be read.
    pub(crate) id: Option<Id>,
    pub(crate) line: Line<'a>,
    /// As the client wrote it.
    pub(crate) text: &'a str,
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

/// What a request asks of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The revision and what each side can do.
    Initialize {
        /// The client can deal with tasks, as of revision 2025-11-25.
        has_tasks: bool,
    },
    Tools,
    /// The first page of the tasks.
    Tasks,
}

/// A request about a task, which may be one of the proxy's.
#[derive(Debug)]
pub(crate) struct TaskRequest {
    pub(crate) id: Id,
    pub(crate) method: TaskMethod,
    pub(crate) task: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskMethod {
    Get,
    Result,
    Cancel,
    Update,
}

/// Why a line is not sent on, and whom to answer.
#[derive(Debug)]
pub(crate) struct Invalid {
    pub(crate) id: Option<Id>,
    pub(crate) code: i32,
    pub(crate) why: &'static str,
}

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
pub(crate) const INVALID_PARAMS: i32 = -32_602;

/// Reads a line of the client, without its line end. `own` is what only the ids of the proxy contain.
pub(crate) fn read_line<'a>(line: &'a [u8], own: &str) -> Line<'a> {
    if line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        return Line::Other(None);
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
        b'{' => read_message(raw, own),
        b'[' => match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(batch) if !batch.is_empty() => {
                Line::Batch(batch.into_iter().map(|raw| read_part(raw, own)).collect())
            }
            _ => invalid(INVALID_REQUEST, "an empty batch"),
        },
        _ => invalid(INVALID_REQUEST, "a message must be an object"),
    }
}

fn read_part<'a>(raw: &'a RawValue, own: &str) -> Part<'a> {
    let members = Members::read_clear(raw, &MESSAGE);
    let request = members.filter(|message| message.get("method").is_some());
    Part {
        id: request.and_then(|request| Id::read(request.get("id")?)),
        line: read_message(raw, own),
        text: raw.get(),
    }
}

fn read_message<'a>(raw: &'a RawValue, own: &str) -> Line<'a> {
    let refuse = |id, code, why| Line::Invalid(Invalid { id, code, why });
    let Some(message) = Members::read_clear(raw, &MESSAGE) else {
        let why = "a message must be an object, and each of its members must be clear: no name twice, no other \
                   capitals, no control character, no invalid escape";
        return refuse(None, INVALID_REQUEST, why);
    };
    let method = message.get("method").map(RawValue::get);
    let id = message.get("id").filter(|_| method.is_some());
    let id = id.and_then(Id::read);
    if let Some(why) = fault(raw, &message, own) {
        return refuse(id, INVALID_REQUEST, why);
    }
    let method: Option<String> = method.and_then(|it| serde_json::from_str(it).ok());
    let Some(method) = method else {
        return Line::Other(None);
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
                               member must be clear: no name twice, no other capitals, no control character, no \
                               invalid escape";
                    refuse(id, INVALID_PARAMS, why)
                }
            }
        }
        "initialize" | "tools/list" | "tasks/list" => {
            match (id, read_asked(&method, message.get("params"))) {
                (Some(id), Some(asked)) => Line::Asked(id, asked),
                (id, _) => Line::Other(id),
            }
        }
        "tasks/get" | "tasks/result" | "tasks/cancel" | "tasks/update" => {
            let request = || read_task(id.clone()?, &method, message.get("params")?);
            match request() {
                Some(request) => Line::Task(request),
                None => Line::Other(id),
            }
        }
        "notifications/cancelled" => {
            let params = message.get("params").and_then(Members::read);
            let of = params.and_then(|params| Id::read(params.get("requestId")?));
            of.map_or(Line::Other(None), Line::Cancelled)
        }
        _ => Line::Other(id),
    }
}

fn read_call(params: &RawValue) -> Option<(String, Members<'_>)> {
    let params = Members::read_clear(params, &PARAMS)?;
    let tool = serde_json::from_str(params.get("name")?.get()).ok()?;
    Some((tool, params))
}

fn read_asked(method: &str, params: Option<&RawValue>) -> Option<Asked> {
    let params = params.map(lenient::read).unwrap_or_default();
    match method {
        "initialize" => {
            let has_tasks = params["capabilities"]["tasks"].is_object();
            Some(Asked::Initialize { has_tasks })
        }
        "tools/list" => Some(Asked::Tools),
        _ => params["cursor"].is_null().then_some(Asked::Tasks),
    }
}

fn read_task(id: Id, method: &str, params: &RawValue) -> Option<TaskRequest> {
    let params = lenient::read(params);
    let method = match method {
        "tasks/get" => TaskMethod::Get,
        "tasks/result" => TaskMethod::Result,
        "tasks/cancel" => TaskMethod::Cancel,
        _ => TaskMethod::Update,
    };
    let task = params["taskId"].as_str()?.to_owned();
    Some(TaskRequest { id, method, task })
}

/// The line that answers an invalid message.
pub(crate) fn invalid_line(Invalid { id, code, why }: &Invalid) -> String {
    let error = serde_json::json!({"code": code, "message": format!("human-oversight-mcp: {why}")});
    let id = id.as_ref().map_or("null", Id::as_json);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n")
}

/// A batch refused: one answer to each of its requests, or to none of them where no id can be read.
pub(crate) fn refuse_batch(parts: &[&Part<'_>], why: &'static str) -> Vec<Invalid> {
    let code = INVALID_REQUEST;
    let ids = parts.iter().filter_map(|part| part.id.clone());
    let refused: Vec<_> = ids
        .map(|id| Invalid {
            id: Some(id),
            code,
            why,
        })
        .collect();
    if refused.is_empty() {
        vec![Invalid {
            id: None,
            code,
            why,
        }]
    } else {
        refused
    }
}

impl<'a> Line<'a> {
    /// The requests of it that have an id.
    pub(crate) fn requests(&self) -> Vec<&Id> {
        match self {
            Self::Other(id) => id.iter().collect(),
            Self::Call(call) => call.id.iter().collect(),
            Self::Asked(id, _) => vec![id],
            Self::Task(request) => vec![&request.id],
            Self::Batch(parts) => parts.iter().flat_map(|it| it.line.requests()).collect(),
            Self::Cancelled(_) | Self::Invalid(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use human_oversight_protocol::strict_json;
    use proptest::prelude::*;

    use super::*;
    use crate::members::fold;

    const OWN: &str = "0123456789abcdef";

    /// Whether a lenient reader might find a call of a tool in these bytes: one that begins a message anywhere in them,
    /// ignores the case of names, takes any of several members of one name, and ends texts at U+0000, or drops it.
    fn may_be_a_call(line: &str) -> bool {
        let readings = |text: &str| {
            [
                text.split('\0').next().unwrap().to_owned(),
                text.replace('\0', ""),
            ]
        };
        line.match_indices('{').any(|(at, _)| {
            let mut values =
                serde_json::Deserializer::from_str(&line[at..]).into_iter::<&RawValue>();
            let Some(Ok(message)) = values.next() else {
                return false;
            };
            let members: Result<strict_json::Members<'_>, _> = serde_json::from_str(message.get());
            members.is_ok_and(|strict_json::Members(members)| {
                members.iter().any(|(name, value)| {
                    let method = serde_json::from_str::<String>(value.get()).unwrap_or_default();
                    readings(&fold(name)).contains(&"method".to_owned())
                        && readings(&method).contains(&"tools/call".to_owned())
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
            r#""method\u0000x""#,
            r#""id""#,
            r#""params""#,
            r#""x""#,
        ];
        let values = &[
            r#""tools/call""#,
            r#""tools\u002fcall""#,
            r#""tools/\u0000call""#,
            r#""tools/call\u0000x""#,
            r#"{"method":"tools/call"}"#,
            r#"["{",{"METHOD":"tools/call\u0000"}]"#,
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
                let passes = matches!(read_line(line.as_bytes(), OWN), Line::Other(_) | Line::Asked(..) | Line::Task(_) | Line::Cancelled(_));
                prop_assert!(!(passes && may_be_a_call(&line)), "{line}");
            }
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_line(&bytes, OWN);
            crate::answer::read_answer(&bytes);
        }
    }
}
