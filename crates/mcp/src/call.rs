//! A call that is held: what people are shown of it, and the message that runs it.

use human_oversight_protocol::parameters::{Parameters, ParametersError};
use human_oversight_protocol::strict_json::{self, StrictError};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::message::{Id, Members, ToolCall};

/// The content of a held call.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) tool: String,
    pub(crate) arguments: Map<String, Value>,
    /// The members of `params` that the protocol has besides, such as `task`: they change what runs too.
    more: Map<String, Value>,
}

/// Metadata of a call that its caller's program adds, not what is approved.
#[derive(Debug)]
pub(crate) struct Meta {
    /// The members that are sent on.
    passed: Vec<(String, Box<RawValue>)>,
    /// The client wants to read of progress under this token.
    pub(crate) progress_token: Option<Box<RawValue>>,
    /// The client speaks a revision in which each request names it: results have a type there.
    pub(crate) is_stateless: bool,
}

/// Why a call cannot be held, and so is not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the arguments must be an object")]
    NotAnObject,
    #[error("/{member}: {source}")]
    Unclear { member: String, source: StrictError },
    #[error("_meta must be an object in which no name occurs twice")]
    Meta,
    #[error(transparent)]
    Parameters(#[from] ParametersError),
}

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

impl Content {
    /// Reads the members of `params`.
    pub(crate) fn read(call: &ToolCall<'_>) -> Result<Self, CallError> {
        let mut content = Self {
            tool: call.tool.clone(),
            arguments: Map::new(),
            more: Map::new(),
        };
        for (name, raw) in call.params.iter() {
            let strict = || {
                strict_json::parse(raw.get().as_bytes()).map_err(|source| CallError::Unclear {
                    member: name.to_owned(),
                    source,
                })
            };
            match name {
                "name" | "_meta" => {}
                "arguments" => match strict()? {
                    Value::Object(arguments) => content.arguments = arguments,
                    _ => return Err(CallError::NotAnObject),
                },
                _ => {
                    content.more.insert(name.to_owned(), strict()?);
                }
            }
        }
        Ok(content)
    }

    /// What people are shown, and the digest covers.
    pub(crate) fn parameters(
        &self,
        server: &str,
        summary: Option<String>,
    ) -> Result<Parameters, CallError> {
        let mut parameters = Map::new();
        if let Some(summary) = summary {
            parameters.insert("summary".to_owned(), summary.into());
        }
        parameters.insert("server".to_owned(), server.into());
        parameters.insert("tool".to_owned(), self.tool.clone().into());
        parameters.insert("arguments".to_owned(), self.arguments.clone().into());
        if !self.more.is_empty() {
            parameters.insert("more".to_owned(), self.more.clone().into());
        }
        Ok(Parameters::new(&parameters)?)
    }
}

/// The line that runs what was approved.
pub(crate) fn run_line(id: &Id, approved: &Parameters, meta: &Meta) -> String {
    let object = approved.object();
    let empty = Map::new();
    let mut params = object
        .get("more")
        .and_then(Value::as_object)
        .unwrap_or(&empty)
        .clone();
    for (member, of) in [("name", "tool"), ("arguments", "arguments")] {
        params.insert(
            member.to_owned(),
            object.get(of).cloned().unwrap_or_default(),
        );
    }
    let mut params = Value::Object(params).to_string();
    if !meta.passed.is_empty() {
        let members = meta.passed.iter();
        let members = members.map(|(name, value)| format!("{}:{value}", json!(name)));
        let members = members.collect::<Vec<_>>().join(",");
        // The object has members, so that a comma follows.
        params.insert_str(1, &format!("\"_meta\":{{{members}}},"));
    }
    let id = id.as_json();
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{params}}}\n")
}

impl Meta {
    /// Reads `_meta`. What the protocol defines is sent on, and the context of traces; other members might tell the
    /// server something that people do not see.
    pub(crate) fn read(call: &ToolCall<'_>) -> Result<Self, CallError> {
        let mut meta = Self {
            passed: Vec::new(),
            progress_token: None,
            is_stateless: false,
        };
        let Some(raw) = call.params.get("_meta") else {
            return Ok(meta);
        };
        let members = Members::read(raw, &[]).ok_or(CallError::Meta)?;
        for (name, value) in members.iter() {
            meta.is_stateless |= name == VERSION;
            if name == "progressToken" {
                meta.progress_token = Some(value.to_owned());
            }
            let is_known = matches!(
                name,
                "progressToken" | "traceparent" | "tracestate" | "baggage"
            );
            if is_known || name.starts_with("io.modelcontextprotocol/") {
                meta.passed.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(meta)
    }
}
