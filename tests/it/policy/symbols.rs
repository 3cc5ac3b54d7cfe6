//! Symbols that resemble letters.

use std::collections::BTreeMap;

use human_oversight::reveal::{is_confusable, is_hidden};
use unicode_security::skeleton;

use super::texts::action_matches;

/// Each character that Unicode calls confusable with letters or digits of ASCII, with those.
fn look_alikes() -> impl Iterator<Item = (char, String)> {
    ('\u{80}'..=char::MAX).filter_map(|c| {
        let like: String = skeleton(&c.to_string()).collect();
        let is_like = !like.is_empty() && like.chars().all(|c| c.is_ascii_alphanumeric());
        is_like.then_some((c, like))
    })
}

#[test]
fn no_look_alike_of_a_letter_evades_a_rule() {
    let mut tried = 0;
    let mut evaded = Vec::new();
    for (c, like) in look_alikes() {
        for (before, after) in [("De", "ete"), ("", "ive"), ("ab", ""), ("1", "0"), ("", "")] {
            let (pattern, action) = (
                format!("{before}{like}{after} *"),
                format!("{before}{c}{after} x"),
            );
            if action_matches(&pattern, &action) != "unknown" {
                evaded.push(action);
            }
            tried += 1;
        }
        // Within a word, whatever the rule names.
        let action = format!("Read De{c}ete");
        if action_matches("Read *", &action) != "unknown" {
            evaded.push(action);
        }
    }
    assert!(tried > 5_000, "{tried}");
    assert!(evaded.is_empty(), "{} {evaded:?}", evaded.len());
}

#[test]
fn symbols_that_look_like_letters_are_unknown() {
    for (pattern, action) in [
        ("Delete *", "De\u{2223}ete x"),
        ("Delete *", "De\u{2502}ete x"),
        ("Delete *", "De\u{964}ete x"),
        ("Delete *", "De\u{10a3f}lete x"),
        ("Delete *", "Delete\u{10a3f} x"),
        ("Scale to 3x4", "Scale to 3\u{d7}4"),
        ("Install *", "\u{a1}nstall x"),
        ("Stop prod-eu", "Stop prod\u{2013}eu"),
        ("Stop prod-eu", "Stop prod\u{2012}eu"),
        ("Stop Ann's *", "Stop Ann\u{2019}s host"),
        ("Say \"prod\"", "Say \u{201c}prod\u{201d}"),
    ] {
        assert_eq!(action_matches(pattern, action), "unknown", "{action}");
    }
}

#[test]
fn ordinary_symbols_have_an_answer() {
    for text in [
        "3 × 4",
        "3×4 cm",
        "M6×30",
        "1920×1080",
        "a – b, Mon–Fri, pages 3–5",
        "price in ℮",
        "500 g ℮",
        "¡Hola! ¿Qué tal?",
        "यह एक परीक्षण है। संख्या 2024।",
        "№ 5",
        "№5",
        "5㎏",
        "│ a │ b │",
        "∞",
        "A ∪ B",
        "col·lecció",
        "Ann’s “host”",
        "Brand™ 20 °C",
    ] {
        assert_eq!(action_matches("Delete *", text), "no", "{text}");
        assert_eq!(action_matches(text, text), "yes", "{text}");
    }
}

/// Ordinary words of 67 languages, which are confusable only where their letters are.
#[test]
fn no_punctuation_of_a_language_is_a_letter() {
    let texts = include_str!("../../texts/declaration.json");
    let texts: BTreeMap<String, String> = serde_json::from_str(texts).unwrap();
    let mut words = 0;
    for word in texts.values().flat_map(|text| text.split_whitespace()) {
        // This hyphen resembles that of ASCII.
        let is_judged = |c: &char| c.is_alphanumeric() || *c == '\u{2010}' || is_hidden(*c);
        let letters: String = word.chars().filter(is_judged).collect();
        assert!(!is_confusable(word) || is_confusable(&letters), "{word}");
        words += 1;
    }
    assert!(words > 1_000, "{words}");
}
