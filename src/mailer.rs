//! Sending mail: one message to one person, by one of several transports.

mod file;

use std::path::Path;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address as MailAddress, Message};

use crate::address::Address;
use crate::reveal;
use crate::timestamp::Timestamp;

/// The mailer; cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    from: Address,
    transport: Transport,
}

#[derive(Clone)]
enum Transport {
    File(file::Folder),
}

/// A mail to one person.
pub struct Email {
    /// To whom.
    pub to: Address,
    /// One line.
    pub subject: String,
    /// What names it: the part before the `@`, of `[A-Za-z0-9._-]`. A mail sent again has the same.
    pub name: String,
    /// The name of the mail that this one answers, if it does.
    pub answers: Option<String>,
    /// When it was written.
    pub date: Timestamp,
    /// The text for those who read no HTML.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// Why a mail was not taken. Neither says an address.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It never will be: there is nobody at the address, or it is no mail.
    #[error("refused for good: {0}")]
    Permanent(String),
    /// It may be, later.
    #[error("not taken now: {0}")]
    Temporary(String),
}

impl Mailer {
    /// Mails as files in the folder `dir`, for development.
    pub fn file(dir: &Path, from: Address) -> Self {
        Self {
            from,
            transport: Transport::File(file::Folder::new(dir)),
        }
    }

    /// Hands one mail over.
    ///
    /// # Errors
    /// When it was not taken, and whether it may be later.
    pub async fn send(&self, email: &Email) -> Result<(), MailError> {
        if email.to.is_unreachable() {
            return Err(MailError::Permanent(
                "`.invalid` names nothing (RFC 6761)".to_owned(),
            ));
        }
        let message = self.message(email)?;
        match &self.transport {
            Transport::File(folder) => folder.put(&email.name, &message.formatted()).await,
        }
    }

    fn message(&self, email: &Email) -> Result<Message, MailError> {
        let unfit = |error: &dyn std::fmt::Display| MailError::Permanent(error.to_string());
        let domain = self
            .from
            .as_str()
            .rsplit_once('@')
            .map_or("localhost", |(_, domain)| domain);
        let name = |name: &str| format!("<{name}@{domain}>");
        let mailbox = |address: &Address| {
            let address: MailAddress = address.as_str().parse().map_err(|e| unfit(&e))?;
            Ok(Mailbox::new(None, address))
        };
        let millis = u64::try_from(email.date.unix_millis()).unwrap_or(0);
        let mut message = Message::builder()
            .from(mailbox(&self.from)?)
            .to(mailbox(&email.to)?)
            // A second look at what becomes a header, whoever wrote it.
            .subject(reveal::line(&email.subject, 200))
            .message_id(Some(name(&email.name)))
            .date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis))
            // No holiday notes, please (RFC 3834); the same for Exchange (MS-OXCMAIL 2.1.3.2.20),
            // not `All`, which would suppress bounces too.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header(
                "X-Auto-Response-Suppress",
                "DR, RN, NRN, OOF, AutoReply",
            ));
        if let Some(first) = &email.answers {
            message = message.in_reply_to(name(first)).references(name(first));
        }
        message
            .multipart(MultiPart::alternative_plain_html(
                email.text.clone(),
                email.html.clone(),
            ))
            .map_err(|e| unfit(&e))
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
