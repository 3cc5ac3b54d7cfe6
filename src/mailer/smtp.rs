//! SMTP (RFC 5321), always over TLS but on the way to a developer's own machine.
//!
//! The conversation is led step by step, so that it is known whether a mail whose answer was lost can
//! have been taken.

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
use reqwest::Url;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::email::MailError;

/// A relay, and how to sign in there.
#[derive(Clone)]
pub struct SmtpConfig {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    /// A file of certificates to trust beside the machine's own, in PEM.
    authorities: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// STARTTLS, or nothing is sent (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// None.
    Plain,
}

/// How long a relay is given to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// No relay likes more connections at a time from one client.
const CONNECTIONS: usize = 3;

impl SmtpConfig {
    /// `smtp://USER@HOST:PORT` for STARTTLS, `smtps://` for TLS from the start, with the password in
    /// the address or beside it; `smtp://HOST:PORT?tls=none` for a relay on a developer's machine.
    ///
    /// # Errors
    /// What is wrong; never what is in it.
    pub fn parse(
        url: &str,
        password: Option<&str>,
        authorities: Option<PathBuf>,
    ) -> Result<Self, &'static str> {
        const FORM: &str = "it must be smtp://USER:PASSWORD@HOST:PORT, or smtps://";
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
            let pair = format!("x={}", text.replace('+', "%2B"));
            let (_, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
            Some(value.into_owned()).filter(|value| !value.is_empty())
        };
        let password = password
            .map(str::to_owned)
            .or_else(|| decoded(url.password()?));
        let credentials = match (decoded(url.username()), password) {
            (Some(user), Some(password)) => Some(Credentials::new(user, password)),
            (None, None) => None,
            (Some(_), None) => return Err("it names a user, and there is no password"),
            (None, Some(_)) => return Err("there is a password, and it names no user"),
        };
        if security == Security::Plain && credentials.is_some() {
            return Err("a password is only sent over TLS");
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

pub(super) struct Smtp {
    relay: SmtpConfig,
    tls: Option<TlsParameters>,
    hello: ClientId,
    connections: Arc<Semaphore>,
}

impl Smtp {
    /// A client that says it is of this domain.
    pub(super) fn new(relay: &SmtpConfig, domain: &str) -> Result<Self, String> {
        let tls = match relay.security {
            Security::Plain => None,
            _ => Some(tls(relay)?),
        };
        Ok(Self {
            relay: relay.clone(),
            tls,
            // Relays refuse `localhost`.
            hello: ClientId::Domain(domain.to_owned()),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    /// In this time, with waiting for others. A mail is only handed over while half of it is left: one
    /// that is cut off then may have been taken.
    pub(super) async fn send(&self, message: &Message, within: Duration) -> Result<(), MailError> {
        let begun = Instant::now();
        let handed_over = AtomicBool::new(false);
        let is_early = || begun.elapsed() < within / 2;
        let sent = timeout(within, self.converse(message, is_early, &handed_over)).await;
        let what = || "it took too long".to_owned();
        match sent {
            Ok(sent) => sent,
            Err(_) if handed_over.load(Ordering::Relaxed) => Err(MailError::Unclear(what())),
            Err(_) => Err(MailError::Unavailable(what(), None)),
        }
    }

    async fn converse(
        &self,
        message: &Message,
        is_early: impl Fn() -> bool,
        handed_over: &AtomicBool,
    ) -> Result<(), MailError> {
        let connections = self.connections.clone();
        let permit = connections.acquire_owned().await.expect("never closed");
        let mut connection = self.connect().await?;
        let envelope = message.envelope();
        let mail = Mail::new(envelope.from().cloned(), Vec::new());
        // A sender that the relay does not take is nobody's fault but ours.
        connection.command(mail).await.map_err(of_settings)?;
        for to in envelope.to() {
            let recipient = Rcpt::new(to.clone(), Vec::new());
            connection.command(recipient).await.map_err(of_mail)?;
        }
        if !is_early() {
            return Err(MailError::Unavailable("the relay is slow".to_owned(), None));
        }
        connection.command(Data).await.map_err(of_mail)?;
        handed_over.store(true, Ordering::Relaxed);
        let taken = connection.message(&message.formatted()).await;
        taken.map_err(|error| match error.status() {
            Some(_) => of_mail(error),
            None => MailError::Unclear(causes(&error)),
        })?;
        // It is taken, however the goodbye goes.
        tokio::spawn(async move {
            timeout(GOODBYE, connection.abort()).await.ok();
            drop(permit);
        });
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let SmtpConfig { host, port, .. } = &self.relay;
        let address = (host.as_str(), *port);
        let tls = self.tls.clone();
        let from_the_start = tls
            .clone()
            .filter(|_| self.relay.security == Security::Implicit);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(Duration::from_secs(3)),
            &self.hello,
            from_the_start,
            None,
        )
        .await
        .map_err(of_connection)?;
        if let (Security::StartTls, Some(tls)) = (self.relay.security, tls) {
            if !connection.can_starttls() {
                let why = "the relay offers no STARTTLS";
                return Err(MailError::Misconfigured(why.to_owned()));
            }
            let upgraded = connection.starttls(tls, &self.hello).await;
            upgraded.map_err(of_connection)?;
        }
        if let Some(credentials) = &self.relay.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let signed_in = connection.auth(&mechanisms, credentials).await;
            signed_in.map_err(of_settings)?;
        }
        Ok(connection)
    }
}

fn tls(relay: &SmtpConfig) -> Result<TlsParameters, String> {
    let mut tls = TlsParameters::builder(relay.host.clone());
    if let Some(file) = &relay.authorities {
        let pem = std::fs::read(file).map_err(|error| format!("HO_SMTP_CA: {error}"))?;
        let certificate = Certificate::from_pem(&pem);
        tls = tls.add_root_certificate(certificate.map_err(|error| causes(&error))?);
    }
    tls.build_rustls().map_err(|error| causes(&error))
}

/// A certificate that is not trusted stays so, and a port that speaks another protocol.
fn of_connection(error: Error) -> MailError {
    let text = causes(&error);
    let of_tls = ["certificate", "corrupt message", "fatal alert"];
    match error.is_tls() || of_tls.iter().any(|words| text.contains(words)) {
        true => MailError::Misconfigured(text),
        false => MailError::Unavailable(text, None),
    }
}

/// About the sign-in and the sender: what is refused for good there is refused for every mail. A
/// client without a word for what it was asked does not know how to sign in.
fn of_settings(error: Error) -> MailError {
    match error.is_permanent() || error.is_client() {
        true => MailError::Misconfigured(causes(&error)),
        false => MailError::Unavailable(causes(&error), None),
    }
}

/// About this mail and whom it is for. What a relay refuses for reasons of its own (RFC 3463: sign-in
/// and policy 5.7, quotas 5.4.5 and Exchange's 5.2.25x) says nothing of the address: later, perhaps.
fn of_mail(error: Error) -> MailError {
    let enhanced = enhanced(&error).unwrap_or_default();
    let of_relay = ["5.7.", "5.4.5", "5.2.25"];
    let passes = error.status().is_some_and(|code| code.to_string() == "530")
        || of_relay.iter().any(|code| enhanced.starts_with(code));
    match error.is_permanent() && !passes {
        true => MailError::Refused(causes(&error)),
        false => MailError::Unavailable(causes(&error), None),
    }
}

/// The codes of an answer without its text, which may repeat an address; else what went wrong.
fn causes(error: &Error) -> String {
    match (error.status(), enhanced(error)) {
        (Some(code), Some(enhanced)) => format!("the relay answered {code} {enhanced}"),
        (Some(code), None) => format!("the relay answered {code}"),
        (None, _) if error.is_response() => "the relay's answer makes no sense".to_owned(),
        (None, _) => error.to_string(),
    }
}

/// The code that RFC 3463 puts before an answer's text, such as `5.1.1`.
fn enhanced(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, answer) = text.split_once("): ")?;
    let code = answer.split([' ', '\n']).next()?;
    let is_code = code.split('.').count() == 3
        && code.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && code.len() <= 9;
    is_code.then(|| code.to_owned())
}
