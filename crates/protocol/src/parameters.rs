//! The exact arguments of an action: their canonical form and its digest.
//!
//! What a person approved is named by the SHA-256 of the canonical JSON (RFC 8785) of the
//! parameters. The gate computes it from what it shows, the client from what it is about to run.

mod exact;

use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Map, Value};

/// Parameters in canonical form. There is no way to make one that loses anything: a value that JSON
/// or a double cannot carry exactly is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    canonical: String,
    object: Map<String, Value>,
}

/// Why a value cannot serve as parameters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// It is not a JSON object at the top: a struct or a map with text keys is.
    #[error("parameters must be a JSON object: a struct, or a map with text keys")]
    NotAnObject,
    /// A number that a reader of the JSON would see changed: an integer beyond what a double carries
    /// exactly (RFC 8785, section 3.2.2.3), or a float that is no number.
    #[error("{0}: send it as a string")]
    Inexact(String),
    /// A member's name that JSON readers in Rust take for a mark of their own.
    #[error("a member's name begins with `$serde_json::private::`")]
    SpecialName,
    /// It cannot be written as JSON at all (a map with keys that are no text, …).
    #[error("parameters cannot be written as JSON: {0}")]
    Unserializable(#[source] serde_json::Error),
}

impl Parameters {
    /// The canonical form of `value`.
    ///
    /// # Errors
    /// When `value` is no JSON object, or JSON would change it.
    pub fn of(value: &impl Serialize) -> Result<Self, ParametersError> {
        exact::check(value).map_err(|inexact| ParametersError::Inexact(inexact.0))?;
        let canonical =
            serde_json_canonicalizer::to_string(value).map_err(ParametersError::Unserializable)?;
        if !canonical.starts_with('{') {
            return Err(ParametersError::NotAnObject);
        }
        // Fails where it is nested deeper than readers of JSON go.
        let object = serde_json::from_str(&canonical).map_err(ParametersError::Unserializable)?;
        // serde_json, with some of its features, reads certain names as marks of its own.
        match serde_json_canonicalizer::to_string(&object) {
            Ok(again) if again == canonical && !canonical.contains("\"$serde_json::private::") => {
                Ok(Self { canonical, object })
            }
            _ => Err(ParametersError::SpecialName),
        }
    }

    /// The canonical JSON text.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The SHA-256 of the canonical text.
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.canonical.as_bytes())
    }

    /// The parameters as a JSON object.
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes)
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

/// Lower-case hexadecimal digits, as digests are written in the gate's JSON.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_content_has_the_same_digest_whatever_its_order_and_spelling() {
        let one = Parameters::of(&json!({"b": 1.0, "a": "\u{20ac}"})).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":"\u20ac","b":1}"#).unwrap();
        assert_eq!(one.canonical(), r#"{"a":"€","b":1}"#);
        assert_eq!(one.digest(), Parameters::of(&other).unwrap().digest());
        assert_eq!(one.object(), other.as_object().unwrap());
        // As `sha256sum` says of that text.
        let digest = "2c6fbbec1f6bfa5ea5d93187c7f6960ae2fbc3f05c442ebb923b9a6777b85c76";
        assert_eq!(hex(&one.digest()), digest);
    }

    #[test]
    fn nothing_is_rounded_silently() {
        assert!(Parameters::of(&json!({"n": 9_007_199_254_740_992_u64})).is_ok());
        assert!(Parameters::of(&json!({"n": [{"deep": 9_007_199_254_740_993_u64}]})).is_err());
        assert!(Parameters::of(&json!({"n": -9_007_199_254_740_993_i64})).is_err());
        assert!(Parameters::of(&json!({"n": u64::MAX})).is_err());
        // It has a double of its own, but that is written 9223372036854776000.
        assert!(Parameters::of(&json!({"n": 1_u64 << 63})).is_err());
        assert!(Parameters::of(&json!({"n": i64::MIN})).is_err());
        assert!(Parameters::of(&json!({"n": 10_000_000_000_000_000_000_u64})).is_ok());
        #[derive(Serialize)]
        struct Amount {
            euros: f64,
        }
        assert!(Parameters::of(&Amount { euros: f64::NAN }).is_err());
        assert!(
            Parameters::of(&Amount {
                euros: f64::INFINITY
            })
            .is_err()
        );
        assert!(Parameters::of(&Amount { euros: 0.1 }).is_ok());
        let deep = |n| std::collections::BTreeMap::from([("n", Some(vec![(1, n)]))]);
        assert!(Parameters::of(&deep(0.5_f32)).is_ok());
        assert!(Parameters::of(&deep(f32::NAN)).is_err());
    }

    #[test]
    fn a_number_is_found_in_whatever_it_is_wrapped() {
        #[derive(Serialize)]
        struct Wrapped<T>(T);
        #[derive(Serialize)]
        struct Pair<T>(&'static str, T);
        #[derive(Serialize)]
        struct Named<T> {
            number: T,
        }
        #[derive(Serialize)]
        enum Choice<T> {
            One(T),
            Two(&'static str, T),
            Named { number: T },
        }
        fn of(value: impl Serialize) -> Result<Parameters, ParametersError> {
            Parameters::of(&std::collections::BTreeMap::from([("n", value)]))
        }
        fn wrapped<T: Serialize + Copy>(number: T) -> [Result<Parameters, ParametersError>; 11] {
            [
                of(number),
                of(Some(number)),
                of([number]),
                of(vec![number]),
                of(("text", number)),
                of(Wrapped(number)),
                of(Pair("text", number)),
                of(Named { number }),
                of(Choice::One(number)),
                of(Choice::Two("text", number)),
                of(Choice::Named { number }),
            ]
        }
        const LARGE: u64 = 9_007_199_254_740_993;
        let inexact = [
            wrapped(LARGE),
            wrapped(-LARGE.cast_signed()),
            wrapped(u128::from(LARGE)),
            wrapped(-i128::from(LARGE)),
            wrapped(f32::INFINITY),
            wrapped(f64::NAN),
        ];
        for found in inexact.into_iter().flatten() {
            assert!(
                matches!(found, Err(ParametersError::Inexact(_))),
                "{found:?}"
            );
        }
        let exact = [
            wrapped(7_u64),
            wrapped(-7_i64),
            wrapped(0.5_f32),
            wrapped(0.5_f64),
        ];
        for found in exact.into_iter().flatten() {
            assert!(found.is_ok(), "{found:?}");
        }
    }

    #[test]
    fn a_number_that_names_a_member_is_not_rounded_either() {
        let named = |number: u64| {
            let inner = std::collections::BTreeMap::from([(number, "user")]);
            Parameters::of(&std::collections::BTreeMap::from([("users", inner)]))
        };
        let largest = named(9_007_199_254_740_992).unwrap();
        assert_eq!(
            largest.canonical(),
            r#"{"users":{"9007199254740992":"user"}}"#
        );
        for number in [9_007_199_254_740_993, u64::MAX] {
            assert!(matches!(named(number), Err(ParametersError::Inexact(_))));
        }
    }

    #[test]
    fn an_error_says_which_number_it_is() {
        let error = Parameters::of(&json!({"n": 9_007_199_254_740_993_u64})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the integer 9007199254740993 is beyond what a double carries: send it as a string"
        );
    }

    #[test]
    fn what_a_reader_would_take_for_something_else_is_an_error() {
        let special = json!({"to": {"$serde_json::private::RawValue": "\"alice\""}});
        assert!(matches!(
            Parameters::of(&special),
            Err(ParametersError::SpecialName)
        ));
    }

    #[test]
    fn what_is_nested_too_deep_is_an_error() {
        let deep = (0..200).fold(json!(1), |inner, _| json!({"a": inner}));
        assert!(matches!(
            Parameters::of(&deep),
            Err(ParametersError::Unserializable(_))
        ));
    }

    #[test]
    fn only_an_object_can_be_parameters() {
        for value in [json!([1]), json!("text"), json!(null), json!(1)] {
            assert!(
                matches!(Parameters::of(&value), Err(ParametersError::NotAnObject)),
                "{value}"
            );
        }
    }
}
