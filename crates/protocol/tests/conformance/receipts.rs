//! Receipts, good and bad. `HO_UPDATE_CONFORMANCE=1 cargo test -p human-oversight-protocol --all-features
//! --test conformance` writes `conformance/receipts.json`; without it the file must be what would be
//! written.

mod case;
mod forgeries;
mod runs;

use human_oversight_protocol::parameters::Parameters;
use human_oversight_protocol::receipt::{NotPermitted, ReceiptError, Run, verify};
use human_oversight_protocol::types::KeySet;
use serde::{Deserialize, Serialize};

use crate::{path, read};
use case::{Case, key_set};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    keys: KeySet,
    cases: Vec<Case>,
}

#[test]
fn receipts_permit_what_was_approved_alone() {
    let Vectors { keys, cases } = read("receipts.json");
    assert!(cases.len() >= 50, "{}", cases.len());
    for case in cases {
        assert_eq!(result(&case, &keys), case.result, "{}", case.name);
    }
}

#[test]
fn the_file_is_what_the_keys_sign() {
    let vectors = Vectors {
        keys: key_set(),
        cases: [runs::cases(), forgeries::cases()].concat(),
    };
    if std::env::var_os("HO_UPDATE_CONFORMANCE").is_some() {
        std::fs::write(path("receipts.json"), text(&vectors)).unwrap();
    }
    let written = std::fs::read_to_string(path("receipts.json")).unwrap();
    assert_eq!(written, text(&vectors));
}

/// One key and one case on a line.
fn text(vectors: &Vectors) -> String {
    fn lines<T: Serialize>(values: &[T]) -> String {
        let lines = values
            .iter()
            .map(|value| format!("    {}", serde_json::to_string(value).unwrap()));
        lines.collect::<Vec<_>>().join(",\n")
    }
    let (keys, cases) = (lines(&vectors.keys.keys), lines(&vectors.cases));
    format!("{{\n  \"keys\": {{\"keys\": [\n{keys}\n  ]}},\n  \"cases\": [\n{cases}\n  ]\n}}\n")
}

fn result(case: &Case, keys: &KeySet) -> &'static str {
    let claims = match verify(&case.receipt, keys) {
        Ok(claims) => claims,
        Err(ReceiptError::Malformed) => return "malformed",
        Err(ReceiptError::UnknownKey) => return "unknown-key",
        Err(ReceiptError::BadSignature) => return "bad-signature",
        Err(other) => panic!("{other}"),
    };
    let parameters = Parameters::new(&case.parameters).unwrap();
    let run = Run {
        agent: &case.agent,
        action: &case.action,
        parameters: &parameters,
    };
    match claims.permit(&run, case.now) {
        Ok(()) => "permitted",
        Err(NotPermitted::OtherAgent) => "other-agent",
        Err(NotPermitted::OtherAction) => "other-action",
        Err(NotPermitted::OtherParameters) => "other-parameters",
        Err(NotPermitted::Rejected) => "rejected",
        Err(NotPermitted::Lapsed) => "lapsed",
        Err(other) => panic!("{other}"),
    }
}
