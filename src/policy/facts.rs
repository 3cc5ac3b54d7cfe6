//! Why a rule applies, in words for people.

use super::condition::{Condition, Relation, Scalar};
use super::pointer::Pointer;
use super::subject::Subject;
use super::text::{Glob, Text};
use super::truth::Truth;
use crate::reveal;

/// The most characters of a value, of one of a rule, and of a fact.
const VALUE_CHARS: usize = 60;
const FACT_CHARS: usize = 200;
/// The most values of a rule that a fact lists.
const LISTED: usize = 4;

/// Why the value at a pointer meets a condition, or may meet it.
pub(super) fn of_value(pointer: &Pointer, condition: &Condition, subject: &Subject<'_>) -> String {
    let is_secret = is_secret(pointer, subject);
    let is_certain = condition.judge(subject) == Truth::True;
    let fact = match (condition, subject) {
        (Condition::Exists(true), _) => "is there".to_owned(),
        (_, Subject::Missing) => "is missing".to_owned(),
        _ if is_secret && is_certain => {
            "has a value that is not shown and fits the rule".to_owned()
        }
        _ if is_secret => "has a value that is not shown and may fit the rule".to_owned(),
        (condition, subject) => {
            let relation = if is_certain {
                relation(condition)
            } else {
                doubt(condition, subject)
            };
            format!("is {}{relation}", value(subject))
        }
    };
    reveal::line(&format!("{pointer} {fact}"), FACT_CHARS)
}

/// Whether the value at a pointer, or one that it is in, is not to be quoted.
fn is_secret(pointer: &Pointer, subject: &Subject<'_>) -> bool {
    let Some((name, parents)) = pointer.tokens().split_last() else {
        return false;
    };
    let is_named_secret = match subject {
        Subject::Number(_) => reveal::is_secret_number_name(name),
        _ => reveal::is_secret_name(name),
    };
    is_named_secret || parents.iter().any(|name| reveal::is_secret_name(name))
}

/// Why the agent's name or the action matches a pattern, or may match it.
pub(super) fn of_name(what: &str, pattern: &Glob, name: &Text<'_>) -> String {
    let relation = match pattern.matches(name) {
        Truth::True if pattern.written == name.sent => String::new(),
        Truth::True => format!(", like {}", quoted(&pattern.written)),
        _ => format!(", {} {}", doubt_of_text(name), quoted(&pattern.written)),
    };
    reveal::line(
        &format!("the {what} is {}{relation}", quoted(name.sent)),
        FACT_CHARS,
    )
}

fn relation(condition: &Condition) -> String {
    match condition {
        Condition::OneOf(values) if values.len() == 1 => String::new(),
        Condition::OneOf(values) => format!(", one of {}", list(values)),
        Condition::NoneOf(values) if values.len() == 1 => format!(", not {}", list(values)),
        Condition::NoneOf(values) => format!(", none of {}", list(values)),
        Condition::Number(relation, number) => format!(", {} {number}", relation.words()),
        Condition::Exists(_) => String::new(),
        Condition::StartsWith(phrase) => format!(", which starts with {}", quoted(&phrase.written)),
        Condition::Matches(expression) => {
            format!(", which matches {}", quoted(expression.written()))
        }
    }
}

/// Why the condition has no answer.
fn doubt(condition: &Condition, subject: &Subject<'_>) -> String {
    let (wanted, rule) = match condition {
        Condition::OneOf(values) | Condition::NoneOf(values) => match values.first() {
            Some(Scalar::Boolean(_)) => ("true or false", list(values)),
            Some(Scalar::Number(_)) => ("a number", list(values)),
            _ => ("a text", list(values)),
        },
        Condition::Number(..) => ("a number", String::new()),
        Condition::StartsWith(phrase) => ("a text", quoted(&phrase.written)),
        Condition::Matches(expression) => ("a text", quoted(expression.written())),
        Condition::Exists(_) => return String::new(),
    };
    match subject {
        Subject::Text(text, _) if wanted == "a text" => format!(", {} {rule}", doubt_of_text(text)),
        _ => format!(", not {wanted}"),
    }
}

/// Why a text may be that of a rule, whose text follows.
fn doubt_of_text(text: &Text<'_>) -> &'static str {
    if text.is_confusable() {
        "with characters that can be mistaken for others, compared with"
    } else {
        "which may be read as"
    }
}

fn value(subject: &Subject<'_>) -> String {
    match subject {
        Subject::Missing => "missing".to_owned(),
        Subject::Null => "null".to_owned(),
        Subject::Boolean(value) => value.to_string(),
        Subject::Number(number) => reveal::line(&number.to_string(), VALUE_CHARS),
        Subject::Text(text, _) => quoted(text.sent),
        Subject::List => "a list".to_owned(),
        Subject::Object => "an object".to_owned(),
    }
}

fn list(values: &[Scalar]) -> String {
    let shown = values.iter().take(LISTED).map(|value| match value {
        Scalar::Text(phrase) => quoted(&phrase.written),
        Scalar::Number(number) => number.to_string(),
        Scalar::Boolean(value) => value.to_string(),
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if values.len() > LISTED {
        text.push_str(&format!(" and {} more", values.len() - LISTED));
    }
    text
}

fn quoted(text: &str) -> String {
    let text = reveal::line(&reveal::mark_spaces(text), VALUE_CHARS);
    let text = reveal::within_quotes(&text);
    format!("\u{201c}{text}\u{201d}")
}

impl Relation {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::LessThan => "less than",
            Self::AtMost => "at most",
            Self::AtLeast => "at least",
            Self::MoreThan => "more than",
        }
    }
}
