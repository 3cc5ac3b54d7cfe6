//! What became of a held call, and whether a call has got it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use human_oversight_client::Refusal;
use human_oversight_client::types::Approval;

use crate::answer::Answer;

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
