//! Models how the handlers and the store apply transitions, and the bugs that they could have.

use human_oversight::domain::{
    Approval, ClaimResult, DecisionResult, DecisionStep, Execution, NotRevocable, Notice,
    NotificationSettings, Revocation, Revoker, State, Status,
};
use human_oversight::values::Timestamp;

use crate::forms::{claim, form, record_ballot, revoke};

use super::{
    Actor, Call, Gate, Pause, PreparedWrite, ROLES, Response, Role, Row, Stage, WITHIN, World, at,
};

pub(super) const NO_NOTICES: NotificationSettings = NotificationSettings {
    reminders: false,
    outcome: false,
    withdrawn: false,
};

/// Bugs seeded into the gate or the client, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    UnconditionalWrite,
    UnconditionalSweep,
    UnconditionalClaim,
    ExpiryOnlyInTheSweep,
    LapseOnlyInTheSweep,
    SharedNonce,
    NoClaim,
    LostResponseIsFailure,
    RespondedBeforeWritten,
    RerunAfterCrash,
    AnyPermit,
    /// The pause of a claim comes from a cache.
    PauseFromACache,
    /// The write of a claim is sent whenever its turn comes.
    LateClaim,
    /// A claim does not see that the approval is revoked.
    RevocationUnseen,
    /// A revocation is written whatever has happened since its row was read.
    RevocationOverClaim,
}

/// The permit that the gate has given out.
pub(super) fn permit(row: &Approval) -> Option<&str> {
    let State::Approved { execution, .. } = &row.state else {
        return None;
    };
    match execution {
        Execution::Executing { claim, .. }
        | Execution::Executed { claim, .. }
        | Execution::Failed { claim, .. }
        | Execution::Unknown { claim, .. } => claim.permit.as_deref(),
        _ => None,
    }
}

impl Gate {
    fn nonce(&self, index: usize, life: u8) -> String {
        match self.bug {
            Bug::SharedNonce => "shared".to_owned(),
            _ => format!("{index}-{life}"),
        }
    }

    /// Whether an agent takes a permit for the answer to its own claim.
    pub(super) fn accepts(&self, permit: &str, index: usize, life: u8) -> bool {
        let own = claim(&self.nonce(index, life)).permit;
        self.bug == Bug::AnyPermit || own.as_deref() == Some(permit)
    }

    /// Applies a call's transition to the row that was read, as a handler does.
    pub(super) fn evaluate(
        &self,
        index: usize,
        life: u8,
        call: Call,
        row: &mut Approval,
        now: u8,
    ) -> Response {
        let now = at(now);
        match call {
            Call::Decide => self.decide(index, row, now),
            Call::Sweep => {
                row.apply_timeouts(WITHIN, now);
                drop_notices(row);
                let attempts = row.lease_deliveries(NO_NOTICES, now);
                assert_eq!(attempts, []);
                Response::SweepDone
            }
            Call::Status => Response::Status(row.status(now)),
            Call::Claim => {
                let lapses_unseen = self.bug == Bug::LapseOnlyInTheSweep
                    && matches!(row.state, State::Approved { .. });
                let nonce = self.nonce(index, life);
                if let (Bug::RevocationUnseen, State::Approved { execution, .. }) =
                    (self.bug, &mut row.state)
                    && matches!(execution, Execution::Revoked { .. })
                {
                    *execution = Execution::Awaited;
                }
                let evaluated_at = if lapses_unseen { at(0) } else { now };
                let claimed = row.claim(claim(&nonce), evaluated_at);
                if let (true, Some(event)) = (lapses_unseen, row.history.last_mut()) {
                    event.at = now;
                }
                match claimed {
                    ClaimResult::Granted => Response::Granted,
                    ClaimResult::Refused => Response::Refused(row.status(now)),
                }
            }
            Call::Report => match row.report(Ok(()), now) {
                Ok(()) => Response::Reported,
                Err(_) => Response::Status(row.status(now)),
            },
            Call::Revoke => {
                let result = revoke(row, index, now);
                drop_notices(row);
                match result {
                    // Closed by the operator's revocation.
                    DecisionResult::Revoked | DecisionResult::AlreadyClosed => Response::Revoked,
                    _ => Response::NotRevoked,
                }
            }
            Call::Withdraw => match row.withdraw(now) {
                Ok(()) => Response::Withdrawn,
                Err(_) => Response::Status(row.status(now)),
            },
        }
    }

    fn decide(&self, index: usize, row: &mut Approval, now: Timestamp) -> Response {
        let Role::Approver(verdict) = ROLES[index] else {
            unreachable!("an approver decides")
        };
        let evaluated_at = match self.bug {
            Bug::ExpiryOnlyInTheSweep => at(0),
            _ => now,
        };
        let form = form(index, verdict, None);
        let result = match row.judge_form(&form, evaluated_at) {
            DecisionStep::Sign(mut ballot) => {
                ballot.at = now;
                record_ballot(row, ballot, WITHIN)
            }
            DecisionStep::Done(result) => result,
        };
        match result {
            DecisionResult::Recorded => Response::Recorded,
            DecisionResult::AlreadyClosed => Response::AlreadyClosed,
            DecisionResult::Late => Response::Late,
            refused => unreachable!("a current form with the right code: {refused:?}"),
        }
    }

    /// Whether a write is applied although the row has changed since it was read.
    fn overwrites(&self, call: Call) -> bool {
        match self.bug {
            Bug::UnconditionalWrite => true,
            Bug::UnconditionalSweep => call == Call::Sweep,
            Bug::UnconditionalClaim => call == Call::Claim,
            Bug::RevocationOverClaim => call == Call::Revoke,
            _ => false,
        }
    }

    /// Ends a call: the actor receives its response.
    pub(super) fn respond(&self, actor: &mut Actor, response: Response) {
        actor.call = None;
        actor.stage = match (actor.stage, response) {
            (_, Response::Granted) => Stage::MayRun,
            (_, Response::Status(Status::Approved)) if self.bug == Bug::NoClaim => Stage::MayRun,
            // Not final: the actor repeats the call or makes another one.
            (stage, Response::Status(Status::Pending | Status::Approved))
            | (
                stage,
                Response::Refused(Status::Pending) | Response::Paused | Response::SweepDone,
            ) => stage,
            (_, response) => Stage::Done(response),
        };
    }

    pub(super) fn write(&self, world: &mut World, index: usize, is_received: bool) -> Option<()> {
        let PreparedWrite {
            call,
            version,
            next,
            response,
            pause_read,
        } = world.actors[index].call.take()?;
        // A claim whose pause was read more than 10 s ago reads again.
        let is_late = pause_read.is_some_and(|(read_at, _)| world.now > read_at);
        let is_sent = !is_late || self.bug == Bug::LateClaim;
        let is_applied = is_sent && (world.row.version == version || self.overwrites(call));
        if is_applied {
            if let (Some((_, was_paused)), Pause::Since(since)) = (pause_read, world.pause) {
                world.claimed_while_paused |= was_paused || world.now > since;
            }
            let before = &world.row.approval.history;
            world.rewritten |= !next.approval.history.starts_with(before);
            world.row = Row {
                version: world.row.version + 1,
                ..next
            };
        }
        let actor = &mut world.actors[index];
        match (is_applied, is_received) {
            (true, true) => self.respond(actor, response),
            (true, false) if self.bug == Bug::LostResponseIsFailure => {
                self.respond(actor, Response::Failed)
            }
            (true, false) => {}
            // A conflict: the actor's next call, the same or another, reads the row again.
            (false, true) => {}
            (false, false) => return None,
        }
        Some(())
    }
}

/// Whether the operator's revocation is recorded; `false` if the approval is revoked already.
pub(super) fn revoke_for_operator(
    row: &mut Approval,
    now: Timestamp,
) -> Result<bool, NotRevocable> {
    if !row.check_revocable(now)? {
        return Ok(false);
    }
    let revocation = Revocation {
        by: Revoker::Operator,
        proof: "revocation".to_owned(),
    };
    row.record_revocation(revocation, now)?;
    drop_notices(row);
    Ok(true)
}

/// Email is not modelled.
fn drop_notices(row: &mut Approval) {
    for approver in &mut row.approvers {
        approver
            .deliveries
            .retain(|it| !matches!(it.notice, Notice::Revocation | Notice::Failure));
    }
}

pub(super) fn is_decided_by(row: &Approval, index: usize) -> bool {
    let Role::Approver(verdict) = ROLES[index] else {
        return false;
    };
    row.signed_decision().is_some_and(|(decision, _)| {
        decision.by.person() == Some(&row.approvers[index].address) && decision.verdict() == verdict
    })
}
