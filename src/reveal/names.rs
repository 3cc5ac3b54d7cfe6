//! The names of members: they are compared by eye, so that nothing in them may pass unseen.

use std::collections::HashSet;

use serde_json::{Map, Value};
use unicode_security::skeleton;

use super::alarms::Alarms;
use super::hidden::{characters, count_hidden, is_hidden};

/// The characters of a name, each with whether it is hidden: in a name, so is white space other than a space between
/// two words.
pub fn name_characters(name: &str) -> Vec<(char, bool)> {
    let mut marked = characters(name);
    let blank: Vec<bool> = name.chars().map(char::is_whitespace).collect();
    for (at, (c, hidden)) in marked.iter_mut().enumerate() {
        let is_between = at > 0 && !blank[at - 1] && blank.get(at + 1) == Some(&false);
        *hidden |= blank[at] && !(*c == ' ' && is_between);
    }
    marked
}

impl Alarms {
    /// Scans the names of an object's members.
    pub(super) fn scan_names(&mut self, members: &Map<String, Value>) {
        let mut alike = HashSet::new();
        for name in members.keys() {
            self.scan_name(name);
            if !alike.insert(look(name)) {
                self.add(name, || "looks like another name beside it".to_owned());
            }
        }
    }

    fn scan_name(&mut self, name: &str) {
        self.hidden += count_hidden(&name_characters(name));
        self.scan_words(name);
    }
}

/// What names that look alike have in common.
fn look(name: &str) -> String {
    let seen: String = name
        .chars()
        .filter(|c| c.is_whitespace() || !is_hidden(*c))
        .collect();
    let words: Vec<&str> = seen.split_whitespace().collect();
    skeleton(&words.join(" ")).collect()
}
