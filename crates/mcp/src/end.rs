//! What became of a held call, and whether a call has got it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use human_oversight_client::types::Approval;
use human_oversight_client::{Reason, Refusal};

use crate::answer::Answer;
use crate::call::CallError;

/// What became of a held call.
pub(crate) enum End {
    /// It ran.
    Answered(Answer),
    Refused {
        refusal: Refusal,
        /// What the gate said last of the request.
        approval: Option<Box<Approval>>,
    },
    /// It may have run.
    Lost(Lost),
    /// It ran, and the result, which no call has got, is no longer kept.
    Forgotten,
}

/// Why a call that ran has no answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lost {
    /// The server ended while it ran.
    ServerEnded,
    /// The server's answer cannot be read.
    Unreadable,
}

/// An end, and whether a call has got it.
pub(crate) struct Ended {
    end: End,
    is_read: Arc<AtomicBool>,
}

impl Ended {
    pub(crate) fn new(end: End) -> Arc<Self> {
        let is_read = Arc::default();
        Arc::new(Self { end, is_read })
    }

    /// Without giving it to a call.
    pub(crate) fn end(&self) -> &End {
        &self.end
    }

    /// A call gets the end: the next same call is a new one.
    pub(crate) fn read(&self) -> &End {
        self.is_read.store(true, Ordering::Relaxed);
        &self.end
    }

    /// The same end without its result.
    pub(crate) fn forgotten(&self) -> Arc<Self> {
        let is_read = self.is_read.clone();
        let end = End::Forgotten;
        Arc::new(Self { end, is_read })
    }

    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Relaxed)
    }
}

/// What the operator has set of a request, by the pointers of the gate.
const SETTINGS: [(&str, &str); 4] = [
    ("/approverEmails", "APPROVER_EMAILS"),
    ("/actionDescription", "action"),
    ("/agentName", "agent"),
    ("/timeoutSeconds", "timeout"),
];

/// The setting that the gate refuses, which no model can correct.
pub(crate) fn wrong_setting(refusal: &Refusal) -> Option<&'static str> {
    let detail = refusal.detail.as_deref()?;
    let mut settings = SETTINGS.iter();
    let (_, setting) = settings.find(|(pointer, _)| detail.starts_with(pointer))?;
    (refusal.reason == Reason::Invalid).then_some(setting)
}

/// One line for the operator, where no model can correct a call.
pub(crate) fn log_unclear((error, _): &(CallError, bool)) {
    if matches!(error, CallError::Setting) {
        tracing::error!(
            "not run: people cannot be shown the action of the settings with the names of the server and of this tool"
        );
    }
}

/// One line for the operator, where neither a person, the policy nor the deadline decided.
pub(crate) fn log_refusal(refusal: &Refusal) {
    match refusal.reason {
        Reason::Rejected | Reason::Denied | Reason::Timeout | Reason::Cancelled => {}
        reason => {
            let detail = refusal.loggable_detail();
            match wrong_setting(refusal) {
                Some(setting) => tracing::error!(
                    setting,
                    detail,
                    "not run: the gate refuses a setting, and each held call with it"
                ),
                None => tracing::warn!(?reason, detail, "not run"),
            }
        }
    }
}
