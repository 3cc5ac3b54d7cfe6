//! The server's side of one SMTP session.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::{PASSWORD, Received, Security, Shared, SmtpFault, USER};

/// A session with one client.
pub(super) struct Session<'a, S> {
    server: &'a Shared,
    line: BufReader<S>,
    encrypted: bool,
    authenticated: bool,
    /// The email in progress.
    mail: Option<Received>,
}

/// What follows a session.
pub(super) enum After {
    Tls,
    Close,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    pub(super) fn new(server: &'a Shared, client: S, encrypted: bool) -> Self {
        Self {
            server,
            line: BufReader::new(client),
            encrypted,
            authenticated: false,
            mail: None,
        }
    }

    pub(super) async fn greet(&mut self) -> io::Result<()> {
        let banner = |fault: &_| {
            use SmtpFault as F;
            matches!(fault, F::Banner421 | F::Silence | F::LateBanner(_))
        };
        match self.server.take_fault(banner) {
            Some(SmtpFault::Silence) => std::future::pending().await,
            Some(SmtpFault::LateBanner(time)) => {
                tokio::time::sleep(time).await;
                self.reply("220 localhost ESMTP").await
            }
            Some(_) => {
                self.reply("421 4.3.2 Come back later").await?;
                Err(closed())
            }
            None => self.reply("220 localhost ESMTP").await,
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.line.into_inner()
    }

    /// Answers the commands of the session.
    pub(super) async fn listen(&mut self) -> io::Result<After> {
        loop {
            let line = self.read_line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            self.server.seen.lock().unwrap().commands.push(verb.clone());
            let missing = self.missing();
            match (verb.as_str(), missing) {
                ("EHLO", _) => self.introduce().await?,
                ("NOOP", _) => self.reply("250 2.0.0 Still here").await?,
                ("RSET", _) => {
                    self.mail = None;
                    self.reply("250 2.0.0 Forgotten").await?;
                }
                ("QUIT", _) => {
                    let silent = |fault: &_| matches!(fault, SmtpFault::SilenceAtQuit);
                    if self.server.take_fault(silent).is_some() {
                        std::future::pending().await
                    }
                    self.reply("221 2.0.0 Bye").await?;
                    return Ok(After::Close);
                }
                ("STARTTLS", Some(Missing::Tls)) => {
                    self.reply("220 2.0.0 Go ahead").await?;
                    return Ok(After::Tls);
                }
                (_, Some(Missing::Tls)) => self.reply("530 5.7.0 STARTTLS comes first").await?,
                ("AUTH", Some(Missing::Password)) => self.authenticate(rest).await?,
                (_, Some(Missing::Password)) => self.reply("530 5.7.0 AUTH comes first").await?,
                ("MAIL", None) => self.sender(rest).await?,
                ("RCPT", None) => self.recipient(rest).await?,
                ("DATA", None) => self.data().await?,
                _ => self.reply("502 5.5.1 Not here, or not now").await?,
            }
        }
    }

    /// What the client must do before an email.
    fn missing(&self) -> Option<Missing> {
        match self.server.security {
            Security::None => None,
            _ if !self.encrypted => Some(Missing::Tls),
            _ if !self.authenticated => Some(Missing::Password),
            _ => None,
        }
    }

    async fn introduce(&mut self) -> io::Result<()> {
        self.mail = None;
        let offered = match self.missing() {
            Some(Missing::Tls) => "250-STARTTLS\r\n",
            Some(Missing::Password) => "250-AUTH PLAIN LOGIN\r\n",
            None => "",
        };
        let answer = format!("250-localhost\r\n{offered}250-8BITMIME\r\n250 SMTPUTF8");
        self.reply(&answer).await
    }

    async fn authenticate(&mut self, how: &str) -> io::Result<()> {
        let (mechanism, initial) = match how.split_once(' ') {
            Some((mechanism, initial)) => (mechanism, Some(decode(initial))),
            None => (how, None),
        };
        let credentials = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.initial_or_prompt(initial, "").await?,
            "LOGIN" => {
                let user = self.initial_or_prompt(initial, "VXNlcm5hbWU6").await?;
                let password = self.initial_or_prompt(None, "UGFzc3dvcmQ6").await?;
                format!("\0{user}\0{password}")
            }
            _ => return self.reply("504 5.5.4 PLAIN or LOGIN").await,
        };
        let right = credentials == format!("\0{USER}\0{PASSWORD}");
        let fault = self
            .server
            .take_fault(|fault| matches!(fault, SmtpFault::Auth535));
        self.authenticated = right && fault.is_none();
        self.reply(if self.authenticated {
            "235 2.7.0 Welcome"
        } else {
            "535 5.7.8 Authentication credentials invalid"
        })
        .await
    }

    /// Returns the initial response, or prompts for it.
    async fn initial_or_prompt(
        &mut self,
        initial: Option<String>,
        prompt: &str,
    ) -> io::Result<String> {
        match initial {
            Some(initial) => Ok(initial),
            None => {
                self.reply(&format!("334 {prompt}")).await?;
                Ok(decode(&self.read_line().await?))
            }
        }
    }

    async fn sender(&mut self, argument: &str) -> io::Result<()> {
        let Some(from) = parse_path(argument, "FROM:") else {
            return self.reply("501 5.5.4 FROM:<address>").await;
        };
        if self.mail.is_some() {
            return self.reply("503 5.5.1 One mail at a time").await;
        }
        let refused = |fault: &_| matches!(fault, SmtpFault::Sender550);
        if self.server.take_fault(refused).is_some() {
            let answer = format!("550 5.7.60 <{from}>: not as this sender");
            return self.reply(&answer).await;
        }
        self.mail = Some(Received {
            from,
            to: Vec::new(),
            data: String::new(),
        });
        self.reply("250 2.1.0 Sender ok").await
    }

    async fn recipient(&mut self, argument: &str) -> io::Result<()> {
        let Some(to) = parse_path(argument, "TO:") else {
            return self.reply("501 5.5.4 TO:<address>").await;
        };
        let Some(mail) = &mut self.mail else {
            return self.reply("503 5.5.1 MAIL comes first").await;
        };
        let refused = |fault: &_| match fault {
            SmtpFault::Rcpt550(address) | SmtpFault::Rcpt451(address) => *address == to,
            SmtpFault::RcptAnswer(_) => true,
            _ => false,
        };
        // As real servers do, the reply repeats the address.
        let answer = match self.server.take_fault(refused) {
            Some(SmtpFault::Rcpt550(_)) => format!("550 5.1.1 <{to}>: no such user"),
            Some(SmtpFault::RcptAnswer(answer)) => answer.replace("TO", &to),
            Some(_) => format!("451 4.2.1 <{to}>: not now"),
            None => {
                mail.to.push(to);
                "250 2.1.5 Recipient ok".to_owned()
            }
        };
        self.reply(&answer).await
    }

    async fn data(&mut self) -> io::Result<()> {
        let Some(mut mail) = self.mail.take_if(|mail| !mail.to.is_empty()) else {
            return self.reply("503 5.5.1 RCPT comes first").await;
        };
        let dropped = |fault: &_| matches!(fault, SmtpFault::DropBeforeData);
        if self.server.take_fault(dropped).is_some() {
            return Err(closed());
        }
        self.reply("354 Up to a dot").await?;
        loop {
            let line = self.read_line().await?;
            if line == "." {
                break;
            }
            mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
            mail.data.push_str("\r\n");
        }
        let fault = self.server.take_fault(|fault| {
            matches!(
                fault,
                SmtpFault::Data452
                    | SmtpFault::Data554
                    | SmtpFault::DataAnswer(_)
                    | SmtpFault::DropAfterData
                    | SmtpFault::SilenceAfterData
            )
        });
        match fault {
            Some(SmtpFault::Data452) => return self.reply("452 4.3.1 No room").await,
            Some(SmtpFault::Data554) => return self.reply("554 5.7.1 Not this mail").await,
            Some(SmtpFault::DataAnswer(answer)) => return self.reply(answer).await,
            _ => self.server.seen.lock().unwrap().received.push(mail),
        }
        match fault {
            Some(SmtpFault::DropAfterData) => Err(closed()),
            Some(_) => std::future::pending().await,
            None => self.reply("250 2.0.0 Taken").await,
        }
    }

    async fn reply(&mut self, answer: &str) -> io::Result<()> {
        self.line
            .write_all(format!("{answer}\r\n").as_bytes())
            .await?;
        self.line.flush().await
    }

    /// Reads a line without its CRLF. Any other end of line ends the session.
    async fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.line.read_line(&mut line).await?;
        let line = line.strip_suffix("\r\n").ok_or_else(closed)?;
        Ok(line.to_owned())
    }
}

/// What a client lacks.
enum Missing {
    Tls,
    Password,
}

fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// The address in `FROM:<address>`; parameters may follow.
fn parse_path(argument: &str, before: &str) -> Option<String> {
    let (start, rest) = argument.split_at_checked(before.len())?;
    let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
    start
        .eq_ignore_ascii_case(before)
        .then(|| address.to_owned())
}

/// Decodes Base64; the result is empty if it is invalid.
fn decode(text: &str) -> String {
    let bytes = BASE64.decode(text).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
