//! What a model reads of a call that was held, unless the tool itself answers.

use human_oversight_client::types::{Approval, ExecutionStatus, GIVEN_UP, NOT_RUN, Status};
use human_oversight_client::{Reason, Refusal};
use serde_json::{Value, json};

use crate::answer::{Answer, answer, error};
use crate::call::CallError;
use crate::end::{End, Lost, wrong_setting};
use crate::held::Stage;

/// A result that tells of one call: it is always an error, so that no client takes it for the tool's.
pub(crate) struct Words {
    text: String,
    /// For programs.
    status: &'static str,
    approval: Option<Value>,
}

/// How long a model should wait before it calls again, in seconds.
const PAUSE: u32 = 60;

/// What a model may read of a call that goes on as a task.
pub(crate) const TASK: &str = "PENDING, not run yet: people must approve this call. It goes on as a task, which has its \
                               result later. Do not call it again meanwhile, and do not do the same in another way.";

/// Why a task has ended that its client has not asked about for long.
pub(crate) const FORGOTTEN: &str = "no one has asked about this task for 2 minutes: call the tool again with exactly the \
                                    same arguments to continue; no one is asked twice";

/// What is said of a task that its client has cancelled, and whether the call had begun to run.
pub(crate) fn cancelled(has_run: bool) -> &'static str {
    if has_run {
        "it was running already, and may have run: call the tool again with exactly the same arguments for its result"
    } else {
        "cancelled by the client: not run"
    }
}

/// What a model reads where it can correct nothing.
const WRONG_SETTING: &str = "Not run: the gate refuses what the operator has set for this proxy.";
const TELL_OPERATOR: &str =
    "Do not call it again: tell the operator, who finds the cause in the proxy's log.";

/// The answer of a call whose time is over.
pub(crate) fn so_far(stage: &Stage, is_stateless: bool) -> Answer {
    let words = match stage {
        Stage::Pending(approval) => Words {
            text: format!(
                "PENDING, not run yet: {}. Call the same tool again with exactly the same arguments to continue; no one \
                 is asked twice. Wait at least {PAUSE} seconds before that, and do not do the same in another way.",
                pending(approval)
            ),
            status: "pending",
            approval: Some(facts(approval)),
        },
        Stage::Running => Words::new(
            "running",
            "RUNNING: approved, and the tool has not answered yet. Call the same tool again with exactly the same \
             arguments to get its result; it does not run twice.",
        ),
        Stage::Away => Words::new(
            "unavailable",
            "Not run: the gate, which asks people for approval, cannot be reached. Call the same tool again later, with \
             exactly the same arguments, if it is still needed.",
        ),
        Stage::Asking => Words::new(
            "asking",
            "PENDING, not run yet: the gate has not confirmed the request for approval. Call the same tool again with \
             exactly the same arguments to continue.",
        ),
        Stage::Ended(ended) => return end(ended.read(), is_stateless),
    };
    words.result(is_stateless)
}

/// The message of a progress notification.
pub(crate) fn progress(stage: &Stage) -> Option<String> {
    match stage {
        Stage::Pending(approval) => Some(format!("Not run yet: {}", pending(approval))),
        Stage::Running => Some("Approved: the tool runs".to_owned()),
        Stage::Asking | Stage::Away | Stage::Ended(_) => None,
    }
}

/// The answer of a call that has ended: the tool's own, if it has one.
pub(crate) fn end(end: &End, is_stateless: bool) -> Answer {
    let words = match end {
        End::Answered(answer) => return answer.clone(),
        End::Lost(Lost::ServerEnded) => Words::new(
            "unknown",
            "The tool server ended while it ran this call: it may have run, or a part of it. It is not run again. Do not \
             call it again: find out first.",
        ),
        End::Lost(Lost::Unreadable) => Words::new(
            "unknown",
            "The tool server ran this call, and its answer cannot be read: it may have run, or a part of it. It is not run \
             again. Do not call it again: find out first.",
        ),
        End::Forgotten => Words::new(
            "executed",
            "Not run again: exactly this call was approved and ran more than 10 minutes ago, and nothing has asked for its \
             result, which is no longer kept. Find out what it did. Call again only if it must run once more: people \
             are then asked again.",
        ),
        End::Refused { refusal, approval } => refused(refusal, approval.as_deref()),
    };
    words.result(is_stateless)
}

/// The words for a call that cannot be put before people.
pub(crate) fn unclear(error: &CallError) -> Words {
    let text = match error {
        CallError::Setting => format!("Not run, and no one was asked: {error}. {TELL_OPERATOR}"),
        _ => format!(
            "Not run, and no one was asked: the call cannot be shown to people exactly as it would run. {error}. Correct \
             it before you call again."
        ),
    };
    Words {
        text,
        status: "invalid",
        approval: None,
    }
}

fn refused(refusal: &Refusal, approval: Option<&Approval>) -> Words {
    let (status, text) = refusal_words(refusal, approval);
    Words {
        text,
        status,
        approval: approval.map(facts),
    }
}

fn refusal_words(refusal: &Refusal, approval: Option<&Approval>) -> (&'static str, String) {
    let again = "Call again only if it is still needed: people are then asked again.";
    // By the last answer before the claim.
    let was_approved = approval.is_some_and(|it| it.status == Status::Approved);
    match refusal.reason {
        Reason::Rejected => ("rejected", rejected(refusal)),
        Reason::Timeout if was_approved => {
            let text =
                format!("Not run: it was approved, but nothing called to run it in time. {again}");
            ("lapsed", text)
        }
        Reason::Timeout => (
            "expired",
            format!("Not run: no one decided in time. {again}"),
        ),
        Reason::Cancelled => (
            "withdrawn",
            format!("Not run: the request was withdrawn. {again}"),
        ),
        Reason::Used => used(refusal, approval, again),
        Reason::Denied => ("denied", refusal.to_string()),
        Reason::RejectedBefore => ("rejected", refusal.to_string()),
        Reason::Undeliverable => ("undeliverable", refusal.to_string()),
        Reason::Revoked => ("revoked", refusal.to_string()),
        Reason::Paused => ("paused", refusal.to_string()),
        Reason::Invalid if wrong_setting(refusal).is_some() => {
            ("invalid", format!("{WRONG_SETTING} {TELL_OPERATOR}"))
        }
        Reason::Invalid => ("invalid", refusal.to_string()),
        _ => ("unavailable", refusal.to_string()),
    }
}

fn rejected(refusal: &Refusal) -> String {
    let by = refusal.by.as_deref().unwrap_or("an approver");
    let comment = match &refusal.comment {
        Some(comment) => format!(" The approver's comment: {}.", json!(comment)),
        None => String::new(),
    };
    match refusal.question() {
        Some(question) => format!(
            "Not run: rejected by {by}, who asks for a change: {}.{comment} Call again, with arguments changed \
             accordingly: people are then asked again. Do not do the same in another way.",
            json!(question)
        ),
        None => format!(
            "Not run: rejected by {by}.{comment} Do not call it again, and do not do the same in another way, unless the \
             comment asks for a change."
        ),
    }
}

/// The approval was claimed by another process, or by this one before it was interrupted.
fn used(refusal: &Refusal, approval: Option<&Approval>, again: &str) -> (&'static str, String) {
    let (_, error) = execution(approval);
    let is_unused = error.is_some_and(|error| error.starts_with(NOT_RUN));
    let is_given_up = error.is_some_and(|error| error.starts_with(GIVEN_UP));
    match refusal.execution {
        Some(ExecutionStatus::Executed) => {
            let text = format!(
                "Not run again: another process used the approval and ran exactly this call; it has the result. {again}"
            );
            ("executed", text)
        }
        Some(ExecutionStatus::ExecutionFailed) if is_unused => {
            let text = format!(
                "Not run: the approval was used up by another process, whose client went away before it ran. {again}"
            );
            ("lapsed", text)
        }
        Some(ExecutionStatus::ExecutionFailed) if !is_given_up => {
            let text = format!(
                "Not run again: the approval was used before, and the call failed. {again}"
            );
            ("failed", text)
        }
        _ => {
            let mut text = "Not run again: the approval was used before, by another process or before an interruption, \
                            and the call may have run, or may still be running. Do not call it again: find out first."
                .to_owned();
            if refusal.execution == Some(ExecutionStatus::Executing) {
                text += " The same call gets this answer until the gate has an outcome, or no longer expects one (after \
                         a day, by default).";
            }
            ("unknown", text)
        }
    }
}

fn execution(approval: Option<&Approval>) -> (Option<ExecutionStatus>, Option<&str>) {
    let execution = approval.and_then(|approval| approval.execution.as_ref());
    (
        execution.map(|execution| execution.status),
        execution.and_then(|execution| execution.error.as_deref()),
    )
}

fn pending(approval: &Approval) -> String {
    let votes = match &approval.progress {
        Some(progress) if progress.needed > 1 || progress.stages > 1 => format!(
            " ({} of {} approvals, stage {} of {})",
            progress.given, progress.needed, progress.stage, progress.stages
        ),
        _ => String::new(),
    };
    let people = match approval.notifications.as_slice() {
        [] => "people must approve this call".to_owned(),
        asked => {
            let asked: Vec<&str> = asked.iter().map(|it| it.approver.as_str()).collect();
            format!("{} must approve this call", shorten(&asked))
        }
    };
    format!("{people}{votes}, until {}", approval.expires_at)
}

/// At most three addresses.
fn shorten(asked: &[&str]) -> String {
    match asked.len() {
        0..=3 => asked.join(" or "),
        count => format!("{} or {} others", asked[..2].join(", "), count - 2),
    }
}

fn facts(approval: &Approval) -> Value {
    json!({"id": approval.id, "expiresAt": approval.expires_at})
}

impl Words {
    fn new(status: &'static str, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            status,
            approval: None,
        }
    }

    /// The error of a request that asked for a task, and gets none.
    pub(crate) fn error(&self) -> Answer {
        error(&self.text)
    }

    /// The result of `tools/call`. In stateless revisions of the protocol, each result names its type.
    pub(crate) fn result(&self, is_stateless: bool) -> Answer {
        let mut facts = json!({"status": self.status});
        if let Some(Value::Object(approval)) = &self.approval {
            for (name, value) in approval {
                facts[name] = value.clone();
            }
        }
        if self.status == "pending" {
            facts["retryAfterSeconds"] = PAUSE.into();
        }
        let mut result = json!({
            "content": [{"type": "text", "text": self.text}],
            "isError": true,
            "_meta": {"human-oversight/approval": facts},
        });
        if is_stateless {
            result["resultType"] = "complete".into();
        }
        answer(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_status_and_says_that_nothing_ran() {
        let reasons = [
            (Reason::Rejected, "rejected"),
            (Reason::Timeout, "expired"),
            (Reason::Cancelled, "withdrawn"),
            (Reason::Denied, "denied"),
            (Reason::Undeliverable, "undeliverable"),
            (Reason::Revoked, "revoked"),
            (Reason::Paused, "paused"),
            (Reason::Invalid, "invalid"),
            (Reason::Unreachable, "unavailable"),
            (Reason::Misconfigured, "unavailable"),
            (Reason::Unverified, "unavailable"),
        ];
        for (reason, status) in reasons {
            let refusal = Refusal::new(reason);
            let words = refused(&refusal, None);
            assert_eq!(words.status, status);
            assert!(words.text.starts_with("Not run"), "{}", words.text);
            let Answer::Result(result) = words.result(false) else {
                panic!("{status}");
            };
            let result: Value = serde_json::from_str(result.get()).unwrap();
            assert_eq!(result["isError"], true);
            assert_eq!(
                result["_meta"]["human-oversight/approval"]["status"],
                status
            );
        }
    }

    #[test]
    fn only_what_was_approved_has_lapsed() {
        let mut approval = json!({
            "id": "YQ.b", "correlationId": "b", "agentName": "a", "actionDescription": "Call", "parametersDigest": "",
            "requestTimestamp": "", "expiresAt": "", "notifications": [], "deliverable": "ok", "statusUrl": "",
        });
        for (status, expected) in [("Timeout", "expired"), ("Approved", "lapsed")] {
            approval["status"] = status.into();
            let approval = serde_json::from_value(approval.clone()).unwrap();
            for detail in [None, Some("why".to_owned())] {
                let mut refusal = Refusal::new(Reason::Timeout);
                refusal.detail = detail;
                assert_eq!(refused(&refusal, Some(&approval)).status, expected);
            }
        }
    }

    #[test]
    fn an_end_that_is_repeated_says_until_when() {
        for (execution, is_repeated) in [
            (ExecutionStatus::Executing, true),
            (ExecutionStatus::ExecutionUnknown, false),
        ] {
            let mut refusal = Refusal::new(Reason::Used);
            refusal.execution = Some(execution);
            let words = refused(&refusal, None);
            assert_eq!(words.status, "unknown");
            assert_eq!(
                words.text.contains("until the gate has an outcome"),
                is_repeated
            );
        }
    }
}
