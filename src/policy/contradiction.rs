//! Conditions that no request can meet together.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::condition::{Condition, Relation};
use super::pointer::Pointer;
use super::rule::Clause;
use super::truth::Truth;
use crate::values::Decimal;

/// A pointer at which no value can meet all conditions for certain, if there is one.
pub(super) fn contradiction<'a>(clauses: &[&'a Clause]) -> Option<&'a Pointer> {
    let mut at: BTreeMap<&Pointer, Vec<&Condition>> = BTreeMap::new();
    for clause in clauses {
        at.entry(&clause.pointer)
            .or_default()
            .push(&clause.condition);
    }
    let is_absent = |conditions: &[&Condition]| conditions.contains(&&Condition::Exists(false));
    let conflict = |(pointer, conditions): (&&'a Pointer, &Vec<&Condition>)| {
        let is_needed = conditions.iter().any(|it| **it != Condition::Exists(false));
        // What lies around something that is there is there too, and is no text or number.
        let around = at.iter().filter(|(other, _)| {
            other.as_str() != pointer.as_str() && other.covers(pointer.tokens())
        });
        let is_torn = is_needed
            && around.into_iter().any(|(_, conditions)| {
                is_absent(conditions)
                    || conditions
                        .iter()
                        .any(|it| !matches!(it, Condition::Exists(_)))
            });
        (is_torn || !can_meet(conditions)).then_some(*pointer)
    };
    at.iter().find_map(conflict)
}

/// A pointer at which no text can meet all conditions for certain, if there is one: two beginnings, or a beginning and a
/// comparison with a number that no number has.
pub(super) fn torn_text<'a>(clauses: &[&'a Clause]) -> Option<&'a Pointer> {
    let begins_number = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let is_torn = |(one, other): (&Condition, &Condition)| match (one, other) {
        (Condition::StartsWith(one), Condition::StartsWith(other)) => {
            !one.written.starts_with(&other.written) && !other.written.starts_with(&one.written)
        }
        (Condition::StartsWith(phrase), Condition::Number(..)) => !begins_number(&phrase.written),
        _ => false,
    };
    clauses.iter().find_map(|one| {
        let others = clauses.iter().filter(|other| other.pointer == one.pointer);
        let mut pairs = others.map(|other| (&one.condition, &other.condition));
        pairs.any(is_torn).then_some(&one.pointer)
    })
}

fn can_meet(conditions: &[&Condition]) -> bool {
    let exists = |wanted| conditions.contains(&&Condition::Exists(wanted));
    if exists(false) {
        return conditions.iter().all(|it| **it == Condition::Exists(false));
    }
    let listed = conditions.iter().find_map(|condition| match condition {
        Condition::OneOf(values) => Some(values),
        _ => None,
    });
    match listed {
        Some(values) => values.iter().any(|value| {
            let subject = value.as_subject();
            let holds = |condition: &&Condition| condition.judge(&subject) == Truth::True;
            conditions.iter().all(holds)
        }),
        None => Range::of(conditions).can_hold(conditions),
    }
}

/// The numbers between two bounds, each with whether it is one of them.
#[derive(Default)]
struct Range<'a> {
    least: Option<(&'a Decimal, bool)>,
    most: Option<(&'a Decimal, bool)>,
}

impl<'a> Range<'a> {
    fn of(conditions: &[&'a Condition]) -> Self {
        let mut range = Self::default();
        for condition in conditions {
            let Condition::Number(relation, number) = condition else {
                continue;
            };
            let is_within = matches!(relation, Relation::AtLeast | Relation::AtMost);
            let (bound, tighter) = match relation {
                Relation::AtLeast | Relation::MoreThan => (&mut range.least, Ordering::Greater),
                Relation::AtMost | Relation::LessThan => (&mut range.most, Ordering::Less),
            };
            let replaces = bound.is_none_or(|(other, _)| {
                let order = number.cmp(other);
                order == tighter || (order == Ordering::Equal && !is_within)
            });
            if replaces {
                *bound = Some((number, is_within));
            }
        }
        range
    }

    fn can_hold(&self, conditions: &[&Condition]) -> bool {
        let (Some((least, with_least)), Some((most, with_most))) = (self.least, self.most) else {
            return true;
        };
        match least.cmp(most) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => {
                let only = super::subject::Subject::Number(least.clone());
                let holds = |condition: &&Condition| condition.judge(&only) != Truth::False;
                with_least && with_most && conditions.iter().all(holds)
            }
        }
    }
}
