//! What the server says of its tools, read from its answers to `tools/list`. It is the server's claim: people are shown it
//! as such, and nothing else depends on it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::message::{Answer, Id, read_answer};

#[derive(Default)]
pub(crate) struct Tools(Mutex<State>);

#[derive(Default)]
struct State {
    /// The client's requests that the server has not answered.
    asked: HashSet<Id>,
    /// By the tool's name.
    claims: HashMap<String, String>,
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
    /// The client asks for a list.
    pub(crate) fn ask(&self, id: Id) {
        self.state().asked.insert(id);
    }

    /// Reads a line of the server if it is the answer.
    pub(crate) fn note(&self, line: &[u8]) {
        if self.state().asked.is_empty() {
            return;
        }
        let Some((id, answer)) = read_answer(line) else {
            return;
        };
        let mut state = self.state();
        if let (true, Answer::Result(result)) = (state.asked.remove(&id), answer) {
            let result: Value = serde_json::from_str(result.get()).unwrap_or_default();
            let tools = result["tools"].as_array().into_iter().flatten();
            let claims =
                tools.filter_map(|tool| Some((tool["name"].as_str()?.to_owned(), claim(tool)?)));
            state.claims.extend(claims);
        }
    }

    /// What the server says of a tool.
    pub(crate) fn claim(&self, tool: &str) -> Option<String> {
        self.state().claims.get(tool).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
