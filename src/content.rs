//! The content of a request: its action and parameters in a normal form, so that the same is recognised
//! when it is asked again in other words for the same.

use std::collections::BTreeSet;

use human_oversight_protocol::parameters::sha256;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::reveal;
use crate::values::Digest;

/// The digest of an action and its parameters, which are canonical JSON. Capitals, white space, hidden
/// characters and compatibility forms (NFKC) make no difference in texts and in names of members; nor do the
/// order of members and the spelling of numbers.
pub fn digest(action: &str, parameters: &str) -> Digest {
    let parameters = serde_json::from_str(parameters).expect("canonical JSON parses");
    let content = json!({"action": fold(action), "parameters": normal_form(parameters)});
    let canonical = serde_json_canonicalizer::to_vec(&content).expect("parsed JSON can be written");
    Digest(sha256(&canonical))
}

fn normal_form(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(fold(&text)),
        Value::Array(items) => items.into_iter().map(normal_form).collect(),
        Value::Object(members) => {
            let folded: BTreeSet<String> = members.keys().map(|name| fold(name)).collect();
            // Names that fold to the same one would lose a member.
            let are_distinct = folded.len() == members.len();
            let members = members.into_iter().map(|(name, member)| {
                let name = if are_distinct { fold(&name) } else { name };
                (name, normal_form(member))
            });
            Value::Object(members.collect())
        }
        plain => plain,
    }
}

/// A text in its normal form.
fn fold(text: &str) -> String {
    let collapsed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = collapsed.chars().filter(|c| !reveal::is_hidden(*c));
    // Upper case first: some letters have several lower-case forms.
    let folded = shown
        .nfkc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect::<String>();
    // Some compatibility forms contain spaces.
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_normal_form() {
        for (text, folded) in [
            ("  Pay \t the\u{a0}invoice\n", "pay the invoice"),
            ("\u{ff10}\u{ff11} \u{fb01}ne", "01 fine"),
            ("Caf\u{e9} CAFE\u{301}", "caf\u{e9} caf\u{e9}"),
            ("Stra\u{df}e STRASSE", "strasse strasse"),
            (
                "\u{39f}\u{394}\u{39f}\u{3a3}",
                "\u{3bf}\u{3b4}\u{3bf}\u{3c3}",
            ),
            ("zero\u{200b}width \u{202e}x", "zerowidth x"),
            ("a\u{a8}b", "a \u{308}b"),
        ] {
            assert_eq!(fold(text), folded, "{text:?}");
            assert_eq!(fold(folded), folded, "{text:?}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_normal_form_and_no_member_is_lost() {
        let one = digest("Pay", r#"{"Amount":1.0,"to":["A  b",true]}"#);
        let same = digest(" pay", r#"{"TO":["a B",true],"amount":1}"#);
        assert_eq!(one, same);
        let expected = r#"{"action":"pay","parameters":{"amount":1,"to":["a b",true]}}"#;
        assert_eq!(one, Digest(sha256(expected.as_bytes())));
        for other in [
            r#"{"amount":2,"to":["a b",true]}"#,
            r#"{"amount":"1","to":["a b",true]}"#,
            r#"{"amount":1,"to":[true,"a b"]}"#,
            r#"{"amount":1,"to":["ab",true]}"#,
        ] {
            assert_ne!(digest("pay", other), one, "{other}");
        }
        assert_ne!(digest("p", r#"{"A":1,"a":2}"#), digest("p", r#"{"a":2}"#));
        assert_ne!(digest("p", r#"{"A":1,"a":2}"#), digest("p", r#"{"a":1}"#));
    }
}
