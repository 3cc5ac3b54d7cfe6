//! The content of a request: its action and parameters in a form in which what reads alike is alike, so that it
//! is recognised when it is asked again with changes that mean nothing.

use std::borrow::Cow;
use std::sync::LazyLock;

use human_oversight_protocol::parameters::sha256;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_security::skeleton;

use crate::reveal;
use crate::values::Digest;

/// The most significant digits with which every number is itself as a double.
const EXACT_DIGITS: usize = 15;

/// The digest of an action and its parameters, which are canonical JSON. What is alike:
///
/// - texts with the same letters and digits, whatever their capitals, punctuation and white space; confusable
///   characters (UTS 39), compatibility forms (NFKC) and the digits of other scripts count as what they resemble;
/// - a number, and the same number in a text;
/// - lists and objects with the same items in another order, or with members that are null or empty.
pub fn digest(action: &str, parameters: &str) -> Digest {
    let parameters = serde_json::from_str(parameters).expect("canonical JSON parses");
    let content = json!({"action": text(action), "parameters": normal_form(&parameters)});
    // Of texts alone, under ASCII names in order, this is canonical JSON.
    let canonical = serde_json::to_vec(&content).expect("parsed JSON can be written");
    Digest(sha256(&canonical))
}

/// The normal form of an action, in which what is alike for [`digest`] is the same.
pub fn action(action: &str) -> String {
    text(action)
}

/// Whether a reader takes two texts for the same.
pub fn reads_the_same(one: &str, other: &str) -> bool {
    look(one) == look(other)
}

/// `None` for what is null or empty.
fn normal_form(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(string) => Some(text(string))
            .filter(|it| !it.is_empty())
            .map(Value::from),
        Value::Array(items) => {
            let items: Vec<Value> = items.iter().filter_map(normal_form).collect();
            sorted(items).map(Value::from)
        }
        Value::Object(members) => {
            let members = members
                .iter()
                .filter_map(|(name, member)| Some(json!([text(name), normal_form(member)?])));
            // Names can be alike, so the members are a list.
            let mut members = sorted(members.collect())?;
            members.dedup();
            Some(json!({"members": members}))
        }
        scalar => Some(Value::from(text(&scalar.to_string()))),
    }
}

fn sorted(mut items: Vec<Value>) -> Option<Vec<Value>> {
    items.sort_by_cached_key(Value::to_string);
    (!items.is_empty()).then_some(items)
}

/// A text as the number that it is, or as its letters and digits, or, if it has none, as its signs.
fn text(text: &str) -> String {
    let shown = shown(text);
    number(shown.trim()).unwrap_or_else(|| {
        let look = look_of_shown(&shown);
        let letters: String = look.chars().filter(|c| c.is_alphanumeric()).collect();
        if letters.is_empty() { look } else { letters }
    })
}

fn number(text: &str) -> Option<String> {
    let value: f64 = text.parse().ok()?;
    let mantissa = text.split(['e', 'E']).next()?;
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let is_exact = value.is_finite() && digits.trim_matches('0').len() <= EXACT_DIGITS;
    is_exact.then(|| serde_json_canonicalizer::to_string(&value).expect("a number can be written"))
}

/// A text with everything that reads alike in one form, and one space between words.
fn look(text: &str) -> String {
    look_of_shown(&shown(text))
}

fn look_of_shown(shown: &str) -> String {
    let mut look = String::with_capacity(shown.len());
    for (n, word) in shown.split_whitespace().enumerate() {
        if n > 0 {
            look.push(' ');
        }
        if word.is_ascii() {
            look.extend(
                word.bytes()
                    .map(|byte| LOOKS_OF_ASCII[usize::from(byte)].as_str()),
            );
        } else {
            look.push_str(&look_of_word(word));
        }
    }
    look
}

/// What each ASCII character reads like, by its number. In a word of them, none changes what another reads like.
static LOOKS_OF_ASCII: LazyLock<[String; 128]> =
    LazyLock::new(|| std::array::from_fn(|n| look_of_word(&char::from(n as u8).to_string())));

fn look_of_word(word: &str) -> String {
    // In other scripts, capitals resemble more Latin letters. A letter among Latin ones is meant to be taken for
    // one of them in the case that it has.
    let is_latin = word.contains(|c: char| c.is_ascii_alphabetic());
    let word = if is_latin {
        word.to_owned()
    } else {
        word.to_uppercase()
    };
    let alike: String = skeleton(&word).collect();
    // Upper case first: some letters have several lower-case forms.
    let folded = alike.to_uppercase().to_lowercase();
    let alike = skeleton(&folded).flat_map(char::to_lowercase);
    // The skeleton takes `I` for `l`, so that `i` must be too.
    alike.map(|c| if c == 'i' { 'l' } else { c }).collect()
}

/// A text in compatibility form with ASCII digits, without what does not show.
fn shown(text: &str) -> Cow<'_, str> {
    let is_shown = |c: &char| c.is_whitespace() || !reveal::is_hidden(*c);
    if text.is_ascii() {
        if text.chars().all(|c| is_shown(&c)) {
            return text.into();
        }
        return text.chars().filter(is_shown).collect();
    }
    text.nfkc()
        .filter(is_shown)
        .map(|c| digit(c).unwrap_or(c))
        .collect()
}

/// The ASCII digit with the value of a digit of another script. Unicode has the digits of each script in a row,
/// from zero to nine.
fn digit(c: char) -> Option<char> {
    let is_digit = |c: char| c.general_category() == GeneralCategory::DecimalNumber;
    if c.is_ascii() || !is_digit(c) {
        return None;
    }
    let row = (0..u32::from(c))
        .rev()
        .map_while(char::from_u32)
        .take_while(|c| is_digit(*c));
    char::from_digit((row.count() % 10) as u32, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_read_alike_have_one_form() {
        for alike in [
            [
                "  Pay \t the\u{a0}invoice\n",
                "pay the INVOICE.",
                "Pay-the-invoice",
            ],
            ["\u{ff10}\u{ff11} \u{fb01}ne", "01 fine", "Ol fine"],
            ["Caf\u{e9}", "CAFE\u{301}", "caf\u{435}\u{301}"],
            ["Stra\u{df}e", "STRASSE", "strasse!"],
            [
                "\u{39f}\u{394}\u{39f}\u{3a3}",
                "\u{3bf}\u{3b4}\u{3bf}\u{3c2}",
                "\u{3bf}\u{3b4}\u{3bf}\u{3c3}",
            ],
            [
                "zero\u{200b}width \u{202e}x",
                "zerowidth x",
                "z\u{435}rowidth\u{2800} x",
            ],
            [
                "\u{41c}\u{43e}\u{441}\u{43a}\u{432}\u{430}",
                "\u{41c}\u{41e}\u{421}\u{41a}\u{412}\u{410}",
                "\u{43c}\u{43e}\u{441}\u{43a}\u{432}\u{430}.",
            ],
            ["Invoice", "lnvoice", "in\u{3bd}oice"],
            ["paypal", "PAYPAI", "p\u{430}yp\u{430}1"],
            ["1000", "1000.0", " +1e3 "],
            [
                "\u{661}\u{660}\u{660}",
                "\u{967}\u{966}\u{966}",
                "\u{1d7cf}00",
            ],
            ["-0", "0.00", "0"],
            ["true", "TRUE", "true."],
        ] {
            let forms = alike.map(text);
            assert!(
                forms.iter().all(|it| *it == forms[0]),
                "{alike:?}: {forms:?}"
            );
        }
        for [one, other] in [
            ["Pay", "Play"],
            ["-5", "5"],
            ["1.5", "15"],
            ["+", "-"],
            ["a1", "a2"],
            ["12345678901234567890", "12345678901234567891"],
        ] {
            assert_ne!(text(one), text(other));
        }
    }

    #[test]
    fn ascii_characters_do_not_change_what_their_neighbours_read_like() {
        let ascii = || (0..128).map(char::from);
        for pair in ascii().flat_map(|one| ascii().map(move |other| [one, other])) {
            let each = pair.map(|c| look_of_word(&c.to_string()));
            assert_eq!(
                look_of_word(&String::from_iter(pair)),
                each.concat(),
                "{pair:?}"
            );
        }
    }

    #[test]
    fn what_means_the_same_has_one_digest() {
        let one = digest("Pay", r#"{"Amount":1.0,"to":["A  b",true]}"#);
        for same in [
            r#"{"TO":["a B",true],"amount":1}"#,
            r#"{"amount":"1","to":["a b","true"]}"#,
            r#"{"amount":1,"to":[true,"a b"]}"#,
            r#"{"amount":1,"to":["ab",true,null,""],"x":{"y":[{}]}}"#,
            r#"{"Amount":1,"amount":1,"to":["a b",true]}"#,
        ] {
            assert_eq!(digest(" pay.", same), one, "{same}");
        }
        for other in [
            r#"{"amount":2,"to":["a b",true]}"#,
            r#"{"amount":1,"to":["a b"]}"#,
            r#"{"amount":1,"to":["a b",true,true]}"#,
            r#"{"amount":1,"to":{"a b":true}}"#,
            r#"{"amount":1,"to":["a b",true],"x":0}"#,
        ] {
            assert_ne!(digest("pay", other), one, "{other}");
        }
        assert_ne!(digest("p", r#"{"A":1,"a":2}"#), digest("p", r#"{"a":2}"#));
        assert_ne!(digest("p", r#"{"A":1,"a":2}"#), digest("p", r#"{"a":1}"#));
    }
}
