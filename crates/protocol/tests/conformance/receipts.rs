//! Receipts, good and bad. `HO_UPDATE_CONFORMANCE=1 cargo test -p human-oversight-protocol --all-features
//! --test conformance` writes `conformance/receipts.json`; without it the file must be what would be
//! written.

pub(crate) mod case;
mod forgeries;
mod runs;

use human_oversight_protocol::parameters::Parameters;
use human_oversight_protocol::receipt::{NotPermitted, ReceiptError, Run, verify};
use human_oversight_protocol::types::KeySet;

use crate::read;
use crate::signing::{Vectors, check_file};
use case::Case;

#[test]
fn receipts_permit_what_was_approved_alone() {
    let Vectors { keys, cases } = read::<Vectors<Case>>("receipts.json");
    assert!(cases.len() >= 50, "{}", cases.len());
    for case in cases {
        assert_eq!(result(&case, &keys), case.result, "{}", case.name);
    }
}

#[test]
fn the_file_is_what_the_keys_sign() {
    check_file(
        "receipts.json",
        [runs::cases(), forgeries::cases()].concat(),
    );
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
