//! Valid permits, held against the claim that was made and against others.

use human_oversight_protocol::parameters::hex;
use human_oversight_protocol::permit::Claims;
use serde_json::{Value, json};

use super::case::{
    CLAIMED_AT, Case, case, claims, header, header_with, payload, payload_with, sign,
};
use crate::receipts::case as receipt;
use crate::signing::sign_by;

pub(super) fn cases() -> Vec<Case> {
    [granted(), other_times(), other_claims(), other_permits()].concat()
}

fn granted() -> Vec<Case> {
    let anyone = Claims {
        claimant: None,
        ..claims()
    };
    let earlier_issuer = json!("https://gate-until-2026.example.com");
    vec![
        case("a claim", sign(&claims()), "granted"),
        Case {
            claimant: None,
            ..case("a claim without a claimant", sign(&anyone), "granted")
        },
        case(
            "signed by a retired key",
            sign_by(2, &header_with("kid", "retired"), &payload()),
            "granted",
        ),
        case(
            "signed under an earlier address",
            sign_by(1, &header(), &payload_with("iss", earlier_issuer)),
            "granted",
        ),
        case(
            "a member that this version does not know is ignored",
            sign_by(1, &header(), &payload_with("scope", json!([]))),
            "granted",
        ),
    ]
}

fn other_times() -> Vec<Case> {
    let leeway = i64::from(super::case::LEEWAY);
    let at = |name, now, leeway, result| Case {
        now,
        leeway,
        ..case(name, sign(&claims()), result)
    };
    let lapses_at = receipt::LAPSES_AT;
    vec![
        at("the second of the claim", CLAIMED_AT, 0, "granted"),
        at("a second before the claim", CLAIMED_AT - 1, 0, "not-yet"),
        at(
            "before the claim, within the leeway",
            CLAIMED_AT - leeway,
            60,
            "granted",
        ),
        at(
            "before the claim, beyond the leeway",
            CLAIMED_AT - leeway - 1,
            60,
            "not-yet",
        ),
        at("the last second", lapses_at - 1, 0, "granted"),
        at("the second of its expiry", lapses_at, 0, "expired"),
        at(
            "expired, within the leeway",
            lapses_at + leeway - 1,
            60,
            "granted",
        ),
        at(
            "expired, beyond the leeway",
            lapses_at + leeway,
            60,
            "expired",
        ),
        at("long after its expiry", lapses_at + 86_400, 60, "expired"),
    ]
}

/// The same permit, for who made another claim.
fn other_claims() -> Vec<Case> {
    let permit = sign(&claims());
    let other = |name: &str, result: &str, change: fn(&mut Case)| {
        let mut case = case(name, permit.clone(), result);
        change(&mut case);
        case
    };
    vec![
        other("replayed to another nonce", "other-nonce", |case| {
            case.nonce = "fedcba9876543210fedcba9876543210".to_owned();
        }),
        other(
            "replayed to a nonce in another case",
            "other-nonce",
            |case| {
                case.nonce = case.nonce.to_uppercase();
            },
        ),
        other(
            "replayed to the beginning of its nonce",
            "other-nonce",
            |case| {
                case.nonce.truncate(16);
            },
        ),
        other("replayed to another claimant", "other-claimant", |case| {
            case.claimant = Some(hex(&[9; 32]));
        }),
        other(
            "replayed to a request without a claimant",
            "other-claimant",
            |case| {
                case.claimant = None;
            },
        ),
        other(
            "for another request of the agent",
            "other-request",
            |case| {
                case.id = case.id.replace("order-1", "order-2");
            },
        ),
        other("for another agent", "other-agent", |case| {
            case.agent = "PaymentAgent".to_owned();
        }),
        other("for other parameters", "other-parameters", |case| {
            case.parameters.insert("amount".to_owned(), json!(4990));
        }),
        other("for one parameter more", "other-parameters", |case| {
            case.parameters.insert("note".to_owned(), Value::Null);
        }),
        other(
            "for a receipt by another approver",
            "other-receipt",
            |case| {
                let mut decided = receipt::claims();
                decided.approver = "bob@example.com".to_owned();
                case.receipt = receipt::sign(&decided);
            },
        ),
        other("for a receipt with a line end", "other-receipt", |case| {
            case.receipt.push('\n');
        }),
        other("of a gate that is not trusted", "other-issuer", |case| {
            case.issuers = vec!["https://another.example.com".to_owned()];
        }),
        other("of a gate while none is trusted", "other-issuer", |case| {
            case.issuers.clear();
        }),
        other(
            "of the gate's address with a slash more",
            "other-issuer",
            |case| {
                case.issuers = vec!["https://gate.example.com/".to_owned()];
            },
        ),
    ]
}

/// Other permits of the same gate, for the claim that was made.
fn other_permits() -> Vec<Case> {
    let with = |name: &str, member: &str, value: Value, result: &str| {
        case(
            name,
            sign_by(1, &header(), &payload_with(member, value)),
            result,
        )
    };
    let without_claimant = Claims {
        claimant: None,
        ..claims()
    };
    vec![
        case("for no claimant", sign(&without_claimant), "other-claimant"),
        with(
            "aud is another agent",
            "aud",
            json!("refundagent"),
            "other-agent",
        ),
        with(
            "sub is another request",
            "sub",
            json!("YQ.b"),
            "other-request",
        ),
        with("jti is empty", "jti", json!(""), "other-nonce"),
        with(
            "iss is another gate",
            "iss",
            json!("https://gate.example.com.evil.example"),
            "other-issuer",
        ),
        with(
            "the digest of the parameters is in upper case",
            "parametersDigest",
            json!(claims().parameters_digest.to_uppercase()),
            "other-parameters",
        ),
        with(
            "the digest of the receipt is in upper case",
            "receiptDigest",
            json!(claims().receipt_digest.to_uppercase()),
            "other-receipt",
        ),
        with(
            "iat is in the far future",
            "iat",
            json!(4_102_444_800_i64),
            "not-yet",
        ),
        with("exp is in the far past", "exp", json!(0), "expired"),
    ]
}
