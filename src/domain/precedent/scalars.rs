//! The scalars among the parameters of a request.

use std::collections::{BTreeMap, BTreeSet};

use human_oversight_protocol::strict_json::member_pointer;
use serde_json::Value;

use crate::reveal::is_secret_name;
use crate::values::Decimal;

/// The scalars among the parameters of a request, by pointer: a JSON Pointer (RFC 6901) in which `*` stands for
/// every index of a list. Values under names that suggest a secret are not among them, nor are empty lists and objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scalars {
    /// Texts, booleans and nulls, as JSON.
    pub values: BTreeMap<String, BTreeSet<String>>,
    pub numbers: BTreeMap<String, Range>,
    /// Whether something of the parameters is not among them.
    pub is_partial: bool,
}

/// The smallest and the largest number at a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub smallest: Decimal,
    pub largest: Decimal,
}

impl Scalars {
    /// The scalars of parameters.
    pub fn of(parameters: &Value) -> Self {
        let mut scalars = Self::default();
        scalars.add("", parameters);
        scalars
    }

    fn add(&mut self, pointer: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                self.is_partial |= members.is_empty();
                for (name, member) in members {
                    if is_secret_name(name) {
                        self.is_partial = true;
                        continue;
                    }
                    self.add(&member_pointer(pointer, name), member);
                }
            }
            Value::Array(items) => {
                self.is_partial |= items.is_empty();
                let pointer = format!("{pointer}/*");
                for item in items {
                    self.add(&pointer, item);
                }
            }
            Value::Number(number) => {
                let number = Decimal::parse(&number.to_string());
                let number = number.expect("a number of JSON is a decimal");
                let range = Range {
                    smallest: number.clone(),
                    largest: number,
                };
                match self.numbers.get_mut(pointer) {
                    Some(known) => known.include(range),
                    None => drop(self.numbers.insert(pointer.to_owned(), range)),
                }
            }
            scalar => {
                let values = self.values.entry(pointer.to_owned()).or_default();
                values.insert(scalar.to_string());
            }
        }
    }
}

impl Range {
    fn include(&mut self, other: Self) {
        if other.smallest < self.smallest {
            self.smallest = other.smallest;
        }
        if other.largest > self.largest {
            self.largest = other.largest;
        }
    }
}
