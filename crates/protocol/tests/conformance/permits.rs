//! Permits, good and bad, in `conformance/permits.json`, which is written as `receipts.json` is.

pub(crate) mod case;
mod forgeries;
mod grants;

use human_oversight_protocol::parameters::Parameters;
use human_oversight_protocol::permit::{Expected, NotGranted, PermitError, verify};
use human_oversight_protocol::types::KeySet;

use crate::read;
use crate::signing::{Vectors, check_file};
use case::Case;

#[test]
fn permits_grant_the_claim_that_was_made_alone() {
    let Vectors { keys, cases } = read::<Vectors<Case>>("permits.json");
    assert!(cases.len() >= 70, "{}", cases.len());
    for case in cases {
        assert_eq!(result(&case, &keys), case.result, "{}", case.name);
    }
}

#[test]
fn the_file_is_what_the_keys_sign() {
    check_file(
        "permits.json",
        [grants::cases(), forgeries::cases()].concat(),
    );
}

pub(crate) fn result(case: &Case, keys: &KeySet) -> &'static str {
    let claims = match verify(&case.permit, keys) {
        Ok(claims) => claims,
        Err(PermitError::Malformed) => return "malformed",
        Err(PermitError::UnknownKey) => return "unknown-key",
        Err(PermitError::BadSignature) => return "bad-signature",
        Err(other) => panic!("{other}"),
    };
    let parameters = Parameters::new(&case.parameters).unwrap();
    let expected = Expected {
        issuers: &case.issuers,
        agent: &case.agent,
        id: &case.id,
        nonce: &case.nonce,
        claimant: case.claimant.as_deref(),
        parameters: &parameters,
        receipt: &case.receipt,
        leeway: case.leeway,
    };
    match claims.grant(&expected, case.now) {
        Ok(()) => "granted",
        Err(NotGranted::OtherIssuer) => "other-issuer",
        Err(NotGranted::OtherAgent) => "other-agent",
        Err(NotGranted::OtherRequest) => "other-request",
        Err(NotGranted::OtherNonce) => "other-nonce",
        Err(NotGranted::OtherClaimant) => "other-claimant",
        Err(NotGranted::OtherParameters) => "other-parameters",
        Err(NotGranted::OtherReceipt) => "other-receipt",
        Err(NotGranted::NotYet) => "not-yet",
        Err(NotGranted::Expired) => "expired",
        Err(other) => panic!("{other}"),
    }
}
