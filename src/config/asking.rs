//! How people are asked: how many requests can be open, budgets, content that was rejected before, and the reasons for a rejection.

use std::time::Duration;

use super::error::{ConfigError, ConfigErrors};
use super::lookup::{Lookup, number, seconds, unusable};
use crate::content::reads_the_same;
use crate::domain::{Budget, Budgets};
use crate::render::Brand;

/// The maxima of the numbers of a budget.
const MAX_EMAILS: u32 = 3_600;
const MAX_DECISIONS: u32 = 100_000;

pub(super) fn open_limit(get: &Lookup<'_>) -> Result<usize, ConfigError> {
    let limit = number(get, "HO_OPEN_LIMIT", "open requests", 1_000, 1..=10_000)?;
    Ok(limit as usize)
}

pub(super) fn budgets(get: &Lookup<'_>, errors: &mut ConfigErrors) -> Budgets {
    let mut read = |name, default: &str, what: &str, most| {
        let text = get(name);
        let budget = match text.as_deref().unwrap_or(default) {
            "off" => Ok(None),
            text => Budget::parse(text, most).map(Some).ok_or_else(|| {
                let form = format!(
                    "it must be `BURST/HOUR`, {what} at once and {what} per hour from 1 to {most}, or `off`"
                );
                unusable(name, &form)
            }),
        };
        errors.or(budget, None)
    };
    Budgets {
        recipient: read("HO_MAIL_BUDGET", "25/60", "emails", MAX_EMAILS),
        owner: read("HO_OWNER_BUDGET", "200/1200", "emails", MAX_EMAILS),
        policy: read("HO_POLICY_BUDGET", "2000/20000", "decisions", MAX_DECISIONS),
    }
}

pub(super) fn reask_after(get: &Lookup<'_>) -> Result<Option<Duration>, ConfigError> {
    const NAME: &str = "HO_REASK_AFTER";
    if get(NAME).as_deref() == Some("off") {
        return Ok(None);
    }
    let time = seconds(get, NAME, 86_400, 0..=2_592_000).map_err(|_| {
        unusable(
            NAME,
            "it must be a whole number of seconds from 0 to 2592000, or `off`",
        )
    })?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}

/// The most reasons, and the longest one in characters.
const MAX_REASONS: usize = 10;
const REASON_CHARS: usize = 80;

/// The reasons that the page offers where the operator names none.
const DEFAULT_REASONS: &str = "Not needed; The details are wrong; Too risky; Talk to me first";

/// The reasons for a rejection, in their order.
pub(super) fn reject_reasons(get: &Lookup<'_>) -> Result<Vec<String>, ConfigError> {
    const NAME: &str = "HO_REJECT_REASONS";
    let text = get(NAME).unwrap_or_else(|| DEFAULT_REASONS.to_owned());
    if text == "off" {
        return Ok(Vec::new());
    }
    parse_reasons(&text).map_err(|fault| {
        let rule = format!(
            "{fault}; it must be 1 to {MAX_REASONS} different reasons, separated by `;`, each of at most \
             {REASON_CHARS} characters, or `off`"
        );
        unusable(NAME, &rule)
    })
}

/// The reasons of a list. A `;` or a line's end after the last one begins no further reason.
fn parse_reasons(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim();
    let text = text.strip_suffix(';').unwrap_or(text);
    let mut reasons: Vec<String> = Vec::new();
    for (number, reason) in (1..).zip(text.split([';', '\n']).map(str::trim)) {
        if reason.is_empty() {
            return Err(format!("reason {number} is empty"));
        }
        if number > MAX_REASONS {
            return Err(format!("it has more than {MAX_REASONS} reasons"));
        }
        let length = reason.chars().count();
        if length > REASON_CHARS {
            return Err(format!("reason {number} has {length} characters"));
        }
        let reason = Brand::parse_line(reason, REASON_CHARS)
            .map_err(|_| {
                format!(
                    "reason {number} has characters that do not show, or `=?`, or several spaces in a row"
                )
            })?;
        let same = reasons.iter().position(|it| reads_the_same(it, &reason));
        if let Some(other) = same {
            return Err(format!("reasons {} and {number} are the same", other + 1));
        }
        reasons.push(reason);
    }
    Ok(reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let get = |name: &str| (name == "HO_REJECT_REASONS").then(|| text.to_owned());
        reject_reasons(&get).map_err(|error| error.to_string())
    }

    #[test]
    fn reasons_are_a_list_with_or_without_an_end() {
        assert_eq!(read("off").unwrap(), [""; 0]);
        for text in [
            "Too dear; Wrong shop",
            "Too dear;Wrong shop;",
            "\nToo dear\nWrong shop\n",
        ] {
            assert_eq!(read(text).unwrap(), ["Too dear", "Wrong shop"], "{text:?}");
        }
        let ten: Vec<String> = (0..10)
            .map(|it| format!("{it}{}", "é".repeat(79)))
            .collect();
        assert_eq!(read(&ten.join("; ")).unwrap(), ten);
        assert_eq!(read(DEFAULT_REASONS).unwrap().len(), 4);
    }

    #[test]
    fn the_error_of_a_bad_list_names_the_reason_and_the_limit_and_repeats_no_value() {
        let eleven: Vec<String> = (0..11).map(|it| format!("secret{it}")).collect();
        for (text, fault) in [
            (";", "reason 1 is empty"),
            ("secret;;other", "reason 2 is empty"),
            ("secret;other;;", "reason 3 is empty"),
            (&eleven.join(";"), "more than 10 reasons"),
            (
                &format!("a;secret{}", "x".repeat(75)),
                "reason 2 has 81 characters",
            ),
            ("secret;other;secret", "reasons 1 and 3 are the same"),
            ("secret; SECRET ", "reasons 1 and 2 are the same"),
            (
                "other;se\u{202e}cret",
                "reason 2 has characters that do not show",
            ),
            ("too  secret", "several spaces in a row"),
            ("se\tcret", "reason 1 has characters that do not show"),
            (
                "=?utf-8?q?secret?=",
                "reason 1 has characters that do not show, or `=?`",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(fault), "{text:?}: {error}");
            assert!(error.contains("HO_REJECT_REASONS"), "{error}");
            assert!(error.contains("1 to 10 different reasons"), "{error}");
            assert!(!error.to_lowercase().contains("secret"), "{error}");
        }
    }
}
