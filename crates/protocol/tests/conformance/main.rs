//! The vectors in `conformance/`; its README describes them.

mod callbacks;
mod es256;
mod permits;
mod receipts;
mod signing;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use human_oversight_protocol::parameters::{Parameters, ParametersError, hex, sha256};
use human_oversight_protocol::strict_json::{self, StrictError};
use human_oversight_protocol::types::{GIVEN_UP, NOT_RUN};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn path(file: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    folder.join(file)
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    let text = fs::read(path(file)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Canonical {
    numbers: Vec<Number>,
    values: Vec<CanonicalValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    name: String,
    bits: String,
    canonical: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CanonicalValue {
    name: String,
    json: String,
    canonical: String,
    utf8: Option<String>,
}

#[test]
fn the_errors_of_reports_begin_as_the_vectors_say() {
    let vectors: Value = read("reports.json");
    let begins = vectors["cases"].as_array().unwrap().iter();
    let begins: Vec<&Value> = begins.map(|case| &case["begins"]).collect();
    assert_eq!(begins, [NOT_RUN, GIVEN_UP]);
}

#[test]
fn numbers_have_one_canonical_form() {
    let Canonical { numbers, .. } = read("canonical.json");
    assert!(numbers.len() >= 26, "{}", numbers.len());
    for number in numbers {
        let double = f64::from_bits(u64::from_str_radix(&number.bits, 16).unwrap());
        match number.canonical {
            Some(canonical) => {
                let written = serde_json_canonicalizer::to_string(&double).unwrap();
                assert_eq!(written, canonical, "{}", number.name);
            }
            None => {
                let parameters = Parameters::new(&BTreeMap::from([("n", double)]));
                assert_eq!(error(&parameters.unwrap_err()), number.error.unwrap());
            }
        }
    }
}

#[test]
fn values_have_one_canonical_form() {
    let Canonical { values, .. } = read("canonical.json");
    for value in values {
        let read: Value = serde_json::from_str(&value.json).unwrap();
        let written = serde_json_canonicalizer::to_string(&read).unwrap();
        assert_eq!(written, value.canonical, "{}", value.name);
        if let Some(utf8) = value.utf8 {
            assert_eq!(hex(value.canonical.as_bytes()), utf8, "{}", value.name);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors<A, R> {
    accepted: Vec<A>,
    refused: Vec<R>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedParameters {
    name: String,
    json: String,
    canonical: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedParameters {
    name: String,
    json: String,
    error: String,
}

#[test]
fn parameters_have_one_digest_or_are_refused() {
    let vectors: Vectors<AcceptedParameters, RefusedParameters> = read("parameters.json");
    for case in vectors.accepted {
        let read = strict_json::parse(case.json.as_bytes()).unwrap();
        let parameters = Parameters::new(&read).unwrap();
        assert_eq!(parameters.canonical(), case.canonical, "{}", case.name);
        assert_eq!(hex(&parameters.digest()), case.digest, "{}", case.name);
        assert_eq!(hex(&sha256(case.canonical.as_bytes())), case.digest);
    }
    for case in vectors.refused {
        let refusal = match strict_json::parse(case.json.as_bytes()) {
            Ok(read) => error(&Parameters::new(&read).unwrap_err()),
            Err(refusal) => word(&refusal).0,
        };
        assert_eq!(refusal, case.error, "{}", case.name);
    }
}

fn error(error: &ParametersError) -> &'static str {
    match error {
        ParametersError::NotAnObject => "not-an-object",
        ParametersError::Inexact(_) => "inexact-number",
        ParametersError::ReservedName => "reserved-name",
        other => panic!("{other}"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedText {
    name: String,
    json: String,
    canonical: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedText {
    name: String,
    json: Option<String>,
    hex: Option<String>,
    error: String,
    pointer: Option<String>,
}

#[test]
fn texts_are_accepted_or_refused() {
    let vectors: Vectors<AcceptedText, RefusedText> = read("strict-json.json");
    for case in vectors.accepted {
        let read = strict_json::parse(case.json.as_bytes());
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let canonical = serde_json_canonicalizer::to_string(&read).unwrap();
        assert_eq!(canonical, case.canonical, "{}", case.name);
    }
    for case in vectors.refused {
        let text = match (case.json, case.hex) {
            (Some(json), None) => json.into_bytes(),
            (None, Some(hex)) => bytes(&hex),
            _ => panic!("{}: either json or hex", case.name),
        };
        let Err(refusal) = strict_json::parse(&text) else {
            panic!("{} is accepted", case.name);
        };
        let expected = (&*case.error, case.pointer.as_deref());
        assert_eq!(word(&refusal), expected, "{}", case.name);
    }
}

fn word(error: &StrictError) -> (&'static str, Option<&str>) {
    match error {
        StrictError::NotUtf8 => ("not-utf8", None),
        StrictError::Syntax { .. } => ("syntax", None),
        StrictError::NotUnicode => ("not-unicode", None),
        StrictError::TooDeep => ("too-deep", None),
        StrictError::DuplicateName => ("duplicate-name", None),
        StrictError::ReservedName { pointer } => ("reserved-name", Some(pointer)),
        StrictError::InexactNumber { pointer } => ("inexact-number", Some(pointer)),
    }
}
