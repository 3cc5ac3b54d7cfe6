//! The lifecycle of an approval: what it is, and the moves it can make.
//!
//! No I/O, no clock, no randomness here: every move takes the time it happens at. A move that is
//! not possible says why and changes nothing. Handlers load an [`Approval`], make a move, and store
//! it on the condition that nobody stored another one in between.

mod history;
mod mails;

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::address::Address;
use crate::id::ApprovalId;
use crate::timestamp::Timestamp;

/// An enum whose names are words that are stored and shown.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The name, as it is stored and shown.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// Which one has this name.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $(stringify!($variant) => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
use words;

pub use history::{Event, EventKind};
pub(crate) use mails::MISCONFIGURED_PAUSE;
pub use mails::{Attempt, Deliverable, Mail, MailFault, MailKind, MailResult, MailState, Notes};

/// So many wrong codes lock approving by one person's link.
pub const WRONG_CODES: u32 = 5;

/// One request and all that became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// What was asked; never changes.
    pub request: Request,
    /// How it stands, as far as it was stored; see [`Approval::status`] for how it stands now.
    pub state: State,
    /// One for each person who was asked; at least one.
    pub approvers: Vec<Approver>,
    /// The first answer that came after the deadline. It changed nothing.
    pub late: Option<LateAnswer>,
    /// What happened, in order.
    pub history: Vec<Event>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which agent asks, and its name for the request.
    pub id: ApprovalId,
    /// What is to be done, in one line.
    pub action: String,
    /// The exact arguments.
    pub parameters: Parameters,
    /// The agent's own words.
    pub reason: Option<String>,
    /// The person the agent acts for.
    pub on_behalf_of: Option<Address>,
    /// The digest of the secret that claim, outcome and withdraw must bring.
    pub claimant: Option<Digest>,
    /// The digest of the request as it was sent, to know a repetition by.
    pub digest: Digest,
    /// When it was stored.
    pub requested_at: Timestamp,
    /// From when on nobody can decide any more.
    pub expires_at: Timestamp,
}

/// The arguments of an action in canonical form (RFC 8785), and the digest of just that text.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameters {
    /// The canonical JSON.
    pub json: String,
    /// Its SHA-256.
    pub digest: Digest,
}

impl fmt::Debug for Parameters {
    /// Parameters do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameters({})", self.digest)
    }
}

/// A SHA-256; written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How a request stands, with all that is known only in that state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// One of the approvers said yes.
    Approved {
        /// Who and when.
        decision: Decision,
        /// From when on the approval can no longer be claimed.
        run_by: Timestamp,
        /// What became of it.
        execution: Execution,
    },
    /// One of the approvers said no.
    Rejected(Decision),
    /// Nobody decided in time.
    Timeout {
        /// The deadline.
        at: Timestamp,
    },
    /// The agent withdrew it.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// No approver's mail can ever arrive.
    Undeliverable {
        /// When that was found.
        at: Timestamp,
    },
}

words! {
    /// The names of the states.
    #[expect(missing_docs, reason = "they are the states")]
    pub enum Status {
        Pending,
        Approved,
        Rejected,
        Timeout,
        Cancelled,
        Undeliverable,
    }
}

impl State {
    /// Its name, whatever the clock says.
    pub fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Approved { .. } => Status::Approved,
            Self::Rejected(_) => Status::Rejected,
            Self::Timeout { .. } => Status::Timeout,
            Self::Cancelled { .. } => Status::Cancelled,
            Self::Undeliverable { .. } => Status::Undeliverable,
        }
    }
}

/// A person's decision, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who decided.
    pub by: Address,
    /// How that person was known.
    pub assurance: Assurance,
    /// What they wrote.
    pub comment: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The signed proof, made in the same write.
    pub receipt: String,
}

/// How a person was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// Holder of the personal link in the mail, and to approve of the code in it.
    Link,
    /// Signed in with Microsoft Entra ID, as the member with this object id.
    Entra(Uuid),
}

impl Assurance {
    /// Its name, as it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Link => "Link",
            Self::Entra(_) => "Entra",
        }
    }

    /// Who it was in the directory.
    pub fn object_id(self) -> Option<Uuid> {
        match self {
            Self::Link => None,
            Self::Entra(object_id) => Some(object_id),
        }
    }
}

words! {
    /// Yes or no.
    #[expect(missing_docs, reason = "yes and no")]
    pub enum Verdict {
        Approve,
        Reject,
    }
}

/// What became of an approval. Everything after `Executing` is the agent's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// Not claimed yet.
    Awaited,
    /// Claimed; the action is running.
    Executing {
        /// Since when.
        at: Timestamp,
        /// The claimant's name for its claim.
        nonce: String,
    },
    /// Reported done.
    Executed {
        /// When.
        at: Timestamp,
        /// The claimant's name for its claim.
        nonce: String,
    },
    /// Reported failed.
    Failed {
        /// When.
        at: Timestamp,
        /// The claimant's name for its claim.
        nonce: String,
        /// What the agent said of it.
        error: Option<String>,
    },
    /// Nothing was heard in time.
    Unknown {
        /// When that was found.
        at: Timestamp,
        /// The claimant's name for its claim.
        nonce: String,
    },
    /// Not claimed in time.
    Lapsed {
        /// The end of its time.
        at: Timestamp,
    },
}

impl Execution {
    /// Its name, as it is stored and shown; nothing while the approval waits to be claimed.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Awaited => None,
            Self::Executing { .. } => Some("Executing"),
            Self::Executed { .. } => Some("Executed"),
            Self::Failed { .. } => Some("ExecutionFailed"),
            Self::Unknown { .. } => Some("ExecutionUnknown"),
            Self::Lapsed { .. } => Some("Lapsed"),
        }
    }
}

/// A person who was asked, and all that is kept of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// Their address.
    pub address: Address,
    /// Which key their link and code are derived with.
    pub link_key: String,
    /// What the gate made of the request and this address with that key. Nobody else can make one, so
    /// an approver whom somebody added to the table has no link, nor has one whose request was
    /// changed.
    pub seal: String,
    /// How many wrong codes came with their link.
    pub wrong_codes: u32,
    /// Their mails: the question, its reminders, the note about the outcome.
    pub mails: Vec<Mail>,
}

impl Approver {
    /// Whether too many wrong codes came with their link to approve by it.
    pub fn is_locked(&self) -> bool {
        self.wrong_codes >= WRONG_CODES
    }
}

/// An answer after the deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateAnswer {
    /// Who answered.
    pub by: Address,
    /// What they would have decided.
    pub verdict: Verdict,
    /// When.
    pub at: Timestamp,
}

/// A decision that the rules allow, but that is not signed and stored yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Who.
    pub by: Address,
    /// How known.
    pub assurance: Assurance,
    /// What they wrote.
    pub comment: Option<String>,
    /// When.
    pub at: Timestamp,
    /// A yes names the time until which it may be claimed; a no names none.
    pub run_by: Option<Timestamp>,
}

impl Ruling {
    /// Yes or no.
    pub fn verdict(&self) -> Verdict {
        match self.run_by {
            Some(_) => Verdict::Approve,
            None => Verdict::Reject,
        }
    }
}

/// A claim's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The action may run, once, by whoever made this claim.
    Granted,
    /// It may not.
    Refused,
}

/// The move is not possible, as the request stands differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not possible as the request stands")]
pub struct NotPossible;

impl Approval {
    /// A new request: pending, with a mail to each approver to be sent at once.
    pub fn submitted(request: Request, approvers: Vec<Approver>) -> Self {
        let now = request.requested_at;
        let mut approval = Self {
            request,
            state: State::Pending,
            approvers,
            late: None,
            history: Vec::new(),
        };
        approval.note(now, EventKind::Submitted, None);
        approval.plan_questions();
        approval
    }

    /// How it stands at `now`: the deadline holds whether or not anybody stored that it passed.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.state.status() {
            Status::Pending if now >= self.request.expires_at => Status::Timeout,
            stored => stored,
        }
    }

    /// What became of an approval at `now`; nothing for a request that is not approved.
    pub fn execution(&self, now: Timestamp) -> Option<Execution> {
        match &self.state {
            State::Approved {
                execution: Execution::Awaited,
                run_by,
                ..
            } if now >= *run_by => Some(Execution::Lapsed { at: *run_by }),
            State::Approved { execution, .. } => Some(execution.clone()),
            _ => None,
        }
    }

    /// The decision, if a person made one.
    pub fn decision(&self) -> Option<&Decision> {
        match &self.state {
            State::Approved { decision, .. } | State::Rejected(decision) => Some(decision),
            _ => None,
        }
    }

    /// The decision as it was ruled, and the receipt that was made for it.
    pub fn ruling(&self) -> Option<(Ruling, &str)> {
        let run_by = match &self.state {
            State::Approved { run_by, .. } => Some(*run_by),
            _ => None,
        };
        let Decision {
            by,
            assurance,
            comment,
            at,
            receipt,
        } = self.decision()?;
        let ruling = Ruling {
            by: by.clone(),
            assurance: *assurance,
            comment: comment.clone(),
            at: *at,
            run_by,
        };
        Some((ruling, receipt))
    }

    /// When it was decided or otherwise closed, as far as that was stored.
    pub fn closed_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Pending => None,
            State::Approved { decision, .. } | State::Rejected(decision) => Some(decision.at),
            State::Timeout { at } | State::Cancelled { at } | State::Undeliverable { at } => {
                Some(*at)
            }
        }
    }

    /// Judges an answer of the approver at `index`; the first one in time decides.
    ///
    /// Whether the person is that approver, and how that is known, is for the caller to say.
    ///
    /// # Errors
    /// When the request is closed or its time is over.
    pub fn judge(
        &self,
        (index, assurance): (usize, Assurance),
        verdict: Verdict,
        comment: Option<String>,
        run_within: Duration,
        now: Timestamp,
    ) -> Result<Ruling, NotPossible> {
        if self.status(now) != Status::Pending {
            return Err(NotPossible);
        }
        Ok(Ruling {
            by: self.approvers[index].address.clone(),
            assurance,
            comment,
            at: now,
            run_by: (verdict == Verdict::Approve).then(|| now + run_within),
        })
    }

    /// Records a ruling of [`Approval::judge`] with its signed receipt.
    pub fn record(&mut self, ruling: Ruling, receipt: String) {
        let Ruling {
            by,
            assurance,
            comment,
            at,
            run_by,
        } = ruling;
        let decision = Decision {
            by: by.clone(),
            assurance,
            comment,
            at,
            receipt,
        };
        match run_by {
            Some(run_by) => {
                self.state = State::Approved {
                    decision,
                    run_by,
                    execution: Execution::Awaited,
                };
                self.note(at, EventKind::Approved, Some(by));
            }
            None => {
                self.state = State::Rejected(decision);
                self.note(at, EventKind::Rejected, Some(by));
            }
        }
        self.wind_up_mails(at);
    }

    /// Counts a wrong code that came with the link of the approver at `index`.
    pub fn count_wrong_code(&mut self, index: usize, now: Timestamp) {
        let approver = &mut self.approvers[index];
        let was_locked = approver.is_locked();
        approver.wrong_codes += 1;
        if approver.is_locked() && !was_locked {
            let by = approver.address.clone();
            self.note(now, EventKind::Locked, Some(by));
        }
    }

    /// Records the first answer that comes after the deadline; any other is forgotten.
    pub fn answer_late(&mut self, index: usize, verdict: Verdict, now: Timestamp) {
        self.expire(now);
        if matches!(self.state, State::Timeout { .. }) && self.late.is_none() {
            let by = self.approvers[index].address.clone();
            self.late = Some(LateAnswer {
                by: by.clone(),
                verdict,
                at: now,
            });
            self.note(now, EventKind::AnsweredLate, Some(by));
        }
    }

    /// Takes an approval, once: the same `nonce` again gets the same answer, another one is refused.
    /// Settles a deadline that passed unnoticed.
    pub fn claim(&mut self, nonce: &str, now: Timestamp) -> Claimed {
        self.expire(now);
        self.lapse(now);
        let State::Approved { execution, .. } = &mut self.state else {
            return Claimed::Refused;
        };
        match execution {
            Execution::Awaited => {
                *execution = Execution::Executing {
                    at: now,
                    nonce: nonce.to_owned(),
                };
                self.note(now, EventKind::Claimed, None);
                Claimed::Granted
            }
            Execution::Executing { nonce: held, .. } if held == nonce => Claimed::Granted,
            _ => Claimed::Refused,
        }
    }

    /// Records what the claimant says became of the action: success, or failure with its words.
    /// The same report again changes nothing.
    ///
    /// # Errors
    /// When nothing was claimed, or something else was reported before.
    pub fn report(
        &mut self,
        report: Result<(), Option<String>>,
        now: Timestamp,
    ) -> Result<(), NotPossible> {
        let State::Approved { execution, .. } = &mut self.state else {
            return Err(NotPossible);
        };
        let late = matches!(execution, Execution::Unknown { .. });
        match (&*execution, report) {
            (Execution::Executing { nonce, .. } | Execution::Unknown { nonce, .. }, report) => {
                let nonce = nonce.clone();
                let (reported, what) = match report {
                    Ok(()) => (Execution::Executed { at: now, nonce }, EventKind::Executed),
                    Err(error) => (
                        Execution::Failed {
                            at: now,
                            nonce,
                            error,
                        },
                        EventKind::ExecutionFailed,
                    ),
                };
                *execution = reported;
                self.note(now, what, None);
                if late {
                    self.note(now, EventKind::ReportedLate, None);
                }
                Ok(())
            }
            (Execution::Executed { .. }, Ok(())) => Ok(()),
            (Execution::Failed { error, .. }, Err(again)) if *error == again => Ok(()),
            _ => Err(NotPossible),
        }
    }

    /// The agent takes its request back. Doing it again changes nothing.
    ///
    /// # Errors
    /// When it is no longer pending.
    pub fn withdraw(&mut self, now: Timestamp) -> Result<(), NotPossible> {
        match (&self.state, self.status(now)) {
            (State::Cancelled { .. }, _) => Ok(()),
            (_, Status::Pending) => {
                self.close(State::Cancelled { at: now }, EventKind::Cancelled, now);
                Ok(())
            }
            _ => Err(NotPossible),
        }
    }

    /// Stores what time alone has brought about: `Timeout`, `Lapsed`, `ExecutionUnknown`.
    pub fn tidy(&mut self, outcome_within: Duration, now: Timestamp) {
        self.expire(now);
        self.lapse(now);
        if let State::Approved { execution, .. } = &mut self.state
            && let Execution::Executing { at, nonce } = execution
            && now >= *at + outcome_within
        {
            *execution = Execution::Unknown {
                at: now,
                nonce: std::mem::take(nonce),
            };
            self.note(now, EventKind::ExecutionUnknown, None);
        }
    }

    /// When the gate must look at it next without being asked: a mail, the deadline, a lapse, a
    /// missing outcome. Nothing when all is done.
    pub fn next_due(&self, outcome_within: Duration) -> Option<Timestamp> {
        let by_state = match &self.state {
            State::Pending => Some(self.request.expires_at),
            State::Approved {
                execution: Execution::Awaited,
                run_by,
                ..
            } => Some(*run_by),
            State::Approved {
                execution: Execution::Executing { at, .. },
                ..
            } => Some(*at + outcome_within),
            _ => None,
        };
        by_state.into_iter().chain(self.next_mail()).min()
    }

    fn expire(&mut self, now: Timestamp) {
        if self.state == State::Pending && now >= self.request.expires_at {
            let at = self.request.expires_at;
            self.close(State::Timeout { at }, EventKind::TimedOut, now);
        }
    }

    fn lapse(&mut self, now: Timestamp) {
        if let State::Approved {
            execution: execution @ Execution::Awaited,
            run_by,
            ..
        } = &mut self.state
            && now >= *run_by
        {
            *execution = Execution::Lapsed { at: *run_by };
            self.note(now, EventKind::Lapsed, None);
        }
    }

    fn close(&mut self, state: State, what: EventKind, now: Timestamp) {
        self.state = state;
        self.note(now, what, None);
        self.wind_up_mails(now);
    }
}
