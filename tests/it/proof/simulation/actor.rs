//! The callers of the gate: two agents, the approvers and the operator for each request, and one sweep for all. Under a
//! policy there is one request, and its approvers vote, also out of turn and a second time, and hand their seats over.
//! An actor that gets no response, or 503, repeats the call.

use human_oversight::app::App;
use human_oversight::domain::{DeliveryState, Status, Verdict};
use human_oversight::values::ApprovalId;
use serde_json::json;

use super::delivery;
use super::ledger::Fact;
use super::quorum::RECEIVERS;
use super::{Call, Random, Response};

/// The most concurrent requests.
pub(super) const REQUESTS: usize = 4;

const APPROVERS: [&str; 2] = ["alice@example.com", "bob@example.com"];

/// The people of the policy: those of its stages, a lead, a substitute, and those to whom a seat is handed over.
const VOTERS: usize = 7 + RECEIVERS.len();

/// The amounts of a payment: one rejection ends the first, two the second.
const AMOUNTS: [u32; 2] = [90, 5_000];

pub(super) fn id(request: usize) -> ApprovalId {
    ApprovalId::new("agent", &format!("request-{request}")).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Two agents share a request; one of them submits it.
    Agent {
        submits: bool,
    },
    Approver(usize),
    /// Revokes the approval, if there is one.
    Operator,
    /// Reports on the emails.
    MailService,
    Sweep,
}

/// The next step of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Submit,
    Poll,
    Status,
    Claim,
    Withdraw,
    Run,
    Report,
    HandOver,
    /// Approves, and gives a standing grant of this many uses.
    ApproveWithGrant(u16),
    EndGrant,
    Approve,
    MistypeCode,
    Reject,
    VoteAgain,
    Revoke,
    RevokeAsOperator,
    /// Reports that the email to the approver at this index bounced.
    Bounce(usize),
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
    /// What an approver tries after their vote.
    again: Option<Verdict>,
    /// To whom an approver hands their seat over, if they do.
    receiver: &'static str,
    /// The amount of a payment under the policy; without one the agent names the approvers.
    amount: Option<u32>,
}

/// All actors, of whom the approvers decide without a grant; the sweep is the last.
pub(super) fn new_actors(random: &mut Random, has_policy: bool) -> Vec<Actor> {
    let mut actors = Vec::new();
    let (requests, approvers) = if has_policy {
        (1, VOTERS)
    } else {
        (2, APPROVERS.len())
    };
    let amount = has_policy.then(|| random.of(&AMOUNTS));
    let actor = |role, request, next| Actor::new(role, request, next, amount);
    for request in 0..requests {
        actors.push(actor(Role::Agent { submits: true }, request, Next::Submit));
        actors.push(actor(Role::Agent { submits: false }, request, Next::Poll));
        for approver in 0..approvers {
            let choices = [
                Next::Approve,
                Next::Approve,
                Next::Reject,
                Next::MistypeCode,
            ];
            let votes = [
                Next::Approve,
                Next::Approve,
                Next::Approve,
                Next::HandOver,
                Next::MistypeCode,
                Next::Nothing,
            ];
            let again = [None, Some(Verdict::Approve), Some(Verdict::Reject)];
            let is_voter = has_policy && !random.one_in(7);
            actors.push(Actor {
                revokes: random.one_in(if has_policy { 8 } else { 4 }),
                again: has_policy.then(|| random.of(&again)).flatten(),
                receiver: random.of(&RECEIVERS),
                ..actor(
                    Role::Approver(approver),
                    request,
                    if is_voter {
                        random.of(&votes)
                    } else {
                        random.of(&choices)
                    },
                )
            });
        }
        actors.push(actor(Role::Operator, request, Next::RevokeAsOperator));
    }
    actors.push(actor(Role::Sweep, 0, Next::Sweep));
    actors
}

impl Actor {
    pub(super) fn new(role: Role, request: usize, next: Next, amount: Option<u32>) -> Self {
        Self {
            role,
            request,
            next,
            life: 0,
            revokes: false,
            again: None,
            receiver: RECEIVERS[0],
            amount,
        }
    }

    pub(super) fn is_approver(&self) -> bool {
        matches!(self.role, Role::Approver(_))
    }

    pub(super) fn submits(&self) -> bool {
        self.next == Next::Submit
    }

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
            Next::Submit => {
                let mut body = json!({
                    "agentName": "agent",
                    "correlationId": id.correlation(),
                    "actionDescription": "Delete User Account",
                });
                match self.amount {
                    Some(amount) => body["parameters"] = json!({"amount": amount}),
                    None => {
                        body["parameters"] = json!({"user_id": "1"});
                        body["approverEmails"] = json!(APPROVERS);
                    }
                }
                Call::post("/api/submit", &body)
            }
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
            Next::Bounce(approver) => {
                let row = gate.store.get(&id).await.ok()?.approval;
                delivery::call(gate, &row, approver).await?
            }
            Next::HandOver
            | Next::ApproveWithGrant(_)
            | Next::EndGrant
            | Next::Approve
            | Next::MistypeCode
            | Next::Reject
            | Next::VoteAgain
            | Next::Revoke => {
                let Role::Approver(index) = self.role else {
                    unreachable!("an approver decides")
                };
                let row = gate.store.get(&id).await.ok()?.approval;
                let approver = row.approvers.get(index)?;
                let delivery = approver.request_delivery();
                let has_email =
                    delivery.is_some_and(|it| matches!(it.state, DeliveryState::Sent(_)));
                // Few try before they have the email.
                if self.amount.is_some() && !has_email && !random.one_in(6) {
                    return None;
                }
                let code = gate.link_keys.one_time_code(&row, index).unwrap();
                let (decision, code) = match self.next {
                    Next::Reject => ("reject", String::new()),
                    Next::VoteAgain if self.again == Some(Verdict::Reject) => ("reject", code),
                    Next::Approve | Next::ApproveWithGrant(_) | Next::VoteAgain => {
                        ("approve", code)
                    }
                    Next::EndGrant => ("grant-revoke", code),
                    Next::Revoke => ("revoke", code),
                    Next::HandOver => ("hand-over", code),
                    _ if code == "000000" => ("approve", "000001".to_owned()),
                    _ => ("approve", "000000".to_owned()),
                };
                let call = Call::decide(gate, &row, index, decision, &code);
                match self.next {
                    Next::HandOver => {
                        call.with(&[("hand_over", self.receiver), ("reason", "On leave")])
                    }
                    Next::ApproveWithGrant(uses) => {
                        call.with(&[("grant", "900"), ("uses", &uses.to_string())])
                    }
                    _ => call,
                }
            }
        })
    }

    /// Handles a response, and returns the fact that it establishes for good.
    pub(super) fn handle(&mut self, response: &Response, random: &mut Random) -> Option<Fact> {
        let approver = || match self.role {
            Role::Approver(index) => index,
            _ => unreachable!("an approver decides"),
        };
        let final_status = |status| Some(Fact::Final(status));
        let (next, fact) = match (self.next, response.status) {
            (next, 503) => (next, None),
            (Next::Sweep, 200) => (Next::Sweep, None),
            (Next::Bounce(approver), 200) => {
                (delivery::next(random), Some(Fact::Bounced(approver)))
            }
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
            // The standing grant was ended.
            (Next::Claim, 409) if response.body.contains("approver_not_allowed") => {
                (Next::Nothing, None)
            }
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
            (Next::Revoke, 303) if self.amount.is_some() => {
                (self.next_after_vote(), Some(Fact::VoteRevoked(approver())))
            }
            (Next::Revoke | Next::RevokeAsOperator, 200 | 303) => {
                (Next::Nothing, Some(Fact::Revoked))
            }
            // It was claimed or has lapsed, or the operator has revoked it.
            (Next::Revoke, 409) => (Next::Nothing, None),
            // There is nothing to revoke yet, or no longer.
            (next @ Next::RevokeAsOperator, 409 | 422) => (next, None),
            (Next::ApproveWithGrant(_), 303) => (
                random.of(&[Next::EndGrant, Next::EndGrant, Next::Revoke, Next::Nothing]),
                Some(Fact::GrantGiven(approver())),
            ),
            // Approved, but the grant was not given.
            (Next::ApproveWithGrant(_), 200) => (
                Next::Nothing,
                Some(Fact::Voted(approver(), Verdict::Approve)),
            ),
            (Next::ApproveWithGrant(_), _) => self.handle_vote(approver(), response),
            (Next::EndGrant, 303) => (Next::Nothing, Some(Fact::GrantEnded)),
            // Its time is over.
            (Next::EndGrant, 409) => (Next::Nothing, None),
            // They try to vote all the same.
            (Next::HandOver, 303) => (Next::Approve, Some(Fact::HandedOver(approver()))),
            // The receiver has another seat, or the seat has no vote any more.
            (Next::HandOver, 409 | 422) => (Next::Approve, None),
            (Next::Approve | Next::MistypeCode | Next::Reject | Next::VoteAgain, _)
                if self.amount.is_some() =>
            {
                self.handle_vote(approver(), response)
            }
            (Next::Approve | Next::MistypeCode | Next::Reject, status) => {
                let (by, verdict) = (approver(), self.verdict());
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

    /// What an approver's form decides.
    fn verdict(&self) -> Verdict {
        match self.next {
            Next::Reject => Verdict::Reject,
            Next::VoteAgain => self.again.unwrap_or(Verdict::Approve),
            _ => Verdict::Approve,
        }
    }

    /// Handles the response to a vote of the person at this index.
    fn handle_vote(&self, by: usize, response: &Response) -> (Next, Option<Fact>) {
        let verdict = self.verdict();
        let says = |words| response.body.contains(words);
        let fact = match response.status {
            303 => Fact::Voted(by, verdict),
            409 if says("You have already voted") => Fact::VotedOtherwise(by, verdict),
            // Their stage is not open yet, or is over.
            409 if says("Your vote is not needed now") => return (self.next, None),
            // Their page showed an earlier stage.
            409 if says("That page was out of date") => return (self.next, None),
            409 if says("You have handed this over") => return (Next::Nothing, None),
            409 if says("You had decided before") => Fact::Closed,
            409 if says("before you decided") || says(" decided before you") => Fact::Closed,
            410 => Fact::Late,
            other => panic!("{self:?} received {other}: {}", response.body),
        };
        let next = match (self.next, &fact) {
            (Next::VoteAgain, _) => Next::Nothing,
            (_, Fact::Voted(_, Verdict::Approve)) if self.revokes => Next::Revoke,
            (_, Fact::Voted(..)) => self.next_after_vote(),
            _ => Next::Nothing,
        };
        (next, Some(fact))
    }

    fn next_after_vote(&self) -> Next {
        match self.again {
            Some(_) => Next::VoteAgain,
            None => Next::Nothing,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.next == Next::Nothing
    }

    pub(super) fn request(&self) -> usize {
        self.request
    }
}
