//! The names of members, and values of one line: they are compared by eye, so that nothing in them may pass unseen.

use std::collections::HashSet;

use serde_json::{Map, Value};
use unicode_security::skeleton;

use super::alarm::Deception;
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

/// The characters of a value of one line, each with whether it is hidden: so is white space around it.
pub fn value_characters(value: &str) -> Vec<(char, bool)> {
    let mut marked = characters(value);
    let start = marked.iter().take_while(|(c, _)| c.is_whitespace()).count();
    let (before, rest) = marked.split_at_mut(start);
    let after = rest.iter_mut().rev().take_while(|(c, _)| c.is_whitespace());
    before
        .iter_mut()
        .chain(after)
        .for_each(|(_, hidden)| *hidden = true);
    marked
}

impl Alarms {
    /// Scans the names of an object's members.
    pub(super) fn scan_names(&mut self, members: &Map<String, Value>) {
        let mut alike = HashSet::new();
        for name in members.keys() {
            self.scan_name(name);
            if !alike.insert(look(name)) {
                let what = || "looks like another name beside it".to_owned();
                self.add(Deception::Names, name, what);
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
