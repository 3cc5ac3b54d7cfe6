//! Valid receipts, held against the run that was approved and against others.

use human_oversight_protocol::parameters::hex;
use human_oversight_protocol::receipt::{Assurance, Claims, Decision};
use serde_json::{Value, json};

use super::case::{Case, LAPSES_AT, case, claims, header, header_with, payload_with, sign};
use crate::signing::sign_by;

pub(super) fn cases() -> Vec<Case> {
    [approved(), other_runs()].concat()
}

fn approved() -> Vec<Case> {
    let rejected = Claims {
        exp: None,
        decision: Decision::Rejected,
        ..claims()
    };
    let signed_in = Claims {
        assurance: Assurance::Entra,
        approver_object_id: Some("11111111-2222-3333-4444-555555555555".to_owned()),
        auth_time: None,
        auth_context: None,
        comment_digest: Some(hex(&[8; 32])),
        claimant: None,
        ..claims()
    };
    let link_only = Claims {
        assurance: Assurance::LinkOnly,
        ..claims()
    };
    let without_person = |approver: &str, assurance| Claims {
        approver: approver.to_owned(),
        assurance,
        ..claims()
    };
    let by_rule = without_person("policy:refunds@01234567", Assurance::Policy);
    let by_grant = without_person("grant:0123456789abcdef", Assurance::Grant);
    let retired = header_with("kid", "retired");
    let payload = serde_json::to_value(claims()).unwrap();
    let endless = Claims {
        exp: None,
        ..claims()
    };
    let at = |name, now, result| Case {
        now,
        ..case(name, sign(&claims()), result)
    };
    vec![
        case("an approval", sign(&claims()), "permitted"),
        case(
            "an approval by a signed-in person",
            sign(&signed_in),
            "permitted",
        ),
        case(
            "an approval by a rule of the policy",
            sign(&by_rule),
            "permitted",
        ),
        case(
            "an approval by a standing grant",
            sign(&by_grant),
            "permitted",
        ),
        case(
            "signed by a retired key",
            sign_by(2, &retired, &payload),
            "permitted",
        ),
        case(
            "a claim that this version does not know is ignored",
            sign_by(1, &header(), &payload_with("votes", json!([]))),
            "permitted",
        ),
        at("the last second", LAPSES_AT - 1, "permitted"),
        at("the second of its lapse", LAPSES_AT, "lapsed"),
        at("long after its lapse", LAPSES_AT + 86_400, "lapsed"),
        case("an approval without a lapse", sign(&endless), "lapsed"),
        case("a rejection", sign(&rejected), "rejected"),
        case(
            "an approval by the link alone",
            sign(&link_only),
            "link-only",
        ),
    ]
}

fn other_runs() -> Vec<Case> {
    let receipt = sign(&claims());
    let approved = || case("", receipt.clone(), "");
    let run_with = |name: &str, changed: Value| {
        let mut run = Case {
            name: format!("run with {name}"),
            result: "other-parameters".to_owned(),
            ..approved()
        };
        let changed = changed.as_object().unwrap().clone();
        run.parameters.extend(changed);
        run
    };
    let mut without = Case {
        name: "run without one of the parameters".to_owned(),
        result: "other-parameters".to_owned(),
        ..approved()
    };
    without.parameters.remove("currency");
    let agent = |name: &str, agent: &str| Case {
        agent: agent.to_owned(),
        ..case(name, receipt.clone(), "other-agent")
    };
    let action = |name: &str, action: &str| Case {
        action: action.to_owned(),
        ..case(name, receipt.clone(), "other-action")
    };
    vec![
        without,
        run_with("another amount", json!({"amount": 4990})),
        run_with("an amount as a text", json!({"amount": "49.9"})),
        run_with("one parameter more", json!({"note": null})),
        run_with("a look-alike letter", json!({"order": "\u{410}-1"})),
        agent("run by another agent", "PaymentAgent"),
        agent("run by an agent whose name differs in case", "refundagent"),
        action("run of another action", "Delete User Account"),
        action("run of an action with a space more", "Refund an order "),
    ]
}
