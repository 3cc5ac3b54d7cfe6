//! An email to one person, and the reasons why it was not sent.

use std::time::Duration;

use uuid::Uuid;

use crate::values::{Address, Timestamp};

/// The most characters of a subject.
pub const SUBJECT_CHARS: usize = 200;

/// An email to one person.
pub struct Email {
    pub to: Address,
    /// The queue in which it waits for its turn: whose request it is about.
    pub queue: String,
    /// One line, in which nothing is hidden but the isolates around right-to-left text.
    pub subject: String,
    /// The local part of the `Message-ID`, of `[A-Za-z0-9._-]`; the same for every attempt.
    pub name: String,
    /// The id under which Communication Services send it, and by which their delivery reports name it; the same for
    /// every attempt.
    pub message_id: Uuid,
    /// The name of the email to which this one replies.
    pub in_reply_to: Option<String>,
    /// Whether it is marked as important.
    pub urgent: bool,
    pub date: Timestamp,
    /// The plain-text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// Why an email was not accepted. The texts are for the log and contain no address.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Permanent: the address or the message was refused.
    #[error("refused permanently: {0}")]
    Refused(String),
    /// Transient; with the pause that the service requested.
    #[error("temporarily unavailable: {0}")]
    Unavailable(String, Option<Duration>),
    /// It was not tried: other emails had all connections.
    #[error("no connection was free in time")]
    Busy,
    /// The service rejected the settings of the gate.
    #[error("the settings are rejected: {0}")]
    Misconfigured(String),
    /// The email may have been accepted.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
}

impl Email {
    /// The subject, made safe for a header.
    pub(super) fn subject(&self) -> String {
        let line = self.subject.replace(char::is_control, " ");
        match line.char_indices().nth(SUBJECT_CHARS) {
            None => line,
            Some(_) => line.chars().take(SUBJECT_CHARS - 1).chain(['…']).collect(),
        }
    }

    /// The headers that every transport sends.
    pub(super) fn headers(&self, from: &Address) -> Vec<(&'static str, String)> {
        let id = |name: &str| format!("<{name}@{}>", from.domain());
        let mut headers = vec![
            ("Message-ID", id(&self.name)),
            // No automatic replies (RFC 3834). The second header is for Exchange (MS-OXCMAIL
            // 2.1.3.2.20); `All` would suppress bounces too.
            ("Auto-Submitted", "auto-generated".to_owned()),
            (
                "X-Auto-Response-Suppress",
                "DR, RN, NRN, OOF, AutoReply".to_owned(),
            ),
        ];
        if let Some(first) = &self.in_reply_to {
            headers.push(("In-Reply-To", id(first)));
            headers.push(("References", id(first)));
        }
        if self.urgent {
            headers.push(("Importance", "high".to_owned()));
            headers.push(("X-Priority", "1".to_owned()));
        }
        headers
    }
}
