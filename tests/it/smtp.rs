//! An SMTP server in this process, with injected faults.
//!
//! It implements what a client needs to send an email, and enforces the order of commands of RFC 5321. It has
//! no pipelining, no chunking and no limits of size.

mod session;
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::session::{After, Session};
use crate::certificate::Certificate;

/// The account that may send, unless the server is plain. An address may have `&` and `+` as they are.
pub(crate) const USER: &str = "gate@example.com";
pub(crate) const PASSWORD: &str = "correct horse&p+q%26";

/// Accepts emails on this machine until the test ends.
pub(crate) struct Smtp {
    pub(crate) port: u16,
    certificate: Certificate,
    shared: Arc<Shared>,
}

/// An accepted email.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Head and body, with dots unstuffed.
    pub(crate) data: String,
}

/// A fault.
#[derive(Clone, Debug)]
pub(crate) enum SmtpFault {
    /// The banner is 421.
    Banner421,
    /// No banner is sent.
    Silence,
    /// The banner is sent after this time.
    LateBanner(Duration),
    /// The right password is refused.
    Auth535,
    /// The sender is refused.
    Sender550,
    /// This recipient is refused permanently.
    Rcpt550(&'static str),
    /// This recipient is refused temporarily.
    Rcpt451(&'static str),
    /// Each recipient gets this answer, in which `TO` stands for its address.
    RcptAnswer(&'static str),
    /// The connection is cut at DATA.
    DropBeforeData,
    /// The email is refused temporarily after DATA.
    Data452,
    /// The email is refused permanently after DATA.
    Data554,
    /// The email gets this answer after DATA.
    DataAnswer(&'static str),
    /// The email is accepted, and the connection cut before the reply.
    DropAfterData,
    /// The email is accepted, and no reply sent.
    SilenceAfterData,
    /// QUIT gets no reply.
    SilenceAtQuit,
}

impl Smtp {
    /// A server that requires STARTTLS before a password or an email.
    pub(crate) async fn start() -> Self {
        Self::with(Security::StartTls).await
    }

    /// A server with implicit TLS.
    pub(crate) async fn implicit() -> Self {
        Self::with(Security::Implicit).await
    }

    /// A server without TLS and passwords, which accepts emails from every client.
    pub(crate) async fn plain() -> Self {
        Self::with(Security::None).await
    }

    /// The server's certificate, self-signed, as PEM.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate.pem
    }

    /// The value of `HO_SMTP_URL` for this server.
    pub(crate) fn url(&self) -> String {
        let port = self.port;
        let credentials = "gate%40example.com:correct%20horse&p+q%2526";
        match self.shared.security {
            Security::StartTls => format!("smtp://{credentials}@localhost:{port}"),
            Security::Implicit => format!("smtps://{credentials}@localhost:{port}"),
            Security::None => format!("smtp://localhost:{port}?tls=none"),
        }
    }

    /// The accepted emails.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.seen.lock().unwrap().received.clone()
    }

    /// Queues a fault for the next command to which it applies.
    pub(crate) fn fault(&self, fault: SmtpFault) {
        self.shared.seen.lock().unwrap().faults.push_back(fault);
    }

    /// Sets the fault of every command to which it applies, after the queued ones.
    pub(crate) fn always(&self, fault: Option<SmtpFault>) {
        self.shared.seen.lock().unwrap().always = fault;
    }

    /// The number of accepted connections, with those that were closed at once.
    pub(crate) fn sessions(&self) -> usize {
        self.shared.seen.lock().unwrap().sessions
    }

    /// The verbs of the commands so far, without their arguments.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().commands.clone()
    }

    /// While the server is down, open connections are cut and new ones closed.
    pub(crate) fn down(&self, yes: bool) {
        self.shared
            .down
            .send_if_modified(|down| std::mem::replace(down, yes) != yes);
    }

    async fn with(security: Security) -> Self {
        let certificate = Certificate::generate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::new(Shared {
                security,
                tls: certificate.acceptor(),
                down: watch::Sender::new(false),
                seen: Mutex::default(),
            }),
            certificate,
        };
        tokio::spawn(Arc::clone(&server.shared).listen(listener));
        server
    }
}

/// What must precede a password or an email.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    StartTls,
    Implicit,
    None,
}

/// What the server's connections share.
struct Shared {
    security: Security,
    tls: TlsAcceptor,
    down: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    sessions: usize,
    commands: Vec<String>,
    received: Vec<Received>,
    faults: VecDeque<SmtpFault>,
    always: Option<SmtpFault>,
}

impl Shared {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            self.seen.lock().unwrap().sessions += 1;
            let mut down = self.down.subscribe();
            if *down.borrow_and_update() {
                continue;
            }
            let shared = Arc::clone(&self);
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    _ = down.changed() => {}
                    _ = shared.serve(client) => {}
                }
            });
        }
    }

    async fn serve(&self, client: TcpStream) -> io::Result<()> {
        if self.security == Security::Implicit {
            let mut session = Session::new(self, self.tls.accept(client).await?, true);
            session.greet().await?;
            return session.listen().await.map(drop);
        }
        let mut session = Session::new(self, client, false);
        session.greet().await?;
        match session.listen().await? {
            After::Close => Ok(()),
            // State from before STARTTLS is discarded (RFC 3207).
            After::Tls => {
                let client = self.tls.accept(session.into_inner()).await?;
                let mut session = Session::new(self, client, true);
                session.listen().await.map(drop)
            }
        }
    }

    /// Removes the first queued fault that applies; else returns the permanent one if it applies.
    fn take_fault(&self, applies: impl Fn(&SmtpFault) -> bool) -> Option<SmtpFault> {
        let mut seen = self.seen.lock().unwrap();
        match seen.faults.iter().position(&applies) {
            Some(waiting) => seen.faults.remove(waiting),
            None => seen.always.clone().filter(applies),
        }
    }
}
