//! Receipts, good and bad. `HO_UPDATE_CONFORMANCE=1 cargo test -p human-oversight-protocol --all-features
//! --test conformance` writes `conformance/receipts.json` and `conformance/demands.json`; without it the files must
//! be what would be written.

pub(crate) mod case;
mod demands;
mod forgeries;
mod runs;

use human_oversight_protocol::parameters::Parameters;
use human_oversight_protocol::receipt::{NotPermitted, ReceiptError, Run, verify};
use human_oversight_protocol::types::KeySet;

use crate::read;
use crate::signing::{Vectors, check_file};
use case::Case;
use demands::DemandCase;

#[test]
fn receipts_permit_what_was_approved_alone() {
    let Vectors { keys, cases } = read::<Vectors<Case>>("receipts.json");
    assert!(cases.len() >= 50, "{}", cases.len());
    for case in cases {
        assert_eq!(result(&case, &keys, 0, &[]), case.result, "{}", case.name);
    }
}

#[test]
fn the_file_is_what_the_keys_sign() {
    check_file(
        "receipts.json",
        [runs::cases(), forgeries::cases()].concat(),
    );
}

#[test]
fn receipts_permit_what_meets_the_demands_of_a_resource_alone() {
    let Vectors { keys, cases } = read::<Vectors<DemandCase>>("demands.json");
    assert!(cases.len() >= 10, "{}", cases.len());
    for DemandCase {
        case,
        at_least,
        rules,
    } in cases
    {
        let found = result(&case, &keys, at_least, &rules);
        assert_eq!(found, case.result, "{}", case.name);
    }
}

#[test]
fn the_file_of_demands_is_what_the_keys_sign() {
    check_file("demands.json", demands::cases());
}

pub(crate) fn result(
    case: &Case,
    keys: &KeySet,
    at_least: usize,
    rules: &[String],
) -> &'static str {
    let claims = match verify(&case.receipt, keys) {
        Ok(claims) => claims,
        Err(ReceiptError::Malformed) => return "malformed",
        Err(ReceiptError::UnknownKey) => return "unknown-key",
        Err(ReceiptError::BadSignature) => return "bad-signature",
        Err(ReceiptError::RevokedKey) => return "revoked-key",
        Err(ReceiptError::KeyNotInForce) => return "key-not-in-force",
        Err(other) => panic!("{other}"),
    };
    let parameters = Parameters::new(&case.parameters).unwrap();
    let run = Run {
        agent: &case.agent,
        action: &case.action,
        parameters: &parameters,
    };
    let demand = run.at_least(at_least);
    let demand = rules
        .iter()
        .fold(demand, |demand, it| demand.under_rule(it));
    match claims.permit(demand, case.now) {
        Ok(()) => "permitted",
        Err(NotPermitted::OtherAgent) => "other-agent",
        Err(NotPermitted::OtherAction) => "other-action",
        Err(NotPermitted::OtherParameters) => "other-parameters",
        Err(NotPermitted::Rejected) => "rejected",
        Err(NotPermitted::LinkOnly) => "link-only",
        Err(NotPermitted::Lapsed) => "lapsed",
        Err(NotPermitted::TooFewPeople { .. }) => "too-few-people",
        Err(NotPermitted::OtherRule) => "other-rule",
        Err(other) => panic!("{other}"),
    }
}
