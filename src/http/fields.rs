//! Reads the members of a JSON body.

use std::ops::RangeInclusive;

use human_oversight_protocol::strict_json::member_pointer;
use human_oversight_protocol::text::breaks_line;
use human_oversight_protocol::types::FieldError;
use serde_json::{Map, Value};

use super::error::Error;
use crate::reveal;
use crate::values::is_plain_name;

const SECRET_CHARS: usize = 256;
const NONCE_CHARS: RangeInclusive<usize> = 16..=64;

/// The number of unknown members that an error names, and the characters of such a name, and the digits among them.
const NAMED_MEMBERS: usize = 20;
const MEMBER_NAME_CHARS: usize = 40;
const MEMBER_NAME_DIGITS: usize = 4;

/// The members of a body. Errors are collected, so that one response lists all of them.
pub(super) struct Fields {
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

/// The characters that a text may contain.
#[derive(Clone, Copy)]
pub(super) enum Text {
    /// One line: no control characters, and no bidirectional controls.
    Line,
    /// Several lines: no control characters except line ends and tabs.
    Prose,
}

impl Fields {
    pub(super) fn new(members: Map<String, Value>) -> Self {
        Self {
            members,
            errors: Vec::new(),
        }
    }

    pub(super) fn add_error(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
    }

    /// An optional member; `null` counts as absent.
    pub(super) fn optional(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.members.remove(name);
        if value.is_none() {
            self.add_error(format!("/{name}"), "is missing");
        }
        value
    }

    pub(super) fn required_text(
        &mut self,
        name: &str,
        kind: Text,
        longest: usize,
    ) -> Option<String> {
        let value = self.required(name)?;
        self.text(name, value, kind, 1, longest)
    }

    pub(super) fn optional_text(
        &mut self,
        name: &str,
        kind: Text,
        longest: usize,
    ) -> Option<String> {
        let value = self.optional(name)?;
        self.text(name, value, kind, 0, longest)
            .filter(|text| !text.is_empty())
    }

    fn text(
        &mut self,
        name: &str,
        value: Value,
        kind: Text,
        shortest: usize,
        longest: usize,
    ) -> Option<String> {
        let pointer = format!("/{name}");
        let Value::String(text) = value else {
            self.add_error(pointer, "must be a string");
            return None;
        };
        let length = text.chars().count();
        if length < shortest || length > longest || (shortest > 0 && text.trim().is_empty()) {
            self.add_error(
                pointer,
                format!("must have {shortest} to {longest} characters"),
            );
            return None;
        }
        let is_forbidden = |c: char| match kind {
            Text::Line => breaks_line(c),
            Text::Prose => c.is_control() && !matches!(c, '\n' | '\r' | '\t'),
        };
        if text.contains(is_forbidden) {
            let detail = match kind {
                Text::Line => "must be one line without control characters",
                Text::Prose => "must not have control characters other than line ends and tabs",
            };
            self.add_error(pointer, detail);
            return None;
        }
        Some(text)
    }

    /// The claimant's secret, for a request that has its digest.
    pub(super) fn secret(&mut self) -> Option<String> {
        match self.optional("secret")? {
            Value::String(secret) if secret.chars().count() <= SECRET_CHARS => Some(secret),
            _ => {
                let limit = format!("must be a string of at most {SECRET_CHARS} characters");
                self.add_error("/secret", limit);
                None
            }
        }
    }

    /// The nonce of a claim.
    pub(super) fn nonce(&mut self, value: Value) -> Option<String> {
        let (least, most) = (NONCE_CHARS.start(), NONCE_CHARS.end());
        match value {
            Value::String(nonce) if nonce.len() >= *least && is_plain_name(&nonce, *most) => {
                Some(nonce)
            }
            _ => {
                let limit = format!("must have {least} to {most} characters of [A-Za-z0-9._-]");
                self.add_error("/nonce", limit);
                None
            }
        }
    }

    /// # Errors
    /// When a member is invalid or unknown.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let names: Vec<String> = self.members.keys().cloned().collect();
        for name in names.iter().take(NAMED_MEMBERS) {
            match unknown_member(name) {
                Some(pointer) => self.add_error(pointer, "is unknown here"),
                None => self.add_error("", "has an unknown member"),
            }
        }
        if let Some(more) = names.len().checked_sub(NAMED_MEMBERS + 1) {
            self.add_error("", format!("has {} more unknown members", more + 1));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.errors))
        }
    }
}

/// The JSON pointer (RFC 6901) to an unknown member, if its name is one that a programmer would give it; what
/// else a caller sends, such as a code or a key in the wrong place, is not repeated.
fn unknown_member(name: &str) -> Option<String> {
    let is_usual = |c: char| c.is_alphanumeric() || " _-.$@:/~".contains(c);
    let digits = name.chars().filter(|c| c.is_numeric()).count();
    let is_named = !name.is_empty()
        && name.chars().count() <= MEMBER_NAME_CHARS
        && digits <= MEMBER_NAME_DIGITS
        && name.chars().all(is_usual)
        && reveal::is_plain(name);
    is_named.then(|| member_pointer("", name))
}
