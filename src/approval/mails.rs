//! The mails of a request, as part of its lifecycle: what is to be sent to whom and when, and what
//! became of it. The sending itself is elsewhere.

use std::time::Duration;

use super::{Approval, Approver, EventKind, State, Status, words};
use crate::timestamp::Timestamp;

/// One mail to one approver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What it says.
    pub kind: MailKind,
    /// How often sending it was begun.
    pub attempts: u32,
    /// Where it is.
    pub state: MailState,
    /// Why the last attempt failed, if it did.
    pub fault: Option<MailFault>,
}

words! {
    /// What a mail says.
    pub enum MailKind {
        /// The question.
        Question,
        /// The question again, at half of the request's life.
        Reminder,
        /// The question for the last time, at 85 % of its life.
        LastReminder,
        /// How it ended.
        Outcome,
    }
}

/// Where a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// To be sent (again) at this time.
    Queued(Timestamp),
    /// Somebody is sending it, and is given until this time to say how it went.
    Sending(Timestamp),
    /// The mail system took it.
    Sent(Timestamp),
    /// It can never arrive.
    Failed(Timestamp),
    /// Nobody said whether it was taken, twice in a row: it is not tried again.
    Unknown(Timestamp),
    /// It was not sent in time to be of use.
    Dropped(Timestamp),
}

/// A mail that is now ours to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which approver's.
    pub approver: usize,
    /// Which of their mails.
    pub kind: MailKind,
    /// Which attempt this is, from 1.
    pub number: u32,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailResult {
    /// The mail system took it.
    Sent,
    /// It did not, or perhaps not; and does not want to be asked again before this has passed.
    Failed(MailFault, Option<Duration>),
}

words! {
    /// Why an attempt failed.
    pub enum MailFault {
        /// Nobody is there, or the mail is not wanted.
        Refused,
        /// The mail system is down or busy.
        Unavailable,
        /// The gate is not set up as the mail system wants it.
        Misconfigured,
        /// The mail system did not say whether it took the mail.
        Unclear,
    }
}

/// The mails beside the question that people get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notes {
    /// Reminders.
    pub reminders: bool,
    /// How it ended.
    pub outcome: bool,
    /// That it was withdrawn.
    pub withdrawn: bool,
}

impl Notes {
    /// All of them.
    pub const ALL: Self = Self {
        reminders: true,
        outcome: true,
        withdrawn: true,
    };

    fn include(self, kind: MailKind, state: &State) -> bool {
        match (kind, state) {
            (MailKind::Question, _) => true,
            (MailKind::Reminder | MailKind::LastReminder, _) => self.reminders,
            (MailKind::Outcome, State::Cancelled { .. }) => self.withdrawn,
            (MailKind::Outcome, _) => self.outcome,
        }
    }
}

words! {
    /// Whether the approvers could be reached.
    pub enum Deliverable {
        /// All of them.
        Ok,
        /// Some of them.
        Degraded,
        /// None of them, so far.
        None,
    }
}

/// How long somebody who sends a mail is given to say how it went, before it is sent again. With
/// the sweep's minute it stays well under the two and a half minutes after which a mail that a
/// crash interrupted must be on its way.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Requests that live shorter than this need no reminder.
const REMINDED_FROM: Duration = Duration::from_secs(600);

/// The pauses before the second attempt and those after it; the last one goes on. A question is
/// tried for as long as it can still be answered.
const PAUSES: [u64; 7] = [30, 60, 120, 300, 600, 1_200, 1_800];

/// The pause when the gate is not set up as the mail system wants it.
pub(crate) const MISCONFIGURED_PAUSE: Duration = Duration::from_secs(300);

/// So often a note about the outcome is tried; nobody waits for it.
const NOTE_ATTEMPTS: u32 = 12;

impl Approval {
    /// The mail with the question to the approver at `index`.
    pub fn question(&self, index: usize) -> &Mail {
        let mails = &self.approvers[index].mails;
        mails
            .iter()
            .find(|mail| mail.kind == MailKind::Question)
            .expect("planned at submit")
    }

    /// Whether the approvers could be reached.
    pub fn deliverable(&self) -> Deliverable {
        let all = 0..self.approvers.len();
        let questions = || all.clone().map(|index| self.question(index));
        if questions().all(|mail| matches!(mail.state, MailState::Sent(_))) {
            Deliverable::Ok
        } else if questions().any(Mail::may_have_arrived) {
            Deliverable::Degraded
        } else {
            Deliverable::None
        }
    }

    /// When the first question was taken by the mail system.
    pub fn notified_at(&self) -> Option<Timestamp> {
        (0..self.approvers.len())
            .filter_map(|index| match self.question(index).state {
                MailState::Sent(at) => Some(at),
                _ => None,
            })
            .min()
    }

    /// Takes every mail that is due, so that nobody else sends it while the lease lasts. Notes that are
    /// not wanted are dropped.
    pub fn lease_mails(&mut self, notes: Notes, now: Timestamp) -> Vec<Attempt> {
        if self.state != State::Pending {
            self.wind_up_mails(now);
        }
        let mut taken = Vec::new();
        for (index, approver) in self.approvers.iter_mut().enumerate() {
            let asked = approver.was_asked();
            let last_was_due = approver.mails.iter().any(|mail| {
                let waits = matches!(mail.state, MailState::Queued(at) if at > now);
                mail.kind == MailKind::LastReminder && !waits
            });
            // A reminder of a question that never arrived would be the question itself; and after a
            // long silence one reminder is enough.
            approver.mails.retain(|mail| {
                let overtaken = mail.kind == MailKind::Reminder && last_was_due;
                !mail.is_due(now) || !mail.kind.is_reminder() || (asked && !overtaken)
            });
            for mail in approver.mails.iter_mut().filter(|mail| mail.is_due(now)) {
                if !notes.include(mail.kind, &self.state) {
                    mail.state = MailState::Dropped(now);
                    continue;
                }
                mail.state = MailState::Sending(now + LEASE);
                mail.attempts += 1;
                taken.push(Attempt {
                    approver: index,
                    kind: mail.kind,
                    number: mail.attempts,
                });
            }
        }
        taken
    }

    /// Records how an attempt went, unless another one has begun since. When nobody can ever be
    /// asked, the request ends here, if its time is not over anyway.
    pub fn settle_mail(&mut self, attempt: Attempt, result: MailResult, now: Timestamp) {
        let mails = &mut self.approvers[attempt.approver].mails;
        let ours = mails.iter_mut().find(|mail| {
            mail.kind == attempt.kind
                && mail.attempts == attempt.number
                && matches!(mail.state, MailState::Sending(_))
        });
        let Some(mail) = ours else { return };
        let given_up = mail.kind == MailKind::Outcome && mail.attempts >= NOTE_ATTEMPTS;
        let again = mail.fault == Some(MailFault::Unclear);
        mail.state = match result {
            MailResult::Sent => MailState::Sent(now),
            MailResult::Failed(MailFault::Refused, _) => MailState::Failed(now),
            MailResult::Failed(MailFault::Unclear, _) if again => MailState::Unknown(now),
            // Nothing was sent, so nothing was tried.
            MailResult::Failed(MailFault::Misconfigured, _) => {
                mail.attempts -= 1;
                MailState::Queued(now + MISCONFIGURED_PAUSE)
            }
            MailResult::Failed(..) if given_up => MailState::Failed(now),
            MailResult::Failed(_, not_before) => {
                let pause = pause(mail.attempts);
                MailState::Queued(now + pause.max(not_before.unwrap_or_default()))
            }
        };
        mail.fault = match result {
            MailResult::Sent => None,
            MailResult::Failed(fault, _) => Some(fault),
        };
        let nobody = (0..self.approvers.len())
            .all(|index| matches!(self.question(index).state, MailState::Failed(_)));
        if nobody && self.status(now) == Status::Pending {
            self.close(
                State::Undeliverable { at: now },
                EventKind::Undeliverable,
                now,
            );
        }
        if self.state != State::Pending {
            self.wind_up_mails(now);
        }
    }

    pub(super) fn plan_questions(&mut self) {
        let asked_at = self.request.requested_at;
        let life = self.request.expires_at.since(asked_at);
        let mut plan = vec![(MailKind::Question, asked_at)];
        if life >= REMINDED_FROM {
            plan.push((MailKind::Reminder, asked_at + life / 2));
            plan.push((MailKind::LastReminder, asked_at + life * 85 / 100));
        }
        for approver in &mut self.approvers {
            approver.mails = plan
                .iter()
                .map(|&(kind, at)| Mail::queued(kind, at))
                .collect();
        }
    }

    /// The request is closed: nobody is asked any more, and whoever was asked is told.
    pub(super) fn wind_up_mails(&mut self, now: Timestamp) {
        for approver in &mut self.approvers {
            for mail in &mut approver.mails {
                let moot = match mail.state {
                    MailState::Queued(_) => true,
                    MailState::Sending(until) => until <= now,
                    _ => false,
                };
                if moot && mail.kind != MailKind::Outcome {
                    mail.state = MailState::Dropped(now);
                }
            }
            let told = approver
                .mails
                .iter()
                .any(|mail| mail.kind == MailKind::Outcome);
            if approver.was_asked() && !told {
                approver.mails.push(Mail::queued(MailKind::Outcome, now));
            }
        }
    }

    pub(super) fn next_mail(&self) -> Option<Timestamp> {
        self.approvers
            .iter()
            .flat_map(|approver| &approver.mails)
            .filter_map(Mail::due_at)
            .min()
    }
}

impl Approver {
    fn was_asked(&self) -> bool {
        self.mails
            .iter()
            .any(|mail| mail.kind == MailKind::Question && mail.may_have_arrived())
    }
}

impl Mail {
    fn queued(kind: MailKind, at: Timestamp) -> Self {
        Self {
            kind,
            attempts: 0,
            state: MailState::Queued(at),
            fault: None,
        }
    }

    fn may_have_arrived(&self) -> bool {
        matches!(self.state, MailState::Sent(_) | MailState::Unknown(_))
            || self.fault == Some(MailFault::Unclear)
    }

    fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            MailState::Queued(at) | MailState::Sending(at) => Some(at),
            MailState::Sent(_)
            | MailState::Failed(_)
            | MailState::Unknown(_)
            | MailState::Dropped(_) => None,
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }
}

impl MailKind {
    fn is_reminder(self) -> bool {
        matches!(self, Self::Reminder | Self::LastReminder)
    }
}

fn pause(attempts: u32) -> Duration {
    let index = (attempts as usize).saturating_sub(1).min(PAUSES.len() - 1);
    Duration::from_secs(PAUSES[index])
}
