//! Whether each server reads a message of the client as the proxy does.
//!
//! A server of C ends a text at U+0000; a shell drops it, drops what is blank at the end, and may end a field at a blank or
//! at a separator of its own. One that reads its input in pieces of fixed size begins a message in the middle of a long
//! line.

use serde_json::value::RawValue;

use crate::id::Id;
use crate::lenient;
use crate::members::{Members, bare, fold, leading_text, may_read_as, members, texts};

/// The members of a message.
pub(crate) const MESSAGE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The members of the parameters of `tools/call`.
pub(crate) const PARAMS: [&str; 3] = ["name", "arguments", "_meta"];

/// The parameters of any method that name something, and are no texts for people.
const NAMES: [&str; 6] = [
    "name",
    "uri",
    "taskId",
    "requestId",
    "progressToken",
    "protocolVersion",
];

/// What the protocol defines in `_meta` of a request, and the context of traces: each name, and how its value begins.
pub(crate) const META: [(&str, &str); 9] = [
    ("progressToken", "\"-0123456789"),
    ("io.modelcontextprotocol/protocolVersion", "\""),
    ("io.modelcontextprotocol/clientInfo", "{"),
    ("io.modelcontextprotocol/clientCapabilities", "{"),
    ("io.modelcontextprotocol/logLevel", "\""),
    ("io.modelcontextprotocol/related-task", "{"),
    ("traceparent", "\""),
    ("tracestate", "\""),
    ("baggage", "\""),
];

/// The members that name a request, in lower case.
const IDS: [&str; 4] = ["id", "requestid", "progresstoken", "taskid"];

const VERSION: &str = "jsonrpc must be \"2.0\"";
const ID: &str = "the id of a request must be a number, or a string with characters, none of them blank or control characters";
const METHOD: &str =
    "the method must be a text with characters, none of them blank or control characters";
const KIND: &str = "params must be an object or an array";
const UNCLEAR: &str = "each member of params and of _meta must be clear: no name twice, and none with a control character \
                       or an invalid escape";
const NAME: &str =
    "what params name must have characters, no control characters, and no blanks at its ends";
const CONTROLS: &str = "what the protocol defines in _meta must have no control characters, but for the lines of a description";
const NESTED: &str = "a message must not contain another one of the method tools/call: a server that reads its input in \
                      pieces may run it. Send it as a text";
const OWN: &str = "an id has the form of the proxy's own";

/// Why servers might not read a message alike. `own` is what only the ids of the proxy contain.
pub(crate) fn fault(raw: &RawValue, message: &Members<'_>, own: &str) -> Option<&'static str> {
    let has = |name, is_wrong: fn(&RawValue) -> bool| message.get(name).is_some_and(is_wrong);
    if has("jsonrpc", |it| lenient::read(it) != "2.0") {
        return Some(VERSION);
    }
    // The id of an answer is the server's own, which may have blanks.
    let is_clear = match message.get("method") {
        Some(_) => is_word,
        None => is_plain,
    };
    let is_unclear =
        |it: &RawValue| it.get() != "null" && (Id::read(it).is_none() || !is_clear(it));
    if message.get("id").is_some_and(is_unclear) {
        return Some(ID);
    }
    if has("method", |it| !it.get().starts_with('"') || !is_word(it)) {
        return Some(METHOD);
    }
    let params = message.get("params");
    params
        .and_then(params_fault)
        .or_else(|| members_fault(raw, own))
}

fn params_fault(params: &RawValue) -> Option<&'static str> {
    if !params.get().starts_with('{') {
        let is_other = !params.get().starts_with('[') && params.get() != "null";
        return is_other.then_some(KIND);
    }
    let Some(params) = Members::read_clear(params, &[]) else {
        return Some(UNCLEAR);
    };
    if !NAMES
        .iter()
        .filter_map(|name| params.get(name))
        .all(is_plain)
    {
        return Some(NAME);
    }
    let meta = params.get("_meta").filter(|it| it.get().starts_with('{'))?;
    let Some(meta) = Members::read_clear(meta, &[]) else {
        return Some(UNCLEAR);
    };
    let mut defined = META.iter().filter_map(|(name, _)| meta.get(name));
    defined.any(has_controls).then_some(CONTROLS)
}

/// Whether a value of `_meta` has control characters. What describes a client may have several lines.
fn has_controls(value: &RawValue) -> bool {
    let is_clear = |(member, text): (Option<&str>, &str)| {
        let has_lines = member == Some("\"description\"");
        let is_wrong = |c: char| c.is_ascii_control() && !(has_lines && "\t\n\r".contains(c));
        serde_json::from_str(text).is_ok_and(|it: String| !it.contains(is_wrong))
    };
    !texts(value.get()).all(is_clear)
}

/// Looks at the members of all objects.
fn members_fault(raw: &RawValue, own: &str) -> Option<&'static str> {
    members(raw.get()).find_map(|(depth, name, value)| {
        let (name, value) = (decode(name), decode(leading_text(value)?));
        if depth > 1 && may_read_as(&name, "method") && may_read_as(&value, "tools/call") {
            return Some(NESTED);
        }
        let is_own =
            IDS.contains(&fold(&bare(&name)).as_str()) && fold(&bare(&value)).contains(own);
        is_own.then_some(OWN)
    })
}

/// Whether a value is no text, or one that reads the same to a server that ends it at a blank.
fn is_word(value: &RawValue) -> bool {
    is_plain(value)
        && !lenient::read(value)
            .as_str()
            .is_some_and(|it| it.contains(' '))
}

/// Whether a value is no text, or one that reads the same to a server that trims it.
fn is_plain(value: &RawValue) -> bool {
    let is_text = value.get().starts_with('"');
    let is_clear = |text: String| !text.is_empty() && text.trim() == text && has_no_controls(&text);
    !is_text || serde_json::from_str(value.get()).is_ok_and(is_clear)
}

fn has_no_controls(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_control())
}

/// The text in quotes, with replacement characters for what is none.
fn decode(quoted: &str) -> String {
    let raw: Result<&RawValue, _> = serde_json::from_str(quoted);
    let text = raw.map(lenient::read).unwrap_or_default();
    text.as_str().unwrap_or_default().to_owned()
}
