//! SMTP (RFC 5321), always over TLS except in local development.
//!
//! The session runs step by step, so that the gate knows whether the relay may have accepted an email
//! whose response was lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Severity;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio::time::{Instant, timeout};

use super::email::MailError;
use super::smtp_error::{content_error, describe, recipient_error, settings_error};
use super::turns::{Turn, Turns};

/// A relay, and how to authenticate to it.
#[derive(Clone)]
pub struct SmtpConfig {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    /// A PEM file of certificates to trust in addition to those of the machine.
    authorities: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// Mandatory STARTTLS (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    Plain,
}

/// The timeout of QUIT.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum number of concurrent connections; relays limit them per client.
const MAX_CONNECTIONS: usize = 3;

/// Who waited longer for a connection did not have the time that a slow relay needs.
const LONG_WAIT: Duration = Duration::from_millis(500);

impl SmtpConfig {
    /// Parses `smtp://USER@HOST:PORT` for STARTTLS or `smtps://` for TLS from the first byte, with the password
    /// in the URL or separate; `smtp://HOST:PORT?tls=none` for a relay of local development.
    ///
    /// # Errors
    /// Why the URL cannot be used; never the URL itself.
    pub fn parse(
        url: &str,
        password: Option<&str>,
        authorities: Option<PathBuf>,
    ) -> Result<Self, &'static str> {
        const FORM: &str =
            "it must be smtp://USER:PASSWORD@HOST:PORT or smtps://USER:PASSWORD@HOST:PORT";
        let url = Url::parse(url).map_err(|_| FORM)?;
        let security = match (url.scheme(), url.query()) {
            ("smtp", None) => Security::StartTls,
            ("smtps", None) => Security::Implicit,
            ("smtp", Some("tls=none")) => Security::Plain,
            _ => return Err(FORM),
        };
        let plain_path = matches!(url.path(), "" | "/") && url.fragment().is_none();
        let host = url.host_str().filter(|_| plain_path).ok_or(FORM)?;
        let decoded = |text: &str| {
            let value = percent_decode_str(text).decode_utf8_lossy();
            Some(value.into_owned()).filter(|value| !value.is_empty())
        };
        let password = password
            .map(str::to_owned)
            .or_else(|| decoded(url.password()?));
        let credentials = match (decoded(url.username()), password) {
            (Some(user), Some(password)) => Some(Credentials::new(user, password)),
            (None, None) => None,
            (Some(_), None) => return Err("it has a user but no password"),
            (None, Some(_)) => return Err("there is a password, but it has no user"),
        };
        if security == Security::Plain && credentials.is_some() {
            return Err("a password must not be sent without TLS");
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(match security {
                Security::Implicit => 465,
                Security::StartTls => 587,
                Security::Plain => 25,
            }),
            security,
            credentials,
            authorities,
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.security != Security::Plain
    }
}

impl std::fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpConfig")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// How far a session was when its time was over.
#[derive(Default)]
struct Progress {
    /// The relay has greeted, and answered to the gate's greeting.
    has_greeted: AtomicBool,
    data_sent: AtomicBool,
}

pub(super) struct Smtp {
    relay: SmtpConfig,
    tls: Option<TlsParameters>,
    hello: ClientId,
    connections: Arc<Turns>,
}

impl Smtp {
    /// `domain` is the name in the greeting.
    pub(super) fn new(relay: &SmtpConfig, domain: &str) -> Result<Self, String> {
        let tls = match relay.security {
            Security::Plain => None,
            _ => Some(tls(relay)?),
        };
        Ok(Self {
            relay: relay.clone(),
            tls,
            // Some relays refuse `localhost`.
            hello: ClientId::Domain(domain.to_owned()),
            connections: Turns::new(MAX_CONNECTIONS),
        })
    }

    /// Sends within a timeout, of which it waits at most half in a `queue` for a connection. DATA is only sent during the
    /// first half of what is left then: when a transfer is cut off, the outcome is unknown.
    pub(super) async fn send(
        &self,
        message: &Message,
        queue: &str,
        limit: Duration,
    ) -> Result<(), MailError> {
        let started = Instant::now();
        let turn = timeout(limit / 2, self.connections.wait(queue)).await;
        let turn = turn.map_err(|_| MailError::Busy)?;
        let waited = started.elapsed();
        let limit = limit - waited;
        let progress = Progress::default();
        let is_early = || started.elapsed() < waited + limit / 2;
        let session = self.run_session(message, turn, is_early, &progress);
        match timeout(limit, session).await {
            Ok(Ok(true)) => Ok(()),
            Err(_) if progress.data_sent.load(Ordering::Relaxed) => {
                Err(MailError::OutcomeUnknown("timed out".to_owned()))
            }
            // With all of its time it may have been sent.
            Ok(Ok(false)) | Err(_) if waited > LONG_WAIT => Err(MailError::Busy),
            Err(_) if !progress.has_greeted.load(Ordering::Relaxed) => {
                Err(MailError::Unavailable(self.no_greeting(), None))
            }
            Ok(Ok(false)) | Err(_) => {
                Err(MailError::Unavailable("the relay is slow".to_owned(), None))
            }
            Ok(Err(error)) => Err(error),
        }
    }

    /// Returns whether the relay accepted the message; `false` if it is too late to send it.
    async fn run_session(
        &self,
        message: &Message,
        turn: Turn,
        is_early: impl Fn() -> bool,
        progress: &Progress,
    ) -> Result<bool, MailError> {
        let mut connection = self.connect(progress).await?;
        let envelope = message.envelope();
        let mail = Mail::new(envelope.from().cloned(), Vec::new());
        // A refused sender is a wrong setting of the gate.
        connection.command(mail).await.map_err(settings_error)?;
        // Each email has one recipient.
        let to = envelope.to().first().map(ToString::to_string);
        let recipient_error = |error| recipient_error(error, to.as_deref().unwrap_or_default());
        for to in envelope.to() {
            let recipient = Rcpt::new(to.clone(), Vec::new());
            connection
                .command(recipient)
                .await
                .map_err(recipient_error)?;
        }
        if !is_early() {
            return Ok(false);
        }
        connection.command(Data).await.map_err(content_error)?;
        progress.data_sent.store(true, Ordering::Relaxed);
        let accepted = connection.message(&message.formatted()).await;
        let response = accepted.map_err(|error| match error.status() {
            Some(_) => content_error(error),
            None => MailError::OutcomeUnknown(describe(&error)),
        })?;
        if response.code().severity != Severity::PositiveCompletion {
            let cause = format!("the relay answered {}", response.code());
            return Err(MailError::OutcomeUnknown(cause));
        }
        // The relay has accepted the message, even if QUIT fails.
        tokio::spawn(async move {
            timeout(QUIT_TIMEOUT, connection.abort()).await.ok();
            drop(turn);
        });
        Ok(true)
    }

    async fn connect(&self, progress: &Progress) -> Result<AsyncSmtpConnection, MailError> {
        let SmtpConfig { host, port, .. } = &self.relay;
        let address = (host.as_str(), *port);
        let tls = self.tls.clone();
        let implicit_tls = tls
            .clone()
            .filter(|_| self.relay.security == Security::Implicit);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(Duration::from_secs(3)),
            &self.hello,
            implicit_tls,
            None,
        )
        .await
        .map_err(|error| self.connection_error(&error))?;
        progress.has_greeted.store(true, Ordering::Relaxed);
        if let (Security::StartTls, Some(tls)) = (self.relay.security, tls) {
            if !connection.can_starttls() {
                let cause = "the relay does not offer STARTTLS";
                return Err(MailError::Misconfigured(cause.to_owned()));
            }
            let upgraded = connection.starttls(tls, &self.hello).await;
            upgraded.map_err(|error| self.connection_error(&error))?;
        }
        if let Some(credentials) = &self.relay.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let signed_in = connection.auth(&mechanisms, credentials).await;
            signed_in.map_err(settings_error)?;
        }
        Ok(connection)
    }

    /// An error while connecting. An untrusted certificate, or a port that speaks another protocol, is a wrong setting.
    fn connection_error(&self, error: &Error) -> MailError {
        let cause = describe(error);
        if self.relay.security == Security::Implicit && cause.contains("corrupt message") {
            let cause = "the port does not begin with TLS: with STARTTLS the URL is smtp://…";
            return MailError::Misconfigured(cause.to_owned());
        }
        let tls_errors = ["certificate", "corrupt message", "fatal alert"];
        if error.is_tls() || tls_errors.iter().any(|words| cause.contains(words)) {
            MailError::Misconfigured(cause)
        } else {
            MailError::Unavailable(cause, None)
        }
    }

    /// A port that begins with TLS waits for the client.
    fn no_greeting(&self) -> String {
        let hint = match self.relay.security {
            Security::Implicit => "",
            Security::StartTls | Security::Plain => {
                ". A port that begins with TLS, such as 465, takes smtps://…"
            }
        };
        format!("the relay did not greet in time{hint}")
    }
}

fn tls(relay: &SmtpConfig) -> Result<TlsParameters, String> {
    let mut tls = TlsParameters::builder(relay.host.clone());
    if let Some(file) = &relay.authorities {
        let pem = std::fs::read(file).map_err(|error| format!("HO_SMTP_CA: {error}"))?;
        let bundle = reqwest::Certificate::from_pem_bundle(&pem);
        if !bundle.is_ok_and(|certificates| !certificates.is_empty()) {
            return Err("HO_SMTP_CA: the file has no certificate in PEM form".to_owned());
        }
        let certificate = Certificate::from_pem(&pem);
        tls = tls.add_root_certificate(certificate.map_err(|error| describe(&error))?);
    }
    tls.build_rustls().map_err(|error| describe(&error))
}
