//! What the server says to one client.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::{PASSWORD, Received, Security, Shared, SmtpFault, USER};

/// A conversation with one client.
pub(super) struct Session<'a, S> {
    server: &'a Shared,
    line: BufReader<S>,
    encrypted: bool,
    authenticated: bool,
    /// The mail that is being handed in.
    mail: Option<Received>,
}

/// What follows a conversation.
pub(super) enum Next {
    Tls,
    Nothing,
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
        let banner = |fault: &_| matches!(fault, SmtpFault::Banner421 | SmtpFault::Silence);
        match self.server.meet(banner) {
            Some(SmtpFault::Silence) => std::future::pending().await,
            Some(_) => {
                self.say("421 4.3.2 Come back later").await?;
                Err(hung_up())
            }
            None => self.say("220 localhost ESMTP").await,
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.line.into_inner()
    }

    /// Answers one command after the other.
    pub(super) async fn listen(&mut self) -> io::Result<Next> {
        loop {
            let line = self.hear().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            self.server.seen.lock().unwrap().commands.push(verb.clone());
            let missing = self.missing();
            match (verb.as_str(), missing) {
                ("EHLO", _) => self.introduce().await?,
                ("NOOP", _) => self.say("250 2.0.0 Still here").await?,
                ("RSET", _) => {
                    self.mail = None;
                    self.say("250 2.0.0 Forgotten").await?;
                }
                ("QUIT", _) => {
                    let silent = |fault: &_| matches!(fault, SmtpFault::SilenceAtQuit);
                    if self.server.meet(silent).is_some() {
                        std::future::pending().await
                    }
                    self.say("221 2.0.0 Bye").await?;
                    return Ok(Next::Nothing);
                }
                ("STARTTLS", Some(Missing::Tls)) => {
                    self.say("220 2.0.0 Go ahead").await?;
                    return Ok(Next::Tls);
                }
                (_, Some(Missing::Tls)) => self.say("530 5.7.0 STARTTLS comes first").await?,
                ("AUTH", Some(Missing::Password)) => self.authenticate(rest).await?,
                (_, Some(Missing::Password)) => self.say("530 5.7.0 AUTH comes first").await?,
                ("MAIL", None) => self.sender(rest).await?,
                ("RCPT", None) => self.recipient(rest).await?,
                ("DATA", None) => self.data().await?,
                _ => self.say("502 5.5.1 Not here, or not now").await?,
            }
        }
    }

    /// What must come before a mail.
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
        self.say(&answer).await
    }

    async fn authenticate(&mut self, how: &str) -> io::Result<()> {
        let (mechanism, initial) = match how.split_once(' ') {
            Some((mechanism, initial)) => (mechanism, Some(decoded(initial))),
            None => (how, None),
        };
        let credentials = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.unless_known(initial, "").await?,
            "LOGIN" => {
                let user = self.unless_known(initial, "VXNlcm5hbWU6").await?;
                let password = self.unless_known(None, "UGFzc3dvcmQ6").await?;
                format!("\0{user}\0{password}")
            }
            _ => return self.say("504 5.5.4 PLAIN or LOGIN").await,
        };
        let right = credentials == format!("\0{USER}\0{PASSWORD}");
        let fault = self
            .server
            .meet(|fault| matches!(fault, SmtpFault::Auth535));
        self.authenticated = right && fault.is_none();
        self.say(match self.authenticated {
            true => "235 2.7.0 Welcome",
            false => "535 5.7.8 Authentication credentials invalid",
        })
        .await
    }

    /// Asks for what did not come with the command.
    async fn unless_known(&mut self, known: Option<String>, prompt: &str) -> io::Result<String> {
        match known {
            Some(known) => Ok(known),
            None => {
                self.say(&format!("334 {prompt}")).await?;
                Ok(decoded(&self.hear().await?))
            }
        }
    }

    async fn sender(&mut self, argument: &str) -> io::Result<()> {
        let Some(from) = path(argument, "FROM:") else {
            return self.say("501 5.5.4 FROM:<address>").await;
        };
        if self.mail.is_some() {
            return self.say("503 5.5.1 One mail at a time").await;
        }
        let refused = |fault: &_| matches!(fault, SmtpFault::Sender550);
        if self.server.meet(refused).is_some() {
            let answer = format!("550 5.7.60 <{from}>: not as this sender");
            return self.say(&answer).await;
        }
        self.mail = Some(Received {
            from,
            to: Vec::new(),
            data: String::new(),
        });
        self.say("250 2.1.0 Sender ok").await
    }

    async fn recipient(&mut self, argument: &str) -> io::Result<()> {
        let Some(to) = path(argument, "TO:") else {
            return self.say("501 5.5.4 TO:<address>").await;
        };
        let Some(mail) = &mut self.mail else {
            return self.say("503 5.5.1 MAIL comes first").await;
        };
        let refused = |fault: &_| match fault {
            SmtpFault::Rcpt550(address) | SmtpFault::Rcpt451(address) => *address == to,
            _ => false,
        };
        // As real servers do, it says the address again.
        let answer = match self.server.meet(refused) {
            Some(SmtpFault::Rcpt550(_)) => format!("550 5.1.1 <{to}>: no such user"),
            Some(_) => format!("451 4.2.1 <{to}>: not now"),
            None => {
                mail.to.push(to);
                "250 2.1.5 Recipient ok".to_owned()
            }
        };
        self.say(&answer).await
    }

    async fn data(&mut self) -> io::Result<()> {
        let Some(mut mail) = self.mail.take_if(|mail| !mail.to.is_empty()) else {
            return self.say("503 5.5.1 RCPT comes first").await;
        };
        let dropped = |fault: &_| matches!(fault, SmtpFault::DropBeforeData);
        if self.server.meet(dropped).is_some() {
            return Err(hung_up());
        }
        self.say("354 Up to a dot").await?;
        loop {
            let line = self.hear().await?;
            if line == "." {
                break;
            }
            mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
            mail.data.push_str("\r\n");
        }
        let fault = self.server.meet(|fault| {
            matches!(
                fault,
                SmtpFault::Data452
                    | SmtpFault::Data554
                    | SmtpFault::DropAfterData
                    | SmtpFault::SilenceAfterData
            )
        });
        match fault {
            Some(SmtpFault::Data452) => return self.say("452 4.3.1 No room").await,
            Some(SmtpFault::Data554) => return self.say("554 5.7.1 Not this mail").await,
            _ => self.server.seen.lock().unwrap().mails.push(mail),
        }
        match fault {
            Some(SmtpFault::DropAfterData) => Err(hung_up()),
            Some(_) => std::future::pending().await,
            None => self.say("250 2.0.0 Taken").await,
        }
    }

    async fn say(&mut self, answer: &str) -> io::Result<()> {
        self.line
            .write_all(format!("{answer}\r\n").as_bytes())
            .await?;
        self.line.flush().await
    }

    /// A line, without its end. One that ends otherwise than lines do ends the conversation.
    async fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.line.read_line(&mut line).await?;
        let line = line.strip_suffix("\r\n").ok_or_else(hung_up)?;
        Ok(line.to_owned())
    }
}

/// What a client lacks.
enum Missing {
    Tls,
    Password,
}

fn hung_up() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// The address in `FROM:<address>`; parameters may follow.
fn path(argument: &str, before: &str) -> Option<String> {
    let (start, rest) = argument.split_at_checked(before.len())?;
    let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
    start
        .eq_ignore_ascii_case(before)
        .then(|| address.to_owned())
}

/// What is said in Base64; what is not is nothing.
fn decoded(text: &str) -> String {
    let bytes = BASE64.decode(text).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
