//! What the handlers and the adapter of the store do around the moves, as the model has it; and the
//! faults that they could have.

use human_oversight::domain::{
    Approval, ClaimResult, DecisionResult, DecisionStep, NotificationSettings, State, Status,
};
use human_oversight::values::Timestamp;

use crate::forms::form;

use super::{Actor, Call, Gate, Judged, ROLES, Role, Row, Stage, Told, WITHIN, World, at};

pub(super) const NO_NOTES: NotificationSettings = NotificationSettings {
    reminders: false,
    outcome: false,
    withdrawn: false,
};

/// A fault that the gate or the client could have, but must not; to see that each would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    UnconditionalWrite,
    UnconditionalSweep,
    UnconditionalClaim,
    ExpiryOnlyInTheSweep,
    LapseOnlyInTheSweep,
    ClaimForAnybody,
    NoClaim,
    LostAnswerIsFailure,
    AnsweredBeforeWritten,
    RerunAfterCrash,
}

impl Gate {
    /// What a handler does with the row that it has read.
    pub(super) fn judge(
        &self,
        index: usize,
        life: u8,
        call: Call,
        row: &mut Approval,
        now: u8,
    ) -> Told {
        let now = at(now);
        match call {
            Call::Decide => self.decide(index, row, now),
            Call::Tidy => {
                row.apply_timeouts(WITHIN, now);
                let mails = row.lease_deliveries(NO_NOTES, now);
                assert_eq!(mails, []);
                Told::Tidied
            }
            Call::Status => Told::Stands(row.status(now)),
            Call::Claim => {
                let lapses_unseen = self.bug == Bug::LapseOnlyInTheSweep
                    && matches!(row.state, State::Approved { .. });
                let nonce = match self.bug {
                    Bug::ClaimForAnybody => "anybody".to_owned(),
                    _ => format!("{index}-{life}"),
                };
                let judged_at = if lapses_unseen { at(0) } else { now };
                let claimed = row.claim(&nonce, judged_at);
                if let (true, Some(event)) = (lapses_unseen, row.history.last_mut()) {
                    event.at = now;
                }
                match claimed {
                    ClaimResult::Granted => Told::Granted,
                    ClaimResult::Refused => Told::Refused(row.status(now)),
                }
            }
            Call::Report => match row.report(Ok(()), now) {
                Ok(()) => Told::Reported,
                Err(_) => Told::Stands(row.status(now)),
            },
            Call::Withdraw => match row.withdraw(now) {
                Ok(()) => Told::Withdrawn,
                Err(_) => Told::Stands(row.status(now)),
            },
        }
    }

    fn decide(&self, index: usize, row: &mut Approval, now: Timestamp) -> Told {
        let Role::Approver(verdict) = ROLES[index] else {
            unreachable!("an approver decides")
        };
        let judged_at = match self.bug {
            Bug::ExpiryOnlyInTheSweep => at(0),
            _ => now,
        };
        let form = form(index, verdict, None);
        let result = match row.judge_form(&form, WITHIN, judged_at) {
            DecisionStep::Sign(mut proposal) => {
                proposal.at = now;
                proposal.run_by = proposal.run_by.map(|_| now + WITHIN);
                row.record_decision(proposal, "receipt".to_owned())
            }
            DecisionStep::Done(result) => result,
        };
        match result {
            DecisionResult::Recorded => Told::Recorded,
            DecisionResult::AlreadyClosed => Told::Another,
            DecisionResult::Late => Told::Late,
            refused => unreachable!("a current form with the right code: {refused:?}"),
        }
    }

    /// Whether a write takes place although somebody wrote since the row was read.
    fn overwrites(&self, call: Call) -> bool {
        match self.bug {
            Bug::UnconditionalWrite => true,
            Bug::UnconditionalSweep => call == Call::Tidy,
            Bug::UnconditionalClaim => call == Call::Claim,
            _ => false,
        }
    }

    /// The end of a call: the caller is told something.
    pub(super) fn tell(&self, actor: &mut Actor, told: Told) {
        actor.call = None;
        actor.stage = match (actor.stage, told) {
            (_, Told::Granted) => Stage::MayRun,
            (_, Told::Stands(Status::Approved)) if self.bug == Bug::NoClaim => Stage::MayRun,
            // Nothing that is final: it calls again, or does something else.
            (stage, Told::Stands(Status::Pending | Status::Approved))
            | (stage, Told::Refused(Status::Pending) | Told::Tidied) => stage,
            (_, told) => Stage::Done(told),
        };
    }

    pub(super) fn write(&self, world: &mut World, index: usize, is_heard: bool) -> Option<()> {
        let Judged {
            call,
            version,
            next,
            told,
        } = world.actors[index].call.take()?;
        let is_applied = world.row.version == version || self.overwrites(call);
        if is_applied {
            let before = &world.row.approval.history;
            world.rewritten |= !next.approval.history.starts_with(before);
            world.row = Row {
                version: world.row.version + 1,
                ..next
            };
        }
        let actor = &mut world.actors[index];
        match (is_applied, is_heard) {
            (true, true) => self.tell(actor, told),
            (true, false) if self.bug == Bug::LostAnswerIsFailure => self.tell(actor, Told::Failed),
            (true, false) => {}
            // Read and judged again: the next call is the same, or any other.
            (false, true) => {}
            (false, false) => return None,
        }
        Some(())
    }
}

pub(super) fn is_decided_by(row: &Approval, index: usize) -> bool {
    let Role::Approver(verdict) = ROLES[index] else {
        return false;
    };
    row.signed_decision().is_some_and(|(ruling, _)| {
        ruling.by == row.approvers[index].address && ruling.verdict() == verdict
    })
}
