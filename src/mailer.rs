//! Sends email: one message to one person, over one of four transports.

mod acs;
mod email;
mod encoded_words;
mod file;
mod graph;
mod health;
mod rest;
mod smtp;
mod smtp_error;
mod turns;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address as MailAddress, Message};

use crate::azure::http;
use crate::values::{Address, Clock, Timestamp};

pub use acs::AcsConfig;
pub use email::{Email, MailError, SUBJECT_CHARS};
pub use graph::GraphConfig;
pub use health::{MailFailing, MailHealth};
pub use smtp::SmtpConfig;

/// The mailer; cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    from: Address,
    name: String,
    transport: Transport,
    misconfigured_pause: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// No email is sent before this time, because the service rejected the settings. The next success ends that.
    paused_until: Option<Timestamp>,
    /// Whether the rejection has been logged.
    is_logged: bool,
    health: MailHealth,
}

enum Transport {
    File(file::Folder),
    Smtp(smtp::Smtp),
    Acs(acs::Acs),
    Graph(graph::Graph),
}

/// The transport and its settings.
#[derive(Clone, Debug)]
pub enum TransportConfig {
    /// Files in this folder, the inbox of local development.
    File(PathBuf),
    /// An SMTP relay.
    Smtp(SmtpConfig),
    /// Azure Communication Services.
    Acs(AcsConfig),
    /// A Microsoft 365 mailbox.
    Graph(GraphConfig),
}

impl TransportConfig {
    /// The name, as in `HO_MAIL`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Smtp(_) => "smtp",
            Self::Acs(_) => "acs",
            Self::Graph(_) => "graph",
        }
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Smtp(smtp) => smtp.is_encrypted(),
            Self::Acs(acs) => acs.is_encrypted(),
            Self::Graph(graph) => graph.is_encrypted(),
        }
    }
}

impl Mailer {
    /// A mailer that sends from `from` with the display name `name`, and pauses for `misconfigured_pause`
    /// after the service rejected the settings. Opens no connection yet.
    ///
    /// # Errors
    /// Why a setting cannot be used.
    pub fn new(
        config: &TransportConfig,
        from: Address,
        name: &str,
        misconfigured_pause: Duration,
        clock: Clock,
    ) -> Result<Self, String> {
        let transport = match config {
            TransportConfig::File(dir) => Transport::File(file::Folder::new(dir)?),
            TransportConfig::Smtp(config) => {
                Transport::Smtp(smtp::Smtp::new(config, from.domain())?)
            }
            TransportConfig::Acs(config) => {
                Transport::Acs(acs::Acs::new(config, http::client()?, clock))
            }
            TransportConfig::Graph(config) => {
                Transport::Graph(graph::Graph::new(config, http::client()?, clock))
            }
        };
        Ok(Self(Arc::new(Inner {
            from,
            name: name.to_owned(),
            transport,
            misconfigured_pause,
            state: Mutex::default(),
        })))
    }

    /// Sends one email within a timeout (over REST at most 5 s). A rejection of the settings is logged once
    /// and starts the pause, during which no email is sent.
    ///
    /// # Errors
    /// When the email was not accepted, or the outcome is unknown.
    pub async fn send(&self, email: &Email, timeout: Duration) -> Result<(), MailError> {
        if email.to.is_unreachable() {
            return Err(MailError::Refused(
                "`.invalid` is reserved (RFC 6761)".to_owned(),
            ));
        }
        {
            let mut state = self.state();
            if state.paused_until > Some(email.date) {
                state.health.failed(email.date, None);
                return Err(MailError::Misconfigured("paused".to_owned()));
            }
        }
        let sent = self.send_by_transport(email, timeout).await;
        let mut state = self.state();
        match &sent {
            Ok(()) => {
                *state = State::default();
                state.health.accepted(email.date);
            }
            // The service refuses this address or message, or was not tried.
            Err(MailError::Refused(_) | MailError::Busy) => {}
            Err(error) => {
                let cause = error.to_string();
                state.health.failed(email.date, Some(&cause));
            }
        }
        if let Err(MailError::Misconfigured(cause)) = &sent {
            state.paused_until = Some(email.date + self.0.misconfigured_pause);
            if !std::mem::replace(&mut state.is_logged, true) {
                tracing::error!(cause, "email cannot be sent with these settings");
            }
        }
        drop(state);
        sent
    }

    /// Whether the mail service reports later what became of an email.
    pub fn reports_deliveries(&self) -> bool {
        matches!(self.0.transport, Transport::Acs(_))
    }

    /// Whether email gets through, as far as this process knows.
    pub fn health(&self) -> MailHealth {
        self.state().health.clone()
    }

    async fn send_by_transport(&self, email: &Email, timeout: Duration) -> Result<(), MailError> {
        match &self.0.transport {
            Transport::File(folder) => {
                let message = self.message(email)?.formatted();
                folder.write(&email.name, &message)
            }
            Transport::Smtp(smtp) => {
                smtp.send(&self.message(email)?, &email.queue, timeout)
                    .await
            }
            Transport::Acs(acs) => acs.send(email, &self.0.from).await,
            Transport::Graph(graph) => graph.send(&self.message(email)?, &email.queue).await,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The email as a MIME message.
    fn message(&self, email: &Email) -> Result<Message, MailError> {
        let refused = |error: &dyn std::fmt::Display| MailError::Refused(error.to_string());
        let mailbox = |name: Option<String>, address: &Address| {
            let address: MailAddress = address.as_str().parse().map_err(|e| refused(&e))?;
            Ok::<_, MailError>(Mailbox::new(name, address))
        };
        let millis = u64::try_from(email.date.unix_millis()).unwrap_or(0);
        let mut message = Message::builder()
            .from(mailbox(Some(self.0.name.clone()), &self.0.from)?)
            .to(mailbox(None, &email.to)?)
            .raw_header(encoded_words::subject(email.subject()))
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
            .map_err(|e| refused(&e))
    }
}
