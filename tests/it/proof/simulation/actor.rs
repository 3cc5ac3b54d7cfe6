//! The callers of the gate: two agents, two approvers and the operator for each request, and one sweep for
//! all. An actor that gets no response, or 503, repeats the call.

use human_oversight::app::App;
use human_oversight::domain::{Status, Verdict};
use human_oversight::values::ApprovalId;
use serde_json::json;

use super::ledger::Fact;
use super::{Call, Random, Response};

/// The number of concurrent requests.
pub(super) const REQUESTS: usize = 2;

const APPROVERS: [&str; 2] = ["alice@example.com", "bob@example.com"];

pub(super) fn id(request: usize) -> ApprovalId {
    ApprovalId::new("agent", &format!("request-{request}")).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Two agents share a request; one of them submits it.
    Agent {
        submits: bool,
    },
    Approver(usize),
    /// Revokes the approval, if there is one.
    Operator,
    Sweep,
}

/// The next step of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Submit,
    Poll,
    Status,
    Claim,
    Withdraw,
    Run,
    Report,
    Approve,
    MistypeCode,
    Reject,
    Revoke,
    RevokeAsOperator,
    Sweep,
    Nothing,
}

#[derive(Debug)]
pub(super) struct Actor {
    role: Role,
    request: usize,
    next: Next,
    /// Counts an agent's restarts: each has a new nonce.
    life: u32,
    /// Whether an approver revokes what they have approved.
    revokes: bool,
}

/// All actors; the sweep is the last.
pub(super) fn new_actors(random: &mut Random) -> Vec<Actor> {
    let mut actors = Vec::new();
    let actor = |role, request, next| Actor {
        role,
        request,
        next,
        life: 0,
        revokes: false,
    };
    for request in 0..REQUESTS {
        actors.push(actor(Role::Agent { submits: true }, request, Next::Submit));
        actors.push(actor(Role::Agent { submits: false }, request, Next::Poll));
        for approver in 0..APPROVERS.len() {
            let choices = [
                Next::Approve,
                Next::Approve,
                Next::Reject,
                Next::MistypeCode,
            ];
            actors.push(Actor {
                revokes: random.one_in(4),
                ..actor(Role::Approver(approver), request, random.of(&choices))
            });
        }
        actors.push(actor(Role::Operator, request, Next::RevokeAsOperator));
    }
    actors.push(actor(Role::Sweep, 0, Next::Sweep));
    actors
}

impl Actor {
    fn nonce(&self) -> String {
        let Role::Agent { submits } = self.role else {
            unreachable!("an agent claims")
        };
        format!("nonce-of-agent-{submits}-{}", self.life)
    }

    /// Between two calls, an agent may crash and restart, or run the action.
    pub(super) fn act_between_calls(&mut self, random: &mut Random) -> Option<Fact> {
        let is_agent = matches!(self.role, Role::Agent { .. });
        if is_agent && random.one_in(40) && !matches!(self.next, Next::Submit | Next::Nothing) {
            self.life += 1;
            self.next = Next::Poll;
        }
        if self.next != Next::Run {
            return None;
        }
        self.next = Next::Report;
        Some(Fact::Runs(self.nonce()))
    }

    /// The next call, if there is one.
    pub(super) async fn next(&mut self, gate: &App, random: &mut Random) -> Option<Call> {
        if matches!(
            self.next,
            Next::Poll | Next::Status | Next::Claim | Next::Withdraw
        ) {
            self.next = match random.below(20) {
                0 => Next::Withdraw,
                1..=8 => Next::Status,
                _ => Next::Claim,
            };
        }
        let id = id(self.request);
        let call = |function, body| Call::post(&format!("/api/{function}/{id}"), &body);
        Some(match self.next {
            Next::Nothing | Next::Poll | Next::Run => return None,
            Next::Submit => Call::post(
                "/api/submit",
                &json!({
                    "agentName": "agent",
                    "correlationId": id.correlation(),
                    "actionDescription": "Delete User Account",
                    "parameters": {"user_id": "1"},
                    "approverEmails": APPROVERS,
                }),
            ),
            Next::Status => Call::get(&format!("/api/status/{id}")),
            Next::Claim => call("claim", json!({"nonce": self.nonce()})),
            Next::Report => call("outcome", json!({"status": "Executed"})),
            Next::Withdraw => call("withdraw", json!({})),
            Next::Sweep => Call::post("/sweep", &json!({})),
            Next::RevokeAsOperator => {
                // Otherwise nothing would ever be claimed.
                if !random.one_in(20) {
                    return None;
                }
                let body = json!({"command": "revoke", "id": id.to_string()});
                Call::post("/api/operate", &body)
            }
            Next::Approve | Next::MistypeCode | Next::Reject | Next::Revoke => {
                let Role::Approver(index) = self.role else {
                    unreachable!("an approver decides")
                };
                let row = gate.store.get(&id).await.ok()?.approval;
                let code = gate.link_keys.one_time_code(&row, index).unwrap();
                let (decision, code) = match self.next {
                    Next::Reject => ("reject", String::new()),
                    Next::Approve => ("approve", code),
                    Next::Revoke => ("revoke", code),
                    _ if code == "000000" => ("approve", "000001".to_owned()),
                    _ => ("approve", "000000".to_owned()),
                };
                Call::decide(gate, &row, index, decision, &code)
            }
        })
    }

    /// Handles a response, and returns the fact that it establishes for good.
    pub(super) fn handle(&mut self, response: &Response) -> Option<Fact> {
        let approver = |verdict| match self.role {
            Role::Approver(index) => (APPROVERS[index], verdict),
            _ => unreachable!("an approver decides"),
        };
        let final_status = |status| Some(Fact::Final(status));
        let (next, fact) = match (self.next, response.status) {
            (next, 503) => (next, None),
            (Next::Sweep, 200) => (Next::Sweep, None),
            (Next::Submit, 200 | 202) => (Next::Poll, Some(Fact::Submitted)),
            // While paused.
            (next @ Next::Submit, 403) => (next, None),
            (Next::Claim, 403) => (Next::Poll, None),
            // The other agent has not submitted the request yet.
            (Next::Status | Next::Claim | Next::Withdraw, 404) => (Next::Poll, None),
            (Next::Status, 200) => {
                let status = response.json()["status"]
                    .as_str()
                    .and_then(Status::from_word);
                match status.unwrap() {
                    Status::Pending | Status::Approved => (Next::Poll, None),
                    // A status request writes nothing: a decision made in time may still be stored.
                    Status::Timeout => (Next::Nothing, None),
                    status => (Next::Nothing, final_status(status)),
                }
            }
            (Next::Claim, 200) => (Next::Run, Some(Fact::Claimed(self.nonce()))),
            (Next::Claim, 409) => match response.status_in_conflict() {
                Status::Pending => (Next::Poll, None),
                Status::Approved => (Next::Nothing, Some(Fact::Refused(self.nonce()))),
                status => (Next::Nothing, final_status(status)),
            },
            (Next::Report, 200) => (Next::Nothing, Some(Fact::Reported)),
            (Next::Withdraw, 200) => (Next::Nothing, final_status(Status::Cancelled)),
            (Next::Withdraw, 409) => match response.status_in_conflict() {
                Status::Approved => (Next::Poll, None),
                Status::Timeout => (Next::Nothing, None),
                status => (Next::Nothing, final_status(status)),
            },
            (Next::MistypeCode, 403) => (Next::Approve, None),
            (Next::Revoke | Next::RevokeAsOperator, 200 | 303) => {
                (Next::Nothing, Some(Fact::Revoked))
            }
            // It was claimed or has lapsed, or the operator has revoked it.
            (Next::Revoke, 409) => (Next::Nothing, None),
            // There is nothing to revoke yet, or no longer.
            (next @ Next::RevokeAsOperator, 409 | 422) => (next, None),
            (next @ (Next::Approve | Next::MistypeCode | Next::Reject), status) => {
                let (by, verdict) = approver(match next {
                    Next::Reject => Verdict::Reject,
                    _ => Verdict::Approve,
                });
                let fact = match status {
                    303 => Fact::Decided(by, verdict),
                    409 => Fact::DecidedOtherwise(by, verdict),
                    410 => Fact::Late,
                    other => panic!("{self:?} received {other}: {}", response.body),
                };
                let goes_on = self.revokes && fact == Fact::Decided(by, Verdict::Approve);
                let next = if goes_on { Next::Revoke } else { Next::Nothing };
                (next, Some(fact))
            }
            (_, other) => panic!("{self:?} received {other}: {}", response.body),
        };
        self.next = next;
        fact
    }

    pub(super) fn is_done(&self) -> bool {
        self.next == Next::Nothing
    }

    pub(super) fn request(&self) -> usize {
        self.request
    }
}
