//! aiosmtpd, an independent mail server: it does not share a mistake of the gate or of `smtp`.

use std::path::Path;
use std::process::Stdio;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::certificate::Certificate;
use crate::deadline::within;
use crate::harness::repository;
use crate::smtp::{PASSWORD, Received, USER};

/// Accepts emails after STARTTLS from `smtp::USER`. The process ends with the value, or with this process.
pub(crate) struct Aiosmtpd {
    pub(crate) port: u16,
    stdout: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Aiosmtpd {
    pub(crate) async fn start(certificate: &Path, key: &Path) -> Self {
        assert!(
            repository().join(".tools/aiosmtpd/installed").is_file(),
            "aiosmtpd is not installed: run scripts/test once"
        );
        let mut process = Command::new(repository().join(".tools/aiosmtpd/bin/python"))
            .arg(repository().join("tests/aiosmtpd/server.py"))
            .args([certificate, key])
            .args([USER, PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = within(stdout.next_line()).await.unwrap();
        Self {
            port: port.expect("the server prints its port").parse().unwrap(),
            stdout,
            _process: process,
        }
    }

    /// Waits for the next accepted email.
    pub(crate) async fn next_email(&mut self) -> Received {
        let line = within(self.stdout.next_line()).await.unwrap();
        serde_json::from_str(&line.expect("the server runs")).unwrap()
    }
}

#[tokio::test]
async fn an_email_is_accepted_over_tls_with_the_password() {
    let certificate = Certificate::generate();
    let mut server = Aiosmtpd::start(&certificate.pem, &certificate.key).await;
    let pem = std::fs::read(&certificate.pem).unwrap();
    let trusted = lettre::transport::smtp::client::Certificate::from_pem(&pem).unwrap();
    let tls = TlsParameters::builder("localhost".to_owned())
        .add_root_certificate(trusted)
        .build()
        .unwrap();
    let port = server.port;
    let send = async |tls, password: &str, body: &str| {
        let email = Message::builder()
            .from(USER.parse().unwrap())
            .to("alice@example.com".parse().unwrap())
            .body(body.to_owned())
            .unwrap();
        let client = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("localhost")
            .port(port)
            .tls(tls)
            .credentials(Credentials::new(USER.to_owned(), password.to_owned()))
            .build();
        client.send(email).await
    };
    let wrong = send(Tls::Required(tls.clone()), "wrong", "one").await;
    let status = wrong.unwrap_err().status().unwrap();
    assert_eq!(status.to_string(), "535");
    let open = send(Tls::None, PASSWORD, "two").await;
    assert!(open.unwrap_err().is_client());
    let right = send(Tls::Required(tls), PASSWORD, ".\r\nthree").await;
    right.unwrap();

    let received = server.next_email().await;
    assert_eq!(received.from, USER);
    assert_eq!(received.to, ["alice@example.com"]);
    let (_, body) = received.data.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.trim_end(), ".\r\nthree");
}
