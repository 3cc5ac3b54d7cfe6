//! Parameters, and mutants that differ from them in one place.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Parameters with every JSON type, and with details that readers overlook.
pub(super) fn original() -> Value {
    json!({
        "user_id": "1",
        "email": "former-contractor@example.com",
        "display name": "Zoë Ångström-O'Neil",
        "path": "/srv/data/../data/finance.db",
        "sql": "DELETE FROM accounts WHERE last_login < '2025-01-01' AND region = 'EMEA'",
        "note": "first line\nsecond line\ttabbed",
        "empty": "",
        "amount": 1000,
        "rate": 0.1,
        "balance": -250.75,
        "zero": 0,
        "large": 900_719_925_474_099_u64,
        "dry_run": false,
        "notify": true,
        "manager": null,
        "groups": ["sales", "vpn-users", "vpn-users-eu"],
        "matrix": [[1, 2], [3, 4]],
        "nothing": [],
        "anything": {},
        "options": {
            "delete_mailbox": true,
            "retention_days": 30,
            "forward": {"to": "archive@example.com", "until": "2027-01-01", "copies": [1, "1", null]},
        },
    })
}

/// The same parameters in other spellings, which have the same canonical form (RFC 8785).
pub(super) fn respelled() -> [Value; 2] {
    [("amount", json!(1000.0)), ("zero", json!(0.0))].map(|(name, value)| {
        let mut other = original();
        other[name] = value;
        other
    })
}

/// Parameters that differ from the original in one place.
pub(super) fn mutants() -> Vec<Value> {
    let mut seen = BTreeSet::from([original().to_string()]);
    let mut mutants = differing(&original());
    mutants.retain(|mutant| mutant.is_object() && seen.insert(mutant.to_string()));
    mutants
}

/// Values that differ from this one in one place.
fn differing(value: &Value) -> Vec<Value> {
    let mut others = vec![
        Value::Null,
        json!(true),
        json!(false),
        json!([value]),
        json!({"value": value}),
        json!(value.to_string()),
    ];
    match value {
        Value::Null => others.extend([json!("null"), json!(""), json!(0), json!([]), json!({})]),
        Value::Bool(yes) => others.extend([json!(yes.to_string()), json!(u8::from(*yes))]),
        Value::Number(number) => others.extend(other_numbers(number.as_f64().unwrap())),
        Value::String(text) => others.extend(other_texts(text).map(Value::from)),
        Value::Array(items) => {
            let with = |change: &dyn Fn(&mut Vec<Value>)| {
                let mut other = items.clone();
                change(&mut other);
                Value::Array(other)
            };
            others.push(json!({}));
            others.push(with(&|other| other.push(Value::Null)));
            others.push(with(&|other| other.reverse()));
            for (at, item) in items.iter().enumerate() {
                others.push(with(&|other| drop(other.remove(at))));
                others.push(with(&|other| other.insert(at, item.clone())));
                others.push(with(&|other| other.rotate_left(at)));
                others.push(with(&|other| other.swap(at, (at + 1) % items.len())));
                let nested = differing(item).into_iter();
                others.extend(nested.map(|item| with(&|other| other[at] = item.clone())));
            }
        }
        Value::Object(members) => {
            let with = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
                let mut other = members.clone();
                change(&mut other);
                Value::Object(other)
            };
            others.push(json!([]));
            for name in ["", "force", "__proto__"] {
                others.push(with(&|other| {
                    drop(other.insert(name.to_owned(), Value::Null))
                }));
            }
            for (name, member) in members {
                others.push(with(&|other| drop(other.remove(name))));
                for renamed in other_texts(name) {
                    others.push(with(&|other| {
                        other.remove(name);
                        other.insert(renamed.clone(), member.clone());
                    }));
                }
                // The member twice, with two names that look the same.
                others.push(with(&|other| {
                    drop(other.insert(format!("{name} "), member.clone()))
                }));
                let nested = differing(member).into_iter();
                others.extend(nested.map(|member| with(&|other| other[name] = member.clone())));
            }
        }
    }
    others
}

fn other_numbers(number: f64) -> impl Iterator<Item = Value> {
    let next = |by: i64| f64::from_bits(number.to_bits().wrapping_add_signed(by));
    let near = [
        number + 1.0,
        number - 1.0,
        -number,
        number * 10.0,
        number / 10.0,
        number + 0.5,
        next(1),
        next(-1),
    ];
    let texts = [
        number.to_string(),
        format!("{number}.0"),
        format!(" {number}"),
    ];
    let near = near
        .into_iter()
        .filter(move |other| *other != number && other.is_finite());
    near.map(Value::from).chain(texts.map(Value::from))
}

/// Texts that are easily mistaken for this one, and some that are not.
fn other_texts(text: &str) -> impl Iterator<Item = String> {
    let swap = |from: &str, to: &str| text.replacen(from, to, 1);
    let mut others = vec![
        format!("{text} "),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}\u{0}"),
        // Invisible: zero width, soft hyphen, byte order mark, right to left, tag, variation.
        format!("{text}\u{200b}"),
        format!("{text}\u{ad}"),
        format!("\u{feff}{text}"),
        format!("\u{202e}{text}"),
        format!("{text}\u{e0041}"),
        format!("{text}\u{fe0f}"),
        format!("{text}{text}x"),
        text.to_uppercase(),
        text.to_lowercase(),
        text.chars().rev().collect(),
        text.chars().skip(1).collect(),
        // Look-alikes: of other scripts, of full width, of another sign or space.
        swap("a", "\u{430}"),
        swap("e", "\u{435}"),
        swap("o", "\u{43e}"),
        swap("o", "0"),
        swap("1", "l"),
        swap("1", "\u{ff11}"),
        swap("a", "\u{ff41}"),
        swap("fi", "\u{fb01}"),
        swap("s", "\u{17f}"),
        swap("-", "\u{2011}"),
        swap("-", "\u{2212}"),
        swap("'", "\u{2019}"),
        swap("/", "\u{2215}"),
        swap(".", "\u{2024}"),
        swap("@", "\u{ff20}"),
        swap(" ", "\u{a0}"),
        swap("\t", "    "),
        swap("\n", "\r\n"),
        swap("_", "__"),
        swap("/../", "/"),
        swap("/", "//"),
        swap("<", "<="),
        swap("AND", "OR"),
        // The same letters in another normalisation form.
        swap("\u{eb}", "e\u{308}"),
        swap("\u{c5}", "A\u{30a}"),
        swap("\u{c5}", "\u{212b}"),
        swap("\u{f6}", "o\u{308}"),
        // Escaped twice.
        swap("a", "\\u0061"),
        swap("/", "\\/"),
        swap(" ", "%20"),
    ];
    others.retain(|other| other != text);
    others.into_iter()
}
