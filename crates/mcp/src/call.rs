//! A call that is held: what people are shown of it, and the message that runs it.

use human_oversight_protocol::parameters::{Parameters, ParametersError};
use human_oversight_protocol::strict_json::{self, StrictError};
use human_oversight_protocol::types::ACTION_CHARS;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::clear::META;
use crate::id::Id;
use crate::line::is_line;
use crate::members::{Members, has_doubles};
use crate::message::ToolCall;

/// The content of a held call.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) tool: String,
    pub(crate) arguments: Map<String, Value>,
    /// The members of `params` that the protocol has besides, such as `requestState`: they change what runs too.
    more: Map<String, Value>,
}

/// Metadata of a call that its caller's program adds, not what is approved.
#[derive(Debug, Default)]
pub(crate) struct Meta {
    /// The members that are sent on.
    passed: Vec<(String, Box<RawValue>)>,
    /// The client wants to read of progress under this token.
    pub(crate) progress_token: Option<Box<RawValue>>,
    /// The client speaks a revision in which each request names it: results have a type there.
    pub(crate) is_stateless: bool,
    /// The call continues one in which the tool has asked back. Only the client's program can make it again.
    pub(crate) continues: bool,
    /// The client takes a task in place of the result.
    pub(crate) task: Option<TaskForm>,
    /// The server runs this tool as a task only.
    pub(crate) needs_task: bool,
}

/// How a client speaks of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskForm {
    /// As revision 2025-11-25 does: the call asks for a task that lives as long as this, in milliseconds.
    Core { ttl: Option<u64> },
    /// As the extension `io.modelcontextprotocol/tasks` does, which the call declares.
    Extension,
}

/// Why a call cannot be held, and so is not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the arguments must be an object")]
    NotAnObject,
    #[error("/{member}: {source}")]
    Unclear { member: String, source: StrictError },
    #[error(
        "the name of the tool must have at most {ACTION_CHARS} characters with the words around it, and none that controls \
         or turns a line"
    )]
    Name,
    /// The operator's words leave no room for a name that is no longer than such names are.
    #[error(
        "the action of the settings and the name of the server are too long for the name of the tool"
    )]
    Setting,
    #[error("/{0}: a name has the character U+0000, which ends it for some servers")]
    Nul(String),
    #[error(
        "_meta must be an object in which no name occurs twice, and what the protocol defines in it must be of its kind"
    )]
    Meta,
    #[error("task must be an object, with a time in milliseconds as its ttl")]
    Task,
    #[error(transparent)]
    Parameters(#[from] ParametersError),
}

/// The longest name of a tool that the protocol recommends.
const TOOL_CHARS: usize = 128;

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const TASKS: &str = "io.modelcontextprotocol/tasks";

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
                let value = strict_json::parse(raw.get().as_bytes());
                let value = value.map_err(|source| CallError::Unclear {
                    member: name.to_owned(),
                    source,
                })?;
                if has_nul(&value) {
                    Err(CallError::Nul(name.to_owned()))
                } else {
                    Ok(value)
                }
            };
            match name {
                // How the result is to be given, not what runs.
                "name" | "_meta" | "task" => {}
                "arguments" => match strict()? {
                    Value::Object(arguments) => content.arguments = arguments,
                    // As some clients write that there are none.
                    Value::Null => {}
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

/// Whether a name in a value has U+0000. People are shown one in a text with a mark, but what is read under such a name
/// depends on the reader.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(name, it)| name.contains('\0') || has_nul(it)),
        Value::Array(items) => items.iter().any(has_nul),
        _ => false,
    }
}

/// Whether people can be shown these words as the action, which the name of a tool may be a part of.
pub(crate) fn check_action(words: &str, tool: &str) -> Result<(), CallError> {
    let is_usual = tool.chars().count() <= TOOL_CHARS && is_line(tool);
    if words.chars().count() <= ACTION_CHARS && is_line(words) && !words.trim().is_empty() {
        Ok(())
    } else if is_usual {
        Err(CallError::Setting)
    } else {
        Err(CallError::Name)
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
    if meta.needs_task {
        params.insert("task".to_owned(), json!({}));
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

/// The line that asks for the result of a task of the server.
pub(crate) fn task_result_line(id: &Id, task: &str) -> String {
    let (id, task) = (id.as_json(), json!(task));
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tasks/result\",\"params\":{{\"taskId\":{task}}}}}\n"
    )
}

impl Meta {
    /// Reads `_meta` and `task`. Of `_meta`, `META` is sent on; other members might tell the server something that people do
    /// not see. Tasks are the proxy's affair, not the server's.
    pub(crate) fn read(call: &ToolCall<'_>) -> Result<Self, CallError> {
        let mut meta = Self {
            task: call.params.given("task").map(read_task).transpose()?,
            continues: ["requestState", "inputResponses"]
                .iter()
                .any(|it| call.params.given(it).is_some()),
            ..Self::default()
        };
        let Some(raw) = call.params.given("_meta") else {
            return Ok(meta);
        };
        let members = Members::read(raw).ok_or(CallError::Meta)?;
        for (name, value) in members.iter() {
            let Some((_, kind)) = META.iter().find(|(it, _)| *it == name) else {
                continue;
            };
            if value.get() == "null" {
                continue;
            }
            if !value.get().starts_with(|c| kind.contains(c)) || has_doubles(value.get()) {
                return Err(CallError::Meta);
            }
            let mut passed = value.to_owned();
            match name {
                VERSION => meta.is_stateless = true,
                "progressToken" => meta.progress_token = Some(value.to_owned()),
                CAPABILITIES => {
                    if let Some(others) = without_tasks(value) {
                        meta.task = Some(TaskForm::Extension);
                        passed = others;
                    }
                }
                _ => {}
            }
            meta.passed.push((name.to_owned(), passed));
        }
        Ok(meta)
    }
}

fn read_task(raw: &RawValue) -> Result<TaskForm, CallError> {
    let task: Value = serde_json::from_str(raw.get()).map_err(|_| CallError::Task)?;
    let ttl = task.as_object().ok_or(CallError::Task)?.get("ttl");
    let ttl = ttl.filter(|ttl| !ttl.is_null());
    let ttl = ttl.map(|ttl| ttl.as_u64().ok_or(CallError::Task));
    let ttl = ttl.transpose()?;
    Ok(TaskForm::Core { ttl })
}

/// What a client can do but for tasks, if it can deal with them.
fn without_tasks(capabilities: &RawValue) -> Option<Box<RawValue>> {
    let mut capabilities: Value = serde_json::from_str(capabilities.get()).ok()?;
    let extensions = capabilities.get_mut("extensions")?.as_object_mut()?;
    extensions.remove(TASKS)?;
    RawValue::from_string(capabilities.to_string()).ok()
}
