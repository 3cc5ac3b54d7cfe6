//! Sending mail: one message to one person, by one of several transports.

mod acs;
mod file;
mod graph;
mod rest;
mod smtp;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address as MailAddress, Message};

use crate::address::Address;
use crate::approval::MISCONFIGURED_PAUSE;
use crate::outbound;
use crate::reveal;
use crate::timestamp::{Clock, Timestamp};

pub use acs::Communication;
pub use graph::Graph365;
pub use smtp::Relay;

/// The mailer; cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    from: Address,
    name: String,
    transport: Transport,
    pause: Mutex<Pause>,
}

/// Since the settings were found to be wrong, and until a mail was sent again.
#[derive(Default)]
struct Pause {
    /// Nothing is sent before this.
    until: Option<Timestamp>,
    /// Whether the log was told.
    is_told: bool,
}

enum Transport {
    File(file::Folder),
    Smtp(smtp::Smtp),
    Acs(acs::Acs),
    Graph(graph::Graph),
}

/// By which transport mails are sent.
#[derive(Clone, Debug)]
pub enum MailChoice {
    /// Files in this folder: the local inbox.
    File(PathBuf),
    /// A relay.
    Smtp(Relay),
    /// Azure Communication Services.
    Acs(Communication),
    /// A mailbox of Microsoft 365.
    Graph(Graph365),
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
    /// Whether it cannot wait.
    pub urgent: bool,
    /// When it was written.
    pub date: Timestamp,
    /// The text for those who read no HTML.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// Why a mail was not taken. The texts are for the log, and hold no address.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It never will be: there is nobody at the address, or it is no mail.
    #[error("refused for good: {0}")]
    Refused(String),
    /// It may be later, and not before this has passed.
    #[error("not taken now: {0}")]
    Unavailable(String, Option<Duration>),
    /// It will not be as the gate is set up.
    #[error("the settings are wrong: {0}")]
    Misconfigured(String),
    /// Nobody said whether it was.
    #[error("perhaps taken: {0}")]
    Unclear(String),
}

impl MailChoice {
    /// Whether nobody on the way can read along.
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Smtp(relay) => relay.is_encrypted(),
            Self::Acs(communication) => communication.is_encrypted(),
            Self::Graph(graph) => graph.is_encrypted(),
        }
    }
}

impl Mailer {
    /// A mailer whose mails are from `from`, by the `name` of the gate's owner. Nothing is opened yet.
    ///
    /// # Errors
    /// What is wrong with a setting.
    pub fn new(
        choice: &MailChoice,
        from: Address,
        name: &str,
        clock: Clock,
    ) -> Result<Self, String> {
        let transport = match choice {
            MailChoice::File(dir) => Transport::File(file::Folder::new(dir)),
            MailChoice::Smtp(relay) => Transport::Smtp(smtp::Smtp::new(relay, from.domain())?),
            MailChoice::Acs(communication) => {
                Transport::Acs(acs::Acs::new(communication, outbound::client()?, clock))
            }
            MailChoice::Graph(mailbox) => {
                Transport::Graph(graph::Graph::new(mailbox, outbound::client()?, clock))
            }
        };
        Ok(Self(Arc::new(Inner {
            from,
            name: name.to_owned(),
            transport,
            pause: Mutex::default(),
        })))
    }

    /// Hands one mail over in this time (by REST in five seconds at most). After the settings were found
    /// to be wrong, which is logged once, nothing is sent for five minutes.
    ///
    /// # Errors
    /// When it was not taken, or perhaps not, and whether it may be later.
    pub async fn send(&self, email: &Email, within: Duration) -> Result<(), MailError> {
        if email.to.is_unreachable() {
            return Err(MailError::Refused(
                "`.invalid` names nothing (RFC 6761)".to_owned(),
            ));
        }
        if self.pause().until > Some(email.date) {
            return Err(MailError::Misconfigured("paused".to_owned()));
        }
        let sent = self.hand_over(email, within).await;
        let mut pause = self.pause();
        match &sent {
            Ok(()) => *pause = Pause::default(),
            Err(MailError::Misconfigured(cause)) => {
                pause.until = Some(email.date + MISCONFIGURED_PAUSE);
                if !std::mem::replace(&mut pause.is_told, true) {
                    tracing::error!(cause, "no mail can be sent as the gate is set up");
                }
            }
            Err(_) => {}
        }
        sent
    }

    async fn hand_over(&self, email: &Email, within: Duration) -> Result<(), MailError> {
        match &self.0.transport {
            Transport::File(folder) => {
                let mail = self.message(email)?.formatted();
                folder.put(&email.name, &mail)
            }
            Transport::Smtp(smtp) => smtp.send(&self.message(email)?, within).await,
            Transport::Acs(acs) => acs.send(email, &self.0.from).await,
            Transport::Graph(graph) => graph.send(&self.message(email)?).await,
        }
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.0.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn message(&self, email: &Email) -> Result<Message, MailError> {
        let unfit = |error: &dyn std::fmt::Display| MailError::Refused(error.to_string());
        let mailbox = |name: Option<String>, address: &Address| {
            let address: MailAddress = address.as_str().parse().map_err(|e| unfit(&e))?;
            Ok::<_, MailError>(Mailbox::new(name, address))
        };
        let millis = u64::try_from(email.date.unix_millis()).unwrap_or(0);
        let mut message = Message::builder()
            .from(mailbox(Some(self.0.name.clone()), &self.0.from)?)
            .to(mailbox(None, &email.to)?)
            .subject(email.subject())
            .date(std::time::UNIX_EPOCH + Duration::from_millis(millis));
        for (name, value) in email.headers(&self.0.from) {
            let name = HeaderName::new_from_ascii_str(name);
            message = message.raw_header(HeaderValue::new(name, value));
        }
        message
            .multipart(MultiPart::alternative_plain_html(
                email.text.clone(),
                email.html.clone(),
            ))
            .map_err(|e| unfit(&e))
    }
}

impl Email {
    /// A second look at what becomes a header, whoever wrote it.
    fn subject(&self) -> String {
        reveal::line(&self.subject, 200)
    }

    /// The headers that are the same by every transport.
    fn headers(&self, from: &Address) -> Vec<(&'static str, String)> {
        let id = |name: &str| format!("<{name}@{}>", from.domain());
        let mut headers = vec![
            ("Message-ID", id(&self.name)),
            // No holiday notes, please (RFC 3834); the same for Exchange (MS-OXCMAIL 2.1.3.2.20), not
            // `All`, which would suppress bounces too.
            ("Auto-Submitted", "auto-generated".to_owned()),
            (
                "X-Auto-Response-Suppress",
                "DR, RN, NRN, OOF, AutoReply".to_owned(),
            ),
        ];
        if let Some(first) = &self.answers {
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
