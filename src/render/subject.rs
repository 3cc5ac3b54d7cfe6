//! The subjects of emails: they tell requests and states apart in a list.

use serde_json::{Map, Value};

use super::brand::Brand;
use super::text::Text;
use crate::domain::{Approval, Execution, Notice, Status};
use crate::mailer::SUBJECT_CHARS;
use crate::reveal;
use crate::values::{ApprovalId, Timestamp};

const ACTION_CHARS: usize = 80;

/// The longest state before an action, which has the same room in each email of a request.
const LONGEST_STATE: &str = "[Not delivered] ";

/// The characters of a short id: digits and capitals without those that resemble others.
const SHORT_ID_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SHORT_ID_CHARS: usize = 6;

/// The names of members that hold a sum of money, beside one named `currency`.
const SUMS: [&str; 4] = ["amount", "total", "sum", "price"];

/// Such as `[Approve?] Pay supplier invoice · 18,000 EUR · #K7Q2ZD`. With `parameters`, it may show a sum of money
/// among them.
pub(super) fn subject(
    approval: &Approval,
    notice: Notice,
    parameters: Option<&Value>,
    brand: &Brand,
    now: Timestamp,
) -> String {
    let request = &approval.request;
    let sum = parameters.and_then(Value::as_object).and_then(sum_of_money);
    let sum = sum.map(|it| format!(" · {it}")).unwrap_or_default();
    let rest = format!("{sum} · #{}", short_id(&request.id));
    let prefix = brand.subject_prefix.as_deref();
    let prefix = prefix.map(|it| format!("{it} ")).unwrap_or_default();
    let taken = [&prefix, LONGEST_STATE, &rest].map(|it| it.chars().count());
    let action = action_within(&request.action, SUBJECT_CHARS - taken.iter().sum::<usize>());
    format!("{prefix}[{}] {action}{rest}", state(approval, notice, now))
}

/// As much of an action as has room, with what its marks take.
fn action_within(action: &str, room: usize) -> String {
    let written = |chars| {
        let action = reveal::defang(&reveal::line(action, chars));
        Text::isolated_prose(&without_separators(&action))
    };
    let mut written = (1..=ACTION_CHARS).rev().map(written);
    let fits = written.find(|action| action.chars().count() <= room);
    fits.unwrap_or_default()
}

/// A line in which a hyphen stands for each dot at an end of a word that resembles the one between the parts, so that it
/// is one part of a subject.
fn without_separators(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let rest = word.trim_start_matches(reveal::is_middle_dot);
        let inner = rest.trim_end_matches(reveal::is_middle_dot);
        let start = &word[..word.len() - rest.len()];
        let end = &rest[inner.len()..];
        format!("{}{inner}{}", hyphens(start), hyphens(end))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn hyphens(dots: &str) -> String {
    "-".repeat(dots.chars().count())
}

/// Six characters that tell a person's requests apart. They are never six digits, as a one-time code is.
pub(super) fn short_id(id: &ApprovalId) -> String {
    let digest = human_oversight_protocol::parameters::sha256(id.to_string().as_bytes());
    let character = |byte: u8| SHORT_ID_ALPHABET[usize::from(byte) % SHORT_ID_ALPHABET.len()];
    let mut characters: Vec<u8> = digest.into_iter().map(character).collect();
    characters.truncate(SHORT_ID_CHARS);
    if characters.iter().all(u8::is_ascii_digit) {
        let letters = &SHORT_ID_ALPHABET[10..];
        characters[0] = letters[usize::from(digest[0]) % letters.len()];
    }
    characters.into_iter().map(char::from).collect()
}

/// The correlation id, unless an email shows it beside a one-time code, of six digits too, and it could be typed as that.
pub(super) fn correlation_in_email(id: &ApprovalId) -> Option<&str> {
    let correlation = id.correlation();
    let is_digit = |c: char| c.is_ascii_digit();
    let is_like_code =
        correlation.matches(is_digit).count() == 6 && !correlation.contains(char::is_alphabetic);
    (!is_like_code).then_some(correlation)
}

fn state(approval: &Approval, notice: Notice, now: Timestamp) -> &'static str {
    match (notice, approval.status(now)) {
        (Notice::Request, _) => "Approve?",
        (Notice::Reminder | Notice::FinalReminder, _) => "Reminder",
        (Notice::Escalation, _) => "Escalated",
        (Notice::Revocation, _) => "Revoked",
        (Notice::AskedAgain, _) => "Asked again",
        (Notice::GrantEnd, _) => "Grant ended",
        (Notice::Failure, _) => match approval.execution(now) {
            Some(Execution::Failed { .. }) => "Failed",
            _ => "Unknown",
        },
        (Notice::Outcome, Status::Approved) => "Approved",
        (Notice::Outcome, Status::Rejected) => "Rejected",
        (Notice::Outcome, Status::Timeout) => "Expired",
        (Notice::Outcome, Status::Cancelled) => "Withdrawn",
        (Notice::Outcome, Status::Pending | Status::Undeliverable) => "Not delivered",
    }
}

/// A number, or a text that is one, beside a currency of three capitals. None where two members may be the sum, and say
/// different ones.
pub(super) fn sum_of_money(members: &Map<String, Value>) -> Option<String> {
    let currency = members.get("currency")?.as_str()?;
    let is_currency = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
    let sums = SUMS.into_iter().filter_map(|name| members.get(name));
    let mut sums = sums.map(sum_in_digits);
    let sum = sums.next()??;
    let is_only = sums.all(|other| other.as_ref() == Some(&sum));
    (is_currency && is_only).then(|| format!("{sum} {currency}"))
}

/// Such as `-1,234.50`; `None` for what is no such number, or has zeros before it.
fn sum_in_digits(sum: &Value) -> Option<String> {
    let sum = match sum {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (sign, unsigned) = match sum.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", sum.as_str()),
    };
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let is_digits =
        |text: &str| (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_plain = whole == "0" || !whole.starts_with('0');
    let is_number = is_digits(whole) && is_plain && fraction.is_none_or(is_digits);
    let fraction = fraction.map(|it| format!(".{it}")).unwrap_or_default();
    is_number.then(|| format!("{sign}{}{fraction}", grouped(whole)))
}

/// With a comma before each three digits.
pub(super) fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_short_id_is_never_six_digits_as_a_code_is() {
        let ids = (0..20_000).map(|n| ApprovalId::new("Agent", &format!("run-{n}")).unwrap());
        for id in ids.map(|id| short_id(&id)) {
            assert_eq!(id.len(), SHORT_ID_CHARS);
            assert!(!id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
        }
    }

    #[test]
    fn a_sum_of_money_is_a_number_beside_a_currency() {
        let sum = |value: Value| sum_of_money(value.as_object().unwrap());
        for (value, shown) in [
            (
                json!({"amount": 18000, "currency": "EUR"}),
                Some("18,000 EUR"),
            ),
            (
                json!({"total": "1234567.50", "currency": "USD"}),
                Some("1,234,567.50 USD"),
            ),
            (json!({"amount": -5.5, "currency": "CHF"}), Some("-5.5 CHF")),
            (json!({"amount": 999, "currency": "JPY"}), Some("999 JPY")),
            (json!({"amount": 18000}), None),
            (json!({"amount": "18000 or more", "currency": "EUR"}), None),
            (json!({"amount": "1.", "currency": "EUR"}), None),
            (json!({"amount": 1e-7, "currency": "EUR"}), None),
            (json!({"amount": 1, "currency": "euros"}), None),
            (json!({"amount": [1], "currency": "EUR"}), None),
            (
                json!({"amount": 3, "price": "500.00", "currency": "EUR"}),
                None,
            ),
            (
                json!({"total": 5, "sum": "5", "currency": "EUR"}),
                Some("5 EUR"),
            ),
            (json!({"amount": [1], "total": 5, "currency": "EUR"}), None),
            (json!({"amount": "0005", "currency": "EUR"}), None),
            (json!({"amount": "-05.5", "currency": "EUR"}), None),
            (
                json!({"amount": "0.50", "currency": "EUR"}),
                Some("0.50 EUR"),
            ),
        ] {
            assert_eq!(sum(value.clone()).as_deref(), shown, "{value}");
        }
    }
}
