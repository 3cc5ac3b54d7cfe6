//! What tells a text of an agent's from the gate's own words and from values of other kinds: quotes around the one,
//! parentheses around the other.

use serde::de::IgnoredAny;

/// Words of the gate's own in plain text: they stand in parentheses, and what an agent writes so stands in quotes.
pub(super) fn label(words: &str) -> String {
    format!("({words})")
}

/// Whether a name could be read as words of the gate's, or as one in quotes.
pub(super) fn is_like_label(name: &str) -> bool {
    name.starts_with(['"', '«']) || name.starts_with('(') && name.ends_with(')')
}

/// Whether a text could be read as a value of another kind, as words of the gate's, or as one in quotes.
pub(super) fn needs_quotes(value: &str) -> bool {
    let value = value.trim();
    let is_like_label = value.starts_with('(') && value.ends_with(')');
    is_like_label
        || value.starts_with(['"', '«', '≪', '⟪', '《', '‹'])
        || serde_json::from_str::<IgnoredAny>(value).is_ok()
}

/// A text as `shown`, which may be a part of it, in quotes if it needs them.
pub(super) fn quoted(value: &str, shown: String) -> String {
    if needs_quotes(value) {
        format!("\"{shown}\"")
    } else {
        shown
    }
}
