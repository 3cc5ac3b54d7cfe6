//! The id of a request.

use std::hash::{Hash, Hasher};

use serde_json::Value;
use serde_json::value::RawValue;

/// The id of a request: a string or a number, as JSON. Ids that a client or a server may take for each other, as `1`, `1.0`
/// and `"1"`, are one.
#[derive(Clone, Debug)]
pub(crate) struct Id(String);

impl Id {
    pub(crate) fn read(raw: &RawValue) -> Option<Self> {
        match serde_json::from_str(raw.get()).ok()? {
            // As JSON, in one spelling.
            id @ Value::String(_) => Some(Self(id.to_string())),
            Value::Number(_) => Some(Self(raw.get().to_owned())),
            _ => None,
        }
    }

    /// An id of the proxy's own. `prefix` is one that no client can guess.
    pub(crate) fn own(prefix: &str, number: u64) -> Self {
        Self(format!("\"held-{prefix}-{number}\""))
    }

    /// The proxy's own ids that these bytes contain; one whose number cannot be read has none that is used.
    pub(crate) fn find_own(prefix: &str, bytes: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut parts = text.split(prefix);
        parts.next();
        let number = |part: &str| {
            let digits = part.strip_prefix('-')?;
            let end = digits.find(|c: char| !c.is_ascii_digit());
            digits[..end.unwrap_or(digits.len())].parse().ok()
        };
        let numbers = parts.map(|part| number(part).unwrap_or_default());
        numbers.map(|number| Self::own(prefix, number)).collect()
    }

    /// Whether it is one of the proxy's own, whatever its number.
    pub(crate) fn is_own(&self, prefix: &str) -> bool {
        self.0.starts_with(&format!("\"held-{prefix}-"))
    }

    /// As JSON.
    pub(crate) fn as_json(&self) -> &str {
        &self.0
    }

    /// What such ids have in common.
    fn bare(&self) -> &str {
        let text = self.0.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let text = text.unwrap_or(&self.0);
        let whole = text.strip_suffix(".0");
        whole
            .filter(|it| it.parse::<i128>().is_ok())
            .unwrap_or(text)
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.bare() == other.bare()
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bare().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_may_be_taken_for_each_other_are_one() {
        let id = |json: &str| Id::read(&RawValue::from_string(json.to_owned()).unwrap());
        for same in ["1.0", r#""1""#, r#""1.0""#, r#""\u0031""#] {
            assert_eq!(id(same), id("1"), "{same}");
        }
        for other in [
            "10", "1.00", "1e0", r#"" 1""#, r#""01""#, r#""0x1""#, r#""\"1""#, "-1",
        ] {
            assert_ne!(id(other), id("1"), "{other}");
        }
        assert_ne!(id(r#""a.0""#), id(r#""a""#));
        for none in ["null", "true", "[1]", "{}"] {
            assert!(id(none).is_none(), "{none}");
        }
    }
}
