//! Who calls the gate: for each request two agents that share it and two approvers; and one sweep for
//! all. Whoever gets no answer, or 503, calls again.

use human_oversight::app::App;
use human_oversight::domain::{Status, Verdict};
use human_oversight::values::ApprovalId;
use serde_json::json;

use super::ledger::Fact;
use super::{Call, Heard, Random};

/// So many requests are there at once.
pub(super) const REQUESTS: usize = 2;

const APPROVERS: [&str; 2] = ["alice@example.com", "bob@example.com"];

pub(super) fn id(request: usize) -> ApprovalId {
    ApprovalId::new("agent", &format!("request-{request}")).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Asks, unless the other one does.
    Agent {
        asks: bool,
    },
    Approver(usize),
    Sweep,
}

/// What an agent or an approver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Submit,
    Ask,
    Status,
    Claim,
    Withdraw,
    Run,
    Report,
    Approve,
    MistypeCode,
    Reject,
    Sweep,
    Nothing,
}

#[derive(Debug)]
pub(super) struct Actor {
    role: Role,
    request: usize,
    next: Next,
    /// An agent that dies forgets its nonce.
    life: u32,
}

/// Everybody, the sweep at the end.
pub(super) fn cast(random: &mut Random) -> Vec<Actor> {
    let mut actors = Vec::new();
    let actor = |role, request, next| Actor {
        role,
        request,
        next,
        life: 0,
    };
    for request in 0..REQUESTS {
        actors.push(actor(Role::Agent { asks: true }, request, Next::Submit));
        actors.push(actor(Role::Agent { asks: false }, request, Next::Ask));
        for approver in 0..APPROVERS.len() {
            let choices = [
                Next::Approve,
                Next::Approve,
                Next::Reject,
                Next::MistypeCode,
            ];
            actors.push(actor(
                Role::Approver(approver),
                request,
                random.of(&choices),
            ));
        }
    }
    actors.push(actor(Role::Sweep, 0, Next::Sweep));
    actors
}

impl Actor {
    fn nonce(&self) -> String {
        let Role::Agent { asks } = self.role else {
            unreachable!("an agent claims")
        };
        format!("nonce-of-agent-{asks}-{}", self.life)
    }

    /// What happens to somebody between two calls: an agent dies and begins anew, or runs the action.
    pub(super) fn live(&mut self, random: &mut Random) -> Option<Fact> {
        let is_agent = matches!(self.role, Role::Agent { .. });
        if is_agent && random.one_in(40) && !matches!(self.next, Next::Submit | Next::Nothing) {
            self.life += 1;
            self.next = Next::Ask;
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
            Next::Ask | Next::Status | Next::Claim | Next::Withdraw
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
            Next::Nothing | Next::Ask | Next::Run => return None,
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
            Next::Approve | Next::MistypeCode | Next::Reject => {
                let Role::Approver(index) = self.role else {
                    unreachable!("an approver decides")
                };
                let row = gate.store.get(&id).await.ok()?.approval;
                let code = gate.link_keys.one_time_code(&row, index).unwrap();
                let (decision, code) = match self.next {
                    Next::Reject => ("reject", String::new()),
                    Next::Approve => ("approve", code),
                    _ if code == "000000" => ("approve", "000001".to_owned()),
                    _ => ("approve", "000000".to_owned()),
                };
                Call::decide(gate, &row, index, decision, &code)
            }
        })
    }

    /// What an answer says for good.
    pub(super) fn hear(&mut self, heard: &Heard) -> Option<Fact> {
        let approver = |verdict| match self.role {
            Role::Approver(index) => (APPROVERS[index], verdict),
            _ => unreachable!("an approver decides"),
        };
        let stands = |status| Some(Fact::Stands(status));
        let (next, fact) = match (self.next, heard.status) {
            (next, 503) => (next, None),
            (Next::Sweep, 200) => (Next::Sweep, None),
            (Next::Submit, 200 | 202) => (Next::Ask, Some(Fact::Asked)),
            // The other agent has not asked yet.
            (Next::Status | Next::Claim | Next::Withdraw, 404) => (Next::Ask, None),
            (Next::Status, 200) => {
                let status = heard.json()["status"].as_str().and_then(Status::from_word);
                match status.unwrap() {
                    Status::Pending | Status::Approved => (Next::Ask, None),
                    // A reading writes nothing: a decision that was made in time may yet be stored.
                    Status::Timeout => (Next::Nothing, None),
                    status => (Next::Nothing, stands(status)),
                }
            }
            (Next::Claim, 200) => (Next::Run, Some(Fact::Claimed(self.nonce()))),
            (Next::Claim, 409) => match heard.standing() {
                Status::Pending => (Next::Ask, None),
                Status::Approved => (Next::Nothing, Some(Fact::Refused(self.nonce()))),
                status => (Next::Nothing, stands(status)),
            },
            (Next::Report, 200) => (Next::Nothing, Some(Fact::Reported)),
            (Next::Withdraw, 200) => (Next::Nothing, stands(Status::Cancelled)),
            (Next::Withdraw, 409) => match heard.standing() {
                Status::Approved => (Next::Ask, None),
                Status::Timeout => (Next::Nothing, None),
                status => (Next::Nothing, stands(status)),
            },
            (Next::MistypeCode, 403) => (Next::Approve, None),
            (next @ (Next::Approve | Next::MistypeCode | Next::Reject), status) => {
                let (by, verdict) = approver(match next {
                    Next::Reject => Verdict::Reject,
                    _ => Verdict::Approve,
                });
                let fact = match status {
                    303 => Fact::Decided(by, verdict),
                    409 => Fact::DecidedOtherwise(by, verdict),
                    410 => Fact::Late,
                    other => panic!("{self:?} was answered {other}: {}", heard.body),
                };
                (Next::Nothing, Some(fact))
            }
            (_, other) => panic!("{self:?} was answered {other}: {}", heard.body),
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
