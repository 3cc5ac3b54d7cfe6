//! What of a request is compared with earlier ones: the scalars among its parameters, and what they cannot tell.

use std::collections::{BTreeMap, BTreeSet};

use human_oversight_protocol::strict_json::member_pointer;
use serde_json::Value;

use crate::domain::request::Request;
use crate::reveal::is_secret;
use crate::values::Decimal;

/// The scalars among the parameters of a request, by pointer: a JSON Pointer (RFC 6901) in which `*` stands for
/// every index of a list. Values under names that suggest a secret are not among them, nor are empty lists and objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scalars {
    /// Texts, booleans and nulls, as JSON.
    pub values: BTreeMap<String, BTreeSet<String>>,
    pub numbers: BTreeMap<String, Range>,
    /// How many items the lists have.
    pub lengths: BTreeMap<String, Range>,
    /// The pointers of the values under names that suggest a secret.
    pub secrets: BTreeSet<String>,
    /// The person on whose behalf the agent acts.
    pub on_behalf_of: Option<String>,
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
    /// Those of a request.
    pub fn of_request(request: &Request) -> Self {
        let parameters = serde_json::from_str(&request.parameters.json);
        Self {
            on_behalf_of: request.on_behalf_of.as_ref().map(ToString::to_string),
            ..Self::of(&parameters.expect("canonical JSON parses"))
        }
    }

    /// Those of parameters alone.
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
                    let pointer = member_pointer(pointer, name);
                    if is_secret(name, member) {
                        self.is_partial = true;
                        self.secrets.insert(pointer);
                    } else {
                        self.add(&pointer, member);
                    }
                }
            }
            Value::Array(items) => {
                self.is_partial |= items.is_empty();
                include(&mut self.lengths, pointer, &items.len().to_string());
                let pointer = format!("{pointer}/*");
                for item in items {
                    self.add(&pointer, item);
                }
            }
            Value::Number(number) => include(&mut self.numbers, pointer, &number.to_string()),
            scalar => {
                let values = self.values.entry(pointer.to_owned()).or_default();
                values.insert(scalar.to_string());
            }
        }
    }

    /// The person on whose behalf the agent acts as JSON, `null` without one.
    pub fn person(&self) -> String {
        Value::from(self.on_behalf_of.as_deref()).to_string()
    }
}

/// Widens the range at a pointer by a number of JSON.
fn include(ranges: &mut BTreeMap<String, Range>, pointer: &str, number: &str) {
    let number = Decimal::parse(number).expect("a number of JSON is a decimal");
    let range = Range {
        smallest: number.clone(),
        largest: number,
    };
    match ranges.get_mut(pointer) {
        Some(known) => known.include(range),
        None => drop(ranges.insert(pointer.to_owned(), range)),
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
