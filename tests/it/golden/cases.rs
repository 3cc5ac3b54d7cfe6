//! The requests in the golden files: the steps to the stored state of each, and how it continues.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_client::parameters::{hex, sha256};
use serde_json::{Value, json};

use crate::harness::{AGENT, ALICE, BOB};
use crate::sign_in::{self, alice};

/// One request.
pub(super) struct Case {
    /// The name of its file, and its correlation id unless the request has another.
    pub(super) name: &'static str,
    pub(super) settings: Vec<(&'static str, &'static str)>,
    /// The mail system when the row was written.
    pub(super) mail: Mail,
    pub(super) request: Value,
    /// The steps before the row was written.
    pub(super) life: Vec<Step>,
    /// The steps after the row was read.
    pub(super) next: Vec<Step>,
    /// Status and execution at the end.
    pub(super) end: (Option<&'static str>, Option<&'static str>),
}

/// A mail system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mail {
    /// The folder of local development.
    Inbox,
    /// Accepts connections and never answers.
    Silent,
    /// Refuses connections.
    Down,
    /// Accepts each email and closes the connection before it responds.
    Unclear,
}

/// One step in the lifecycle of a request, and the expected status of its response.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Seconds pass.
    Pass(u64),
    Sweep,
    /// The operator revokes the approval.
    RevokeAsOperator,
    /// A call of the agent: `claim`, `outcome` or `withdraw`, its body, and the status.
    Call(&'static str, &'static str, u16),
    /// A form that an approver sends, by link or signed in.
    Decide {
        who: &'static str,
        principal: Option<fn() -> Value>,
        form: &'static str,
        status: u16,
    },
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const GONE: &str = "gone@example.invalid";
pub(super) const CLAIM: Step = Step::Call("claim", r#"{"nonce":"0123456789abcdef"}"#, 200);
pub(super) const CLAIM_REFUSED: Step = Step::Call("claim", r#"{"nonce":"fedcba9876543210"}"#, 409);
pub(super) const EXECUTED: Step = Step::Call("outcome", r#"{"status":"Executed"}"#, 200);
pub(super) const EXECUTED_REFUSED: Step = Step::Call("outcome", r#"{"status":"Executed"}"#, 409);
const FAILED: Step = Step::Call(
    "outcome",
    r#"{"status":"ExecutionFailed","error":"the mailbox is on hold: „gesperrt“"}"#,
    200,
);
const FAILED_SILENTLY: Step = Step::Call("outcome", r#"{"status":"ExecutionFailed"}"#, 200);
const FAILED_REFUSED: Step = Step::Call("outcome", r#"{"status":"ExecutionFailed"}"#, 409);
const WITHDRAW: Step = Step::Call("withdraw", "{}", 200);
const WITHDRAW_REFUSED: Step = Step::Call("withdraw", "{}", 409);
const MINUTE: Step = Step::Pass(60);
const HOUR: Step = Step::Pass(3_600);
const DAY: Step = Step::Pass(86_400);

pub(super) fn by_link(who: &'static str, form: &'static str, status: u16) -> Step {
    Step::Decide {
        who,
        principal: None,
        form,
        status,
    }
}

pub(super) fn approve(who: &'static str) -> Step {
    by_link(who, "decision=approve&code=CODE", 303)
}

fn reject(who: &'static str) -> Step {
    by_link(who, "decision=reject", 303)
}

pub(super) fn signed_in(form: &'static str) -> Step {
    Step::Decide {
        who: ALICE,
        principal: Some(alice),
        form,
        status: 303,
    }
}

fn wrong_codes(count: usize) -> Vec<Step> {
    vec![by_link(ALICE, "decision=approve&code=WRONG", 403); count]
}

/// The id of a request in URLs.
pub(crate) fn escaped_id(agent: &str, correlation: &str) -> String {
    format!("{}.{correlation}", BASE64URL.encode(agent))
}

pub(super) fn case(name: &'static str, end: (&'static str, Option<&'static str>)) -> Case {
    Case {
        name,
        settings: Vec::new(),
        mail: Mail::Inbox,
        request: json!({
            "agentName": AGENT, "actionDescription": "Delete User Account", "correlationId": name,
            "parameters": {
                "user_id": "1", "email": "former-contractor@example.com",
                "options": {"delete_mailbox": true, "retention_days": 30, "groups": ["sales", "vpn-users"]},
            },
            "approverEmails": [ALICE, BOB],
        }),
        life: Vec::new(),
        next: Vec::new(),
        end: (Some(end.0), end.1),
    }
}

impl Case {
    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        self.request[member] = value;
        self
    }

    fn mail(mut self, mail: Mail) -> Self {
        self.mail = mail;
        self
    }

    pub(super) fn settings(mut self, settings: &[(&'static str, &'static str)]) -> Self {
        self.settings.extend(settings);
        self
    }

    pub(super) fn life(mut self, steps: &[Step]) -> Self {
        self.life = steps.to_vec();
        self
    }

    pub(super) fn next(mut self, steps: &[Step]) -> Self {
        self.next = steps.to_vec();
        self
    }
}

/// Every state, every execution status, and every other content of a row.
pub(super) fn cases() -> Vec<Case> {
    [pending(), decided(), executed(), closed()]
        .into_iter()
        .flatten()
        .collect()
}

fn pending() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    let to_its_end = [approve(ALICE), CLAIM, EXECUTED];
    let claimed = json!(hex(&sha256(SECRET.as_bytes())));
    let claim = r#"{"nonce":"0123456789abcdef","secret":"0123456789abcdef0123456789abcdef"}"#;
    let outcome = r#"{"status":"Executed","secret":"0123456789abcdef0123456789abcdef"}"#;
    vec![
        case("pending", executed).next(&to_its_end),
        case("pending-with-all-members", executed)
            .with(
                "reason",
                json!("Left the company on 30 September.\n\tSee ticket „4711“ 😀."),
            )
            .with("onBehalfOf", json!("helpdesk@example.com"))
            .with("claimant", claimed)
            .with("timeoutSeconds", json!(86_400))
            .with(
                "parameters",
                json!({"empty": {}, "list": [null, true, -0.5, 1e21, "Ünï\u{202e} 東京 \u{0}"]}),
            )
            .next(&[
                Step::Call("claim", r#"{"nonce":"0123456789abcdef"}"#, 403),
                approve(BOB),
                Step::Call("claim", claim, 200),
                Step::Call("outcome", outcome, 200),
            ]),
        case("pending-sending", executed)
            .mail(Mail::Silent)
            .next(&[&[MINUTE, Step::Sweep][..], &to_its_end].concat()),
        case("pending-queued", executed)
            .mail(Mail::Down)
            .next(&[&[MINUTE, Step::Sweep][..], &to_its_end].concat()),
        case("pending-unknown", ("Timeout", None))
            .with("approverEmails", json!([ALICE]))
            .mail(Mail::Unclear)
            .life(&[MINUTE, Step::Sweep])
            .next(&[HOUR, Step::Sweep, CLAIM_REFUSED]),
        case("pending-partly-mailed", executed)
            .with("approverEmails", json!([ALICE, GONE]))
            .next(&to_its_end),
        case("pending-reminded", ("Rejected", None))
            .life(&[Step::Pass(1_800), Step::Sweep])
            .next(&[reject(BOB), CLAIM_REFUSED]),
        case("pending-reminded-twice", executed)
            .life(&[
                Step::Pass(1_800),
                Step::Sweep,
                Step::Pass(1_300),
                Step::Sweep,
            ])
            .next(&to_its_end),
        case("pending-wrong-codes", executed)
            .life(&wrong_codes(2))
            .next(&[&wrong_codes(2)[..], &to_its_end].concat()),
        case("pending-locked", executed)
            .life(&wrong_codes(5))
            .next(&[
                by_link(ALICE, "decision=approve&code=CODE", 403),
                approve(BOB),
                CLAIM,
                EXECUTED,
            ]),
        case("pending-with-keys-that-need-escapes", executed)
            .with("agentName", json!("Ä/b\\c#d?e'f~g h"))
            .with("correlationId", json!("x.y_z-1"))
            .next(&to_its_end),
        case("pending-with-a-retired-key", executed)
            .settings(&[("HO_GOLDEN_KEYS", "retired")])
            .next(&to_its_end),
        case("pending-withdrawn-next", ("Cancelled", None)).next(&[WITHDRAW, CLAIM_REFUSED]),
        case("pending-lapsed-next", ("Timeout", None)).next(&[HOUR, CLAIM_REFUSED, Step::Sweep]),
    ]
}

fn decided() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    let rejected = ("Rejected", None);
    let refused = [CLAIM_REFUSED, EXECUTED_REFUSED, WITHDRAW_REFUSED];
    vec![
        case("approved", executed).life(&[approve(ALICE)]).next(&[
            WITHDRAW_REFUSED,
            CLAIM,
            CLAIM_REFUSED,
            EXECUTED,
        ]),
        case("approved-with-a-comment", executed)
            .life(&[
                by_link(
                    ALICE,
                    "decision=approve&code=CODE&comment=Agreed%0Awith+%E6%9D%B1+%F0%9F%98%80",
                    303,
                ),
                Step::Sweep,
            ])
            .next(&[CLAIM, EXECUTED]),
        case("approved-with-keys-that-need-escapes", executed)
            .with("agentName", json!("victim') %27 ~41"))
            .life(&[approve(BOB)])
            .next(&[CLAIM, EXECUTED]),
        case("approved-with-a-retired-key", executed)
            .settings(&[("HO_GOLDEN_KEYS", "retired")])
            .life(&[approve(ALICE)])
            .next(&[CLAIM, EXECUTED]),
        case("approved-signed-in", executed)
            .settings(&sign_in::ON)
            .life(&[signed_in("decision=approve&comment=Yes.")])
            .next(&[CLAIM, EXECUTED]),
        case("rejected", rejected)
            .life(&[reject(BOB)])
            .next(&refused),
        case("rejected-with-a-comment", rejected)
            .life(&[
                by_link(ALICE, "decision=reject&comment=Ask+Lena+first.", 303),
                Step::Sweep,
            ])
            .next(&refused),
        case("rejected-signed-in", rejected)
            .settings(&sign_in::ON)
            .life(&[signed_in("decision=reject")])
            .next(&refused),
    ]
}

fn executed() -> Vec<Case> {
    let (done, failed) = (
        ("Approved", Some("Executed")),
        ("Approved", Some("ExecutionFailed")),
    );
    let claimed = [approve(ALICE), CLAIM];
    let unknown = [&claimed[..], &[DAY, Step::Sweep]].concat();
    vec![
        case("executing", done)
            .life(&claimed)
            .next(&[CLAIM, CLAIM_REFUSED, EXECUTED]),
        case(
            "executing-unknown-next",
            ("Approved", Some("ExecutionUnknown")),
        )
        .life(&claimed)
        .next(&[DAY, Step::Sweep]),
        case("executed", done)
            .life(&[&claimed[..], &[EXECUTED, Step::Sweep]].concat())
            .next(&[EXECUTED, FAILED_REFUSED, CLAIM_REFUSED]),
        case("failed", failed)
            .life(&[&claimed[..], &[FAILED]].concat())
            .next(&[FAILED, FAILED_REFUSED, EXECUTED_REFUSED]),
        case("failed-without-an-error", failed)
            .life(&[&claimed[..], &[FAILED_SILENTLY]].concat())
            .next(&[FAILED_SILENTLY, EXECUTED_REFUSED]),
        case("unknown", failed).life(&unknown).next(&[FAILED]),
        case("executed-reported-late", done)
            .life(&[&unknown[..], &[EXECUTED]].concat())
            .next(&[EXECUTED, FAILED_REFUSED]),
        case("failed-reported-late", failed)
            .life(&[&unknown[..], &[FAILED]].concat())
            .next(&[FAILED, EXECUTED_REFUSED]),
        case("lapsed", ("Approved", Some("Lapsed")))
            .settings(&[("HO_RUN_WITHIN", "60")])
            .life(&[approve(ALICE), MINUTE, Step::Sweep])
            .next(&[CLAIM_REFUSED, EXECUTED_REFUSED]),
    ]
}

fn closed() -> Vec<Case> {
    let timeout = ("Timeout", None);
    let late = |form| by_link(BOB, form, 410);
    vec![
        case("timeout", timeout)
            .life(&[HOUR, Step::Sweep])
            .next(&[late("decision=approve&code=CODE"), CLAIM_REFUSED]),
        case("timeout-not-stored", timeout)
            .life(&[HOUR])
            .next(&[late("decision=reject"), CLAIM_REFUSED]),
        case("timeout-approved-late", timeout)
            .life(&[
                HOUR,
                Step::Sweep,
                MINUTE,
                late("decision=approve&code=CODE"),
            ])
            .next(&[late("decision=reject"), CLAIM_REFUSED]),
        case("timeout-rejected-late", timeout)
            .life(&[HOUR, late("decision=reject"), Step::Sweep])
            .next(&[CLAIM_REFUSED]),
        case("cancelled", ("Cancelled", None))
            .life(&[WITHDRAW, Step::Sweep])
            .next(&[WITHDRAW, CLAIM_REFUSED]),
        case("undeliverable", ("Undeliverable", None))
            .with("approverEmails", json!([GONE, "away@example.invalid"]))
            .next(&[WITHDRAW_REFUSED, CLAIM_REFUSED]),
    ]
}
