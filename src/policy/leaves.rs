//! The leaves of a request's parameters: values that are not lists or objects, and empty ones of these.

use std::borrow::Cow;

use human_oversight_protocol::strict_json::member_pointer;
use serde_json::Value;

use super::pointer::Pointer;

/// Pointers to the first leaves that lie at or under none of `mentioned`, at most `most`. An empty object of
/// parameters has no leaf.
pub(super) fn unmentioned(parameters: &Value, mentioned: &[&Pointer], most: usize) -> Vec<String> {
    let mut walk = Walk {
        mentioned,
        most,
        path: Vec::new(),
        found: Vec::new(),
    };
    if !is_empty(parameters) {
        walk.visit(parameters);
    }
    walk.found
}

struct Walk<'a> {
    mentioned: &'a [&'a Pointer],
    most: usize,
    path: Vec<Cow<'a, str>>,
    found: Vec<String>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, value: &'a Value) {
        let is_mentioned = self
            .mentioned
            .iter()
            .any(|pointer| pointer.covers(&self.path));
        if is_mentioned || self.found.len() == self.most {
            return;
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, member) in members {
                    self.enter(Cow::Borrowed(name), member);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.enter(Cow::Owned(index.to_string()), item);
                }
            }
            _ => self.found.push(pointer_to(&self.path)),
        }
    }

    fn enter(&mut self, name: Cow<'a, str>, value: &'a Value) {
        self.path.push(name);
        self.visit(value);
        self.path.pop();
    }
}

fn is_empty(parameters: &Value) -> bool {
    parameters
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
}

fn pointer_to(path: &[Cow<'_, str>]) -> String {
    let above = String::new();
    path.iter()
        .fold(above, |pointer, name| member_pointer(&pointer, name))
}
