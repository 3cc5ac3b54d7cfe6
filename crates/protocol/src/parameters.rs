//! The exact arguments of an action: their canonical form and its digest.
//!
//! The SHA-256 of the canonical JSON (RFC 8785) of the parameters identifies what a person approved. The
//! gate computes it from what it shows, the client from what it is about to run.

mod exact;

use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Map, Value};

/// Parameters in canonical form. The form is exact: a value that JSON or a double would change is an
/// error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    canonical: String,
    object: Map<String, Value>,
}

/// Why a value cannot serve as parameters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// The value is not a JSON object; a struct or a map with text keys is one.
    #[error("parameters must be a JSON object: a struct, or a map with text keys")]
    NotAnObject,
    /// A parser could change a number: it is a whole number beyond ±(2^53 - 1), an infinity, a NaN, a -0, or one that a
    /// double would change.
    #[error("{0}: send it as a string")]
    Inexact(String),
    /// A member's name is reserved by serde_json.
    #[error("a member's name begins with `$serde_json::private::`")]
    ReservedName,
    /// The value cannot be written as JSON, for example a map with keys that are not texts.
    #[error("parameters cannot be written as JSON: {0}")]
    Unserializable(#[source] serde_json::Error),
}

impl Parameters {
    /// The canonical form of `value`.
    ///
    /// # Errors
    /// When `value` is not a JSON object, or JSON would change it.
    pub fn new(value: &impl Serialize) -> Result<Self, ParametersError> {
        exact::check(value).map_err(|inexact| ParametersError::Inexact(inexact.0))?;
        let canonical =
            serde_json_canonicalizer::to_string(value).map_err(ParametersError::Unserializable)?;
        if !canonical.starts_with('{') {
            return Err(ParametersError::NotAnObject);
        }
        // Fails for nesting beyond the limit of serde_json.
        let object = serde_json::from_str(&canonical).map_err(ParametersError::Unserializable)?;
        // With some of its features, serde_json reads an object with a reserved name as something else.
        match serde_json_canonicalizer::to_string(&object) {
            Ok(again) if again == canonical && !canonical.contains("\"$serde_json::private::") => {
                Ok(Self { canonical, object })
            }
            _ => Err(ParametersError::ReservedName),
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

    /// The parameters as a JSON object.
    pub fn into_object(self) -> Map<String, Value> {
        self.object
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes)
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

/// Lower-case hexadecimal digits, as in the gate's JSON.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    digits.map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::ser::{SerializeStruct, Serializer};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_digest_does_not_depend_on_order_or_spelling() {
        let one = Parameters::new(&json!({"b": 1.0, "a": "\u{20ac}"})).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":"\u20ac","b":1}"#).unwrap();
        assert_eq!(one.canonical(), r#"{"a":"€","b":1}"#);
        assert_eq!(one.digest(), Parameters::new(&other).unwrap().digest());
        assert_eq!(one.object(), other.as_object().unwrap());
        // Of `sha256sum`.
        let digest = "2c6fbbec1f6bfa5ea5d93187c7f6960ae2fbc3f05c442ebb923b9a6777b85c76";
        assert_eq!(hex(&one.digest()), digest);
    }

    #[test]
    fn nothing_is_rounded_silently() {
        assert!(Parameters::new(&json!({"n": 9_007_199_254_740_991_u64})).is_ok());
        assert!(Parameters::new(&json!({"n": 9_007_199_254_740_992_u64})).is_err());
        assert!(Parameters::new(&json!({"n": 9_007_199_254_740_992.0})).is_err());
        assert!(Parameters::new(&json!({"n": -1e21})).is_err());
        assert!(Parameters::new(&json!({"n": [{"deep": 9_007_199_254_740_993_u64}]})).is_err());
        assert!(Parameters::new(&json!({"n": -9_007_199_254_740_993_i64})).is_err());
        assert!(Parameters::new(&json!({"n": u64::MAX})).is_err());
        assert!(Parameters::new(&json!({"n": 1_u64 << 63})).is_err());
        assert!(Parameters::new(&json!({"n": i64::MIN})).is_err());
        #[derive(Serialize)]
        struct Amount {
            euros: f64,
        }
        assert!(Parameters::new(&Amount { euros: f64::NAN }).is_err());
        assert!(
            Parameters::new(&Amount {
                euros: f64::INFINITY
            })
            .is_err()
        );
        assert!(Parameters::new(&Amount { euros: 0.1 }).is_ok());
        let deep = |n| BTreeMap::from([("n", Some(vec![(1, n)]))]);
        assert!(Parameters::new(&deep(0.5_f32)).is_ok());
        assert!(Parameters::new(&deep(f32::NAN)).is_err());
    }

    /// A number as serde_json serializes it where any crate of the program has its feature `arbitrary_precision`.
    struct Decimal(&'static str);

    impl Serialize for Decimal {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            const NAME: &str = "$serde_json::private::Number";
            let mut number = serializer.serialize_struct(NAME, 1)?;
            number.serialize_field(NAME, self.0)?;
            number.end()
        }
    }

    #[test]
    fn a_number_of_any_precision_is_not_rounded_silently_either() {
        let of = |number| Parameters::new(&named_n([Decimal(number)]));
        for changed in [
            "9007199254740992",
            "9007199254740993",
            "-12345678901234567890",
            "18000.123456789012345678",
            "0.1000000000000000055511151231257827",
            "1e400",
            "1e-400",
            "1E21",
            "-0",
            "-0.0e7",
            "no number",
        ] {
            let found = of(changed);
            assert!(
                matches!(found, Err(ParametersError::Inexact(_))),
                "{changed}: {found:?}"
            );
        }
        for exact in ["0", "1.0", "1e2", "-1.50e-3", "9007199254740991", "0.1"] {
            let found = of(exact);
            // Without that feature it is a struct with a reserved name.
            assert!(
                matches!(found, Ok(_) | Err(ParametersError::ReservedName)),
                "{exact}: {found:?}"
            );
        }
        let text = |number| of(number).unwrap_err().to_string();
        assert_eq!(
            text("12345678901234567890.12345678901234567890123456789"),
            "12345678901234567890.1234567890123456789 is beyond ±(2^53 - 1): send it as a string"
        );
        assert_eq!(
            text("0.10000000000000000001"),
            "a double would change the number 0.10000000000000000001: send it as a string"
        );
    }

    #[test]
    fn a_zero_with_a_sign_is_not_taken_for_zero() {
        let refused = [
            Parameters::new(&named_n(-0.0_f64)),
            Parameters::new(&named_n(-0.0_f32)),
            Parameters::new(&named_n(vec![Some(-0.0)])),
            Parameters::new(&json!({"n": {"deep": [-0.0]}})),
            Parameters::new(&serde_json::from_str::<Value>(r#"{"n":-0}"#).unwrap()),
        ];
        for found in refused {
            let error = found.unwrap_err().to_string();
            assert_eq!(error, "-0 would be shown as 0: send it as a string");
        }
        assert_eq!(
            Parameters::new(&named_n(0.0)).unwrap().canonical(),
            r#"{"n":0}"#
        );
    }

    fn named_n<T: Serialize>(number: T) -> BTreeMap<&'static str, T> {
        BTreeMap::from([("n", number)])
    }

    #[test]
    fn a_number_is_checked_inside_every_kind_of_value() {
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
            Parameters::new(&BTreeMap::from([("n", value)]))
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
            let inner = BTreeMap::from([(number, "user")]);
            Parameters::new(&BTreeMap::from([("users", inner)]))
        };
        let largest = named(9_007_199_254_740_991).unwrap();
        assert_eq!(
            largest.canonical(),
            r#"{"users":{"9007199254740991":"user"}}"#
        );
        for number in [9_007_199_254_740_992, u64::MAX] {
            assert!(matches!(named(number), Err(ParametersError::Inexact(_))));
        }
    }

    #[test]
    fn an_error_says_which_number_it_is() {
        let error = Parameters::new(&json!({"n": 9_007_199_254_740_993_u64})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "9007199254740993 is beyond ±(2^53 - 1): send it as a string"
        );
    }

    #[test]
    fn a_reserved_name_is_an_error() {
        let special = json!({"to": {"$serde_json::private::RawValue": "\"alice\""}});
        assert!(matches!(
            Parameters::new(&special),
            Err(ParametersError::ReservedName)
        ));
    }

    #[test]
    fn a_value_that_is_nested_too_deep_is_an_error() {
        let deep = (0..200).fold(json!(1), |inner, _| json!({"a": inner}));
        assert!(matches!(
            Parameters::new(&deep),
            Err(ParametersError::Unserializable(_))
        ));
    }

    #[test]
    fn only_an_object_can_be_parameters() {
        for value in [json!([1]), json!("text"), json!(null), json!(1)] {
            assert!(
                matches!(Parameters::new(&value), Err(ParametersError::NotAnObject)),
                "{value}"
            );
        }
    }
}
