//! What the server says of its tools, read from its answers to `tools/list`. It is the server's claim: people are shown it
//! as such, and nothing else depends on it but the way in which the server is asked.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::lenient;
use crate::lock::lock;

#[derive(Default)]
pub(crate) struct Tools(Mutex<State>);

#[derive(Default)]
struct State {
    /// By the tool's name.
    claims: HashMap<String, String>,
    /// The tools that the server runs as tasks only.
    tasks: HashSet<String>,
    /// The names of all that were listed, until the first list is complete.
    listed: HashSet<String>,
    /// A list was complete.
    is_known: bool,
}

/// The longest description that people are shown, in characters.
const DESCRIPTION: usize = 500;

const HINTS: [(&str, bool, &str); 5] = [
    ("readOnlyHint", true, "read-only"),
    ("destructiveHint", true, "destructive"),
    ("destructiveHint", false, "not destructive"),
    ("idempotentHint", true, "safe to repeat"),
    ("openWorldHint", true, "open to the outside"),
];

impl Tools {
    /// Reads an answer to `tools/list`: what it says of a tool replaces what was said before. Returns the names of all
    /// tools with the last page of the first list.
    pub(crate) fn note(&self, result: &RawValue) -> Option<HashSet<String>> {
        let result = lenient::read(result);
        let mut state = self.state();
        for tool in result["tools"].as_array().into_iter().flatten() {
            let Some(name) = tool["name"].as_str() else {
                tracing::warn!(
                    "the server lists a tool without a name that can be read: people are shown nothing of it"
                );
                continue;
            };
            match claim(tool) {
                Some(claim) => state.claims.insert(name.to_owned(), claim),
                None => state.claims.remove(name),
            };
            if tool["execution"]["taskSupport"] == "required" {
                state.tasks.insert(name.to_owned());
            } else {
                state.tasks.remove(name);
            }
            if !state.is_known {
                state.listed.insert(name.to_owned());
            }
        }
        let is_complete = result["tools"].is_array() && result["nextCursor"].is_null();
        if !is_complete || state.is_known {
            return None;
        }
        state.is_known = true;
        Some(std::mem::take(&mut state.listed))
    }

    /// Whether the server runs this tool as a task only.
    pub(crate) fn needs_task(&self, tool: &str) -> bool {
        self.state().tasks.contains(tool)
    }

    /// What the server says of a tool.
    pub(crate) fn claim(&self, tool: &str) -> Option<String> {
        self.state().claims.get(tool).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

fn claim(tool: &Value) -> Option<String> {
    let description = tool["description"].as_str().unwrap_or_default();
    // In one line.
    let words = description.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let description: String = words.join(" ").chars().take(DESCRIPTION).collect();
    let is_set = |(name, value, _): &&(&str, bool, &str)| tool["annotations"][name] == *value;
    let hints: Vec<&str> = HINTS.iter().filter(is_set).map(|hint| hint.2).collect();
    let parts = [
        (!description.is_empty())
            .then(|| format!("The tool server describes this tool as: {description}")),
        (!hints.is_empty()).then(|| format!("The tool server calls it {}.", hints.join(", "))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
