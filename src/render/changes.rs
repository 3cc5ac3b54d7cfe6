//! What changed since the request that a request supersedes, field by field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::block::Block;
use super::diff::Diff;
use super::fold::fold_changes;
use super::request::parameters;
use super::secrets::{Hidden, Secrets, Withheld};
use super::subject::short_id;
use super::text::Text;
use super::time::{Sentence, Zone};
use super::unproven::describe_agents_part;
use crate::domain::{Approval, Assurance, State, Superseded};
use crate::reveal::{self, is_secret};
use crate::values::{Address, ApprovalId};

/// The changes for display.
pub(super) struct ChangesView {
    /// Which request is superseded.
    pub(super) what: String,
    /// How that one ended.
    pub(super) ending: Option<Sentence>,
    pub(super) comment: Option<String>,
    /// What the approver asked.
    pub(super) question: Option<String>,
    /// What the agent got, where anyone with the link of that approver can have written these.
    pub(super) by_link: Option<String>,
    /// Its action, if that was another.
    pub(super) action: Option<String>,
    /// On whose behalf the agent acted and acts, if that is not the same.
    pub(super) on_behalf_of: Option<String>,
    pub(super) parameters: Changed,
}

pub(super) enum Changed {
    /// The earlier parameters are not known.
    Unknown,
    Nothing,
    Something(Block),
}

impl ChangesView {
    /// `write` prepares each text: a mail defangs it. A value whose name suggests a secret is withheld.
    pub(super) fn new(
        approval: &Approval,
        superseded: &Superseded,
        withheld: Withheld,
        zone: &Zone,
        mut write: impl FnMut(&str) -> String,
    ) -> Self {
        let earlier = match superseded {
            Superseded::Known(earlier) => earlier,
            Superseded::Gone(id) => {
                return Self::without(name(id, &mut write), ", which is no longer stored");
            }
            Superseded::Unreadable(id) => {
                return Self::without(name(id, &mut write), ", which could not be read");
            }
        };
        let (before, now) = (parameters(earlier), parameters(approval));
        let block = compare(&before, &now, withheld, &mut write);
        let decision = earlier.decision();
        let mut prose = |text: &str| write(&reveal::prose(text));
        let comment = decision
            .and_then(|it| it.words.shown())
            .map(|it| prose(&it));
        let question = decision.and_then(|it| it.words.question.as_deref());
        let question = question.map(&mut prose);
        let by_link = decision.filter(|it| it.by.assurance() == Some(Assurance::LinkOnly));
        Self {
            by_link: by_link
                .filter(|_| comment.is_some() || question.is_some())
                .map(|it| describe_agents_part(it.words.preset.as_deref())),
            comment,
            question,
            ending: Some(describe_end(earlier, zone)),
            action: (earlier.request.action != approval.request.action)
                .then(|| prose(&earlier.request.action)),
            on_behalf_of: describe_people(earlier, approval).map(|it| prose(&it)),
            parameters: block.map_or(Changed::Nothing, Changed::Something),
            what: format!(
                "This takes the place of request {}.",
                name(&earlier.request.id, &mut write)
            ),
        }
    }

    fn without(name: String, why: &str) -> Self {
        Self {
            what: format!(
                "This takes the place of request {name}{why}. What changed cannot be shown."
            ),
            ending: None,
            comment: None,
            question: None,
            by_link: None,
            action: None,
            on_behalf_of: None,
            parameters: Changed::Unknown,
        }
    }

    /// As much as an email shows in a `share`th of the usual room; without parameters, if those are not for emails. `cut`
    /// shortens what the approver wrote.
    pub(super) fn for_mail(
        mut self,
        with_parameters: bool,
        share: usize,
        mut cut: impl FnMut(&str) -> String,
    ) -> Self {
        self.comment = self.comment.map(|it| cut(&it));
        self.question = self.question.map(|it| cut(&it));
        self.parameters = match self.parameters {
            Changed::Something(block) if with_parameters => {
                Changed::Something(fold_changes(block, share))
            }
            _ if !with_parameters => Changed::Unknown,
            parameters => parameters,
        };
        self
    }

    /// About how many lines the changes take on a phone.
    pub(super) fn height(&self) -> usize {
        match &self.parameters {
            Changed::Something(block) => block.height(),
            Changed::Unknown | Changed::Nothing => 0,
        }
    }
}

/// The agent's name for a request, with its short id; no link.
fn name(id: &ApprovalId, write: &mut impl FnMut(&str) -> String) -> String {
    format!("{} (#{})", write(id.correlation()), short_id(id))
}

/// On whose behalf the agent acted and acts, if that is not the same.
fn describe_people(earlier: &Approval, approval: &Approval) -> Option<String> {
    let [before, now] = [earlier, approval].map(|it| it.request.on_behalf_of.as_ref());
    let [from, to] = [before, now].map(|it| it.map_or("no person", Address::as_str));
    (before != now).then(|| format!("It was on behalf of {from}, and is on behalf of {to} now."))
}

fn describe_end(earlier: &Approval, zone: &Zone) -> Sentence {
    let on = |words: String, at| Sentence::new(words).time(zone.time(at)).words(".");
    match &earlier.state {
        State::Rejected(decision) => {
            let words = format!("That one was rejected by {} on ", decision.by);
            on(words, decision.at)
        }
        State::Cancelled { at } => on("The agent withdrew that one on ".to_owned(), *at),
        State::Undeliverable { at } => {
            let words = "No approver of that one could be reached by email; it ended on ";
            on(words.to_owned(), *at)
        }
        State::Pending | State::Timeout { .. } | State::Approved { .. } => {
            let words = "That one was not decided before ".to_owned();
            on(words, earlier.request.expires_at)
        }
    }
}

/// The difference between two values; `None` if there is none.
fn compare(
    before: &Value,
    now: &Value,
    withheld: Withheld,
    write: &mut impl FnMut(&str) -> String,
) -> Option<Block> {
    match (before, now) {
        _ if before == now => None,
        (Value::Object(before), Value::Object(now)) => {
            Some(compare_members(before, now, withheld, write))
        }
        (Value::Array(before), Value::Array(now)) => {
            Some(compare_items(before, now, withheld, write))
        }
        (Value::String(before), Value::String(now))
            if before.contains('\n') || now.contains('\n') =>
        {
            let diff = Diff::between(before, now, |line| Text::new(&write(line)));
            Some(Block::Diff(diff))
        }
        _ => {
            let values = [("before", before), ("now", now)];
            let values = values.map(|(name, it)| (Text::label(name), show(it, withheld, write)));
            Some(Block::Members(values.into()))
        }
    }
}

fn compare_members(
    before: &Map<String, Value>,
    now: &Map<String, Value>,
    withheld: Withheld,
    write: &mut impl FnMut(&str) -> String,
) -> Block {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let mut members = Vec::new();
    for name in names {
        let (before, now) = (before.get(name), now.get(name));
        let is_withheld = [before, now]
            .into_iter()
            .flatten()
            .any(|it| is_secret(name, it));
        let block = match (before, now) {
            (Some(before), Some(now)) if before == now => continue,
            (Some(_), Some(_)) if is_withheld => Block::Label("changed, and withheld"),
            (Some(_), None) if is_withheld => Block::Label("removed, and withheld"),
            (None, Some(_)) if is_withheld => Block::Label("added, and withheld"),
            (Some(before), Some(now)) => match compare(before, now, withheld, write) {
                Some(block) => block,
                None => continue,
            },
            (Some(before), None) => label("removed", before, withheld, write),
            (None, Some(now)) => label("added", now, withheld, write),
            (None, None) => continue,
        };
        members.push((Text::of_name(&write(name)), block));
    }
    Block::Members(members)
}

/// Items beside each other where there are as many of them; else those that were removed and added, between what
/// both lists begin and end with.
fn compare_items(
    before: &[Value],
    now: &[Value],
    withheld: Withheld,
    write: &mut impl FnMut(&str) -> String,
) -> Block {
    let pairs = || before.iter().zip(now);
    let start = pairs().take_while(|(before, now)| before == now).count();
    let ends = before[start..].iter().rev().zip(now[start..].iter().rev());
    let end = ends.take_while(|(before, now)| before == now).count();
    let removed = &before[start..before.len() - end];
    let added = &now[start..now.len() - end];
    let mut items = Vec::new();
    if removed.len() == added.len() {
        for (number, (before, now)) in (start + 1..).zip(removed.iter().zip(added)) {
            if let Some(block) = compare(before, now, withheld, write) {
                items.push((Text::label(&format!("item {number}")), block));
            }
        }
    } else {
        for (what, from) in [("removed", removed), ("added", added)] {
            if let Some(name) = name_items(start, from.len()) {
                let values = Value::Array(from.to_vec());
                items.push((Text::label(&name), label(what, &values, withheld, write)));
            }
        }
    }
    Block::Members(items)
}

fn name_items(before: usize, count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("item {}", before + 1)),
        _ => Some(format!("items {} to {}", before + 1, before + count)),
    }
}

fn label(
    what: &str,
    value: &Value,
    withheld: Withheld,
    write: &mut impl FnMut(&str) -> String,
) -> Block {
    Block::Members(vec![(Text::label(what), show(value, withheld, write))])
}

fn show(value: &Value, withheld: Withheld, write: &mut impl FnMut(&str) -> String) -> Block {
    Block::new(
        &withheld.withhold(value.clone(), &mut Hidden::default()),
        Secrets::Withheld,
        write,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changes(before: Value, now: Value) -> String {
        let block = compare(&before, &now, Withheld::OnPage, &mut str::to_owned);
        block.map_or_else(String::new, |block| block.in_plain_text())
    }

    #[test]
    fn each_field_says_what_became_of_it() {
        let before = json!({"amount": 18_000, "bank": {"iban": "DE1", "name": "N"}, "note": "x", "same": [1, {}]});
        let now = json!({"amount": 12_000, "bank": {"iban": "DE2", "name": "N"}, "parts": 2, "same": [1, {}]});
        assert_eq!(
            changes(before.clone(), now),
            "amount:\n  (before):  18000\n  (now):     12000\nbank:\n  iban:\n    (before):  DE1\n    (now):     DE2\nnote:\n  \
             (removed):  x\nparts:\n  (added):  2"
        );
        assert_eq!(changes(before.clone(), before), "");
        // Another type is another value.
        assert_eq!(
            changes(json!({"a": 1}), json!({"a": "1"})),
            "a:\n  (before):  1\n  (now):     \"1\""
        );
    }

    #[test]
    fn items_of_lists_are_numbered() {
        assert_eq!(
            changes(
                json!({"to": ["a", "b", "c"]}),
                json!({"to": ["a", "x", "c"]})
            ),
            "to:\n  (item 2):\n    (before):  b\n    (now):     x"
        );
        assert_eq!(
            changes(
                json!({"to": ["a", "b", "c", "d"]}),
                json!({"to": ["a", "d"]})
            ),
            "to:\n  (items 2 to 3):\n    (removed):\n      - b\n      - c"
        );
        assert_eq!(
            changes(json!({"to": []}), json!({"to": ["a"]})),
            "to:\n  (item 1):\n    (added):\n      - a"
        );
    }

    #[test]
    fn values_with_the_name_of_a_secret_are_withheld() {
        let before = json!({"password": "one", "apiKey": "k", "user": {"name": "u", "token": "t"}});
        let now = json!({"password": "two", "secret": 1, "other": {"token": "t"}});
        let shown = changes(before, now);
        for line in [
            "apiKey:    (removed, and withheld)",
            "password:  (changed, and withheld)",
            "secret:    (added, and withheld)",
            "    token:  «withheld, 1 character»",
        ] {
            assert!(shown.lines().any(|it| it == line), "{shown}");
        }
        assert!(!shown.contains("one") && !shown.contains("two"), "{shown}");
    }

    #[test]
    fn a_text_of_several_lines_is_a_diff() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh";
        let shown = changes(
            json!({"s": before}),
            json!({"s": before.replace('h', "H\u{200b}")}),
        );
        assert_eq!(
            shown,
            "s:\n     1  @@ -5,4 +5,4 @@\n     2   e\n     3   f\n     4   g\n     5  -h\n     6  +H\\u{200b}\n        \
             (1 line added, 1 removed)"
        );
        // What ends a line is part of it, but what ends both texts alike is no change.
        let shown = changes(json!({"s": "a\nb\n"}), json!({"s": "a\nc\n"}));
        assert_eq!(shown.lines().count(), 6, "{shown}");
        assert!(changes(json!({"s": "a\nb"}), json!({"s": "a\nb\n"})).contains("     4  +\n"));
        assert!(changes(json!({"s": "a\nb"}), json!({"s": "a\r\nb"})).contains("+a\\u{d}"));
    }
}
