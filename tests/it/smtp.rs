//! A mail server in this process, which breaks as a test asks.
//!
//! It knows what somebody needs who hands mails in over SMTP, and insists on the order of RFC 5321.
//! What it leaves out: pipelining, chunks, and limits of size.

mod itself;
mod session;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::session::{Next, Session};
use crate::certificate::Certificate;

/// Who may hand mails in, unless everybody may.
pub(crate) const USER: &str = "gate@example.com";
pub(crate) const PASSWORD: &str = "correct horse";

/// Takes mails on this machine until the test ends.
pub(crate) struct Smtp {
    pub(crate) port: u16,
    certificate: Certificate,
    shared: Arc<Shared>,
}

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Head and body, without the dots that were doubled for the way.
    pub(crate) data: String,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum SmtpFault {
    /// It has no time, says its banner.
    Banner421,
    /// It has no banner, and never gets one.
    Silence,
    /// It does not like the password, right as it may be.
    Auth535,
    /// It does not like the sender.
    Sender550,
    /// It does not know this recipient.
    Rcpt550(&'static str),
    /// It does not want this recipient now.
    Rcpt451(&'static str),
    /// The line is dropped when the mail is about to come.
    DropBeforeData,
    /// It has no room for the mail that came.
    Data452,
    /// It does not like the mail that came.
    Data554,
    /// The line is dropped when the mail is taken, before that is said.
    DropAfterData,
    /// The mail is taken, and nobody ever says so.
    SilenceAfterData,
    /// It never says good-bye.
    SilenceAtQuit,
}

impl Smtp {
    /// One that takes a password, and a mail, only after STARTTLS.
    pub(crate) async fn start() -> Self {
        Self::with(Security::StartTls).await
    }

    /// One that speaks TLS from the first byte.
    pub(crate) async fn implicit() -> Self {
        Self::with(Security::Implicit).await
    }

    /// One that knows neither TLS nor passwords, and takes mails from everybody.
    pub(crate) async fn plain() -> Self {
        Self::with(Security::None).await
    }

    /// What it shows, as PEM. Whoever trusts this file trusts the server.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate.pem
    }

    /// Where it is, and what it wants to hear, as the gate is told.
    pub(crate) fn url(&self) -> String {
        let port = self.port;
        let credentials = "gate%40example.com:correct%20horse";
        match self.shared.security {
            Security::StartTls => format!("smtp://{credentials}@localhost:{port}"),
            Security::Implicit => format!("smtps://{credentials}@localhost:{port}"),
            Security::None => format!("smtp://localhost:{port}?tls=none"),
        }
    }

    /// Every mail that was taken so far.
    pub(crate) fn mails(&self) -> Vec<Received> {
        self.shared.seen.lock().unwrap().mails.clone()
    }

    /// The next that can meets this fault, once. Several wait in line.
    pub(crate) fn fault(&self, fault: SmtpFault) {
        self.shared.seen.lock().unwrap().faults.push_back(fault);
    }

    /// All that can meet this fault, when none waits in line for them.
    pub(crate) fn always(&self, fault: Option<SmtpFault>) {
        self.shared.seen.lock().unwrap().always = fault;
    }

    /// How many connections it has accepted, those that it closed at once included.
    pub(crate) fn sessions(&self) -> usize {
        self.shared.seen.lock().unwrap().sessions
    }

    /// The verbs of all the commands so far. What follows them is nobody's business.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().commands.clone()
    }

    /// While it is down, every connection is closed at once. Those that are open are cut.
    pub(crate) fn down(&self, yes: bool) {
        self.shared
            .down
            .send_if_modified(|down| std::mem::replace(down, yes) != yes);
    }

    async fn with(security: Security) -> Self {
        let certificate = Certificate::make();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::new(Shared {
                security,
                tls: tls(&certificate),
                down: watch::Sender::new(false),
                seen: Mutex::default(),
            }),
            certificate,
        };
        tokio::spawn(Arc::clone(&server.shared).listen(listener));
        server
    }
}

/// What must be before a password, and a mail.
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
    mails: Vec<Received>,
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
            Next::Nothing => Ok(()),
            // All that was said before is forgotten (RFC 3207).
            Next::Tls => {
                let client = self.tls.accept(session.into_inner()).await?;
                let mut session = Session::new(self, client, true);
                session.listen().await.map(drop)
            }
        }
    }

    /// Takes the fault that waits for those to which it `applies`.
    fn meet(&self, applies: impl Fn(&SmtpFault) -> bool) -> Option<SmtpFault> {
        let mut seen = self.seen.lock().unwrap();
        match seen.faults.iter().position(&applies) {
            Some(waiting) => seen.faults.remove(waiting),
            None => seen.always.clone().filter(applies),
        }
    }
}

fn tls(certificate: &Certificate) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let shown = CertificateDer::from_pem_file(&certificate.pem).unwrap();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
