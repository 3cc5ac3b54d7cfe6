//! Reads the comparisons of a condition.

use toml::de::DeValue;

use super::condition::{Condition, Relation, Scalar};
use super::reader::{Members, Node};
use super::text::{Expression, Phrase};
use crate::values::Decimal;

/// The most characters of a text that values are compared with.
const TEXT_CHARS: usize = 1_000;

pub(super) fn read_conditions(table: &mut Members<'_>) -> Vec<Condition> {
    let mut found = 0;
    let mut conditions = Vec::new();
    let mut read =
        |table: &mut Members<'_>, name, read: &dyn Fn(&Node<'_>) -> Option<Condition>| {
            if let Some(node) = table.take(name) {
                found += 1;
                conditions.extend(read(&node));
            }
        };
    let one = |node: &Node<'_>| read_scalar(node).map(|value| vec![value]);
    read(table, "is", &|node| one(node).map(Condition::OneOf));
    read(table, "is_not", &|node| one(node).map(Condition::NoneOf));
    read(table, "one_of", &|node| {
        read_list(node).map(Condition::OneOf)
    });
    read(table, "none_of", &|node| {
        read_list(node).map(Condition::NoneOf)
    });
    for (name, relation) in [
        ("less_than", Relation::LessThan),
        ("at_most", Relation::AtMost),
        ("at_least", Relation::AtLeast),
        ("more_than", Relation::MoreThan),
    ] {
        read(table, name, &|node| match read_scalar(node)? {
            Scalar::Number(number) => Some(Condition::Number(relation, number)),
            _ => {
                node.fault("must be a number");
                None
            }
        });
    }
    read(table, "exists", &|node| {
        node.boolean().map(Condition::Exists)
    });
    read(table, "starts_with", &|node| {
        let text = node.text(TEXT_CHARS)?;
        Some(Condition::StartsWith(Phrase::new(text)))
    });
    read(
        table,
        "matches",
        &|node| match Expression::new(node.text(TEXT_CHARS)?) {
            Ok(expression) => Some(Condition::Matches(expression)),
            Err(why) => {
                node.fault(why);
                None
            }
        },
    );
    if found == 0 {
        table.fault("compares nothing: it needs `is`, `more_than`, `exists` or another comparison");
    }
    conditions
}

/// Values of one type.
fn read_list(node: &Node<'_>) -> Option<Vec<Scalar>> {
    let mut values: Vec<Scalar> = Vec::new();
    for item in node.list()? {
        let Some(value) = read_scalar(&item) else {
            continue;
        };
        if let Some(first) = values.first()
            && std::mem::discriminant(first) != std::mem::discriminant(&value)
        {
            item.fault("is of another type than the first");
        }
        if values.contains(&value) {
            item.fault("repeats another item");
        }
        values.push(value);
    }
    (!values.is_empty()).then_some(values)
}

fn read_scalar(node: &Node<'_>) -> Option<Scalar> {
    let number = |text: &str| {
        let text = text.strip_prefix('+').unwrap_or(text);
        Decimal::parse(&text.replace('_', ""))
    };
    let number = match node.value() {
        DeValue::Boolean(value) => return Some(Scalar::Boolean(*value)),
        DeValue::String(_) => {
            let text = node.text(TEXT_CHARS)?;
            return Some(Scalar::Text(Phrase::new(text)));
        }
        DeValue::Integer(digits) if digits.radix() == 10 => number(digits.as_str()),
        DeValue::Float(digits) => number(digits.as_str()),
        _ => None,
    };
    if number.is_none() {
        node.fault("must be a text in quotes, true, false or a decimal number");
    }
    number.map(Scalar::Number)
}
