//! Tests of the server, with lettre and with single commands.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{PASSWORD, Received, Security, Smtp, SmtpFault, USER};
use crate::deadline::within;

/// A client with the server's TLS mode, which trusts its certificate.
fn client(server: &Smtp) -> AsyncSmtpTransport<Tokio1Executor> {
    let pem = std::fs::read(server.certificate()).unwrap();
    let tls = TlsParameters::builder("localhost".to_owned())
        .add_root_certificate(Certificate::from_pem(&pem).unwrap())
        .build()
        .unwrap();
    let tls = match server.shared.security {
        Security::StartTls => Tls::Required(tls),
        Security::Implicit => Tls::Wrapper(tls),
        Security::None => Tls::None,
    };
    // lettre takes the TLS mode here, not from the URL.
    let url = server.url().replace("?tls=none", "");
    let client = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).unwrap();
    client.tls(tls).build()
}

fn mail() -> Message {
    Message::builder()
        .from(USER.parse().unwrap())
        .to("alice@example.com".parse().unwrap())
        .to("bob@example.com".parse().unwrap())
        .body(".\r\n..two dots\r\n".to_owned())
        .unwrap()
}

/// Sends an email; returns the reply code, or the kind of error.
async fn send(client: &AsyncSmtpTransport<Tokio1Executor>) -> String {
    match client.send(mail()).await {
        Ok(answer) => answer.code().to_string(),
        Err(error) => match error.status() {
            Some(reply_code) => reply_code.to_string(),
            None if error.is_response() => "cut short".to_owned(),
            None if error.is_client() => "unwilling".to_owned(),
            None => "cut".to_owned(),
        },
    }
}

/// Sends commands, and collects the reply codes.
async fn reply_codes(
    line: &mut (impl AsyncBufRead + AsyncWrite + Unpin),
    commands: &[&str],
) -> Vec<String> {
    let mut reply_codes = Vec::new();
    for command in commands {
        line.write_all(format!("{command}\r\n").as_bytes())
            .await
            .unwrap();
        reply_codes.push(reply_code(line).await);
    }
    reply_codes
}

/// Reads the next reply, which may have several lines; returns its code.
async fn reply_code(line: &mut (impl AsyncBufRead + Unpin)) -> String {
    loop {
        let mut answer = String::new();
        let read = within(line.read_line(&mut answer)).await.unwrap();
        assert_ne!(read, 0, "the server has hung up");
        if answer.as_bytes().get(3) == Some(&b' ') {
            return answer[..3].to_owned();
        }
    }
}

/// Opens a session over TLS, and reads the banner.
async fn over_tls(server: &Smtp) -> BufReader<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let shown = CertificateDer::from_pem_file(server.certificate()).unwrap();
    roots.add(shown).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let client = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let name = "localhost".try_into().unwrap();
    let mut line = BufReader::new(connector.connect(name, client).await.unwrap());
    assert_eq!(reply_code(&mut line).await, "220");
    line
}

#[tokio::test]
async fn an_email_is_received_unchanged() {
    for (server, before) in [
        (
            Smtp::start().await,
            &["EHLO", "STARTTLS", "EHLO", "AUTH"][..],
        ),
        (Smtp::implicit().await, &["EHLO", "AUTH"]),
        (Smtp::plain().await, &["EHLO"]),
    ] {
        assert_eq!(send(&client(&server)).await, "250");
        let [received] = &server.received()[..] else {
            panic!("{:?}", server.received())
        };
        assert_eq!(received.from, USER);
        assert_eq!(received.to, ["alice@example.com", "bob@example.com"]);
        let (_, body) = received.data.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.trim_end(), ".\r\n..two dots");
        let commands = server.commands();
        assert_eq!(&commands[..before.len()], before);
        assert_eq!(
            &commands[before.len()..][..4],
            ["MAIL", "RCPT", "RCPT", "DATA"]
        );
        assert_eq!(server.sessions(), 1);
    }
}

#[tokio::test]
async fn each_fault_applies_once_to_its_command() {
    let server = Smtp::start().await;
    for (fault, expected, accepted) in [
        (SmtpFault::Banner421, "421", 0),
        (SmtpFault::Auth535, "535", 0),
        (SmtpFault::Sender550, "550", 0),
        (SmtpFault::Rcpt550("bob@example.com"), "550", 0),
        (SmtpFault::Rcpt451("alice@example.com"), "451", 0),
        (SmtpFault::DropBeforeData, "cut", 0),
        (SmtpFault::Data452, "452", 0),
        (SmtpFault::Data554, "554", 0),
        (SmtpFault::DropAfterData, "cut", 1),
    ] {
        let before = server.received().len();
        server.fault(fault.clone());
        assert_eq!(send(&client(&server)).await, expected, "{fault:?}");
        assert_eq!(server.received().len() - before, accepted, "{fault:?}");
    }
    server.fault(SmtpFault::Rcpt550("other@example.com"));
    assert_eq!(send(&client(&server)).await, "250");
}

#[tokio::test]
async fn queued_faults_apply_before_the_permanent_one() {
    let server = Smtp::plain().await;
    server.always(Some(SmtpFault::Data452));
    server.fault(SmtpFault::Data554);
    server.fault(SmtpFault::Banner421);
    for expected in ["421", "554", "452", "452"] {
        assert_eq!(send(&client(&server)).await, expected);
    }
    server.always(None);
    assert_eq!(send(&client(&server)).await, "250");
}

#[tokio::test]
async fn a_silent_server_never_answers() {
    let short = Duration::from_millis(300);
    for (fault, accepted) in [(SmtpFault::Silence, 0), (SmtpFault::SilenceAfterData, 1)] {
        let server = Smtp::start().await;
        server.fault(fault);
        assert!(timeout(short, send(&client(&server))).await.is_err());
        assert_eq!(server.received().len(), accepted);
    }
    let server = Smtp::implicit().await;
    server.fault(SmtpFault::SilenceAtQuit);
    let mut line = over_tls(&server).await;
    assert!(
        timeout(short, reply_codes(&mut line, &["QUIT"]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn every_connection_is_closed_while_the_server_is_down() {
    let server = Smtp::implicit().await;
    let mut open = over_tls(&server).await;
    server.down(true);
    assert!(open.read_u8().await.is_err());
    assert_eq!(send(&client(&server)).await, "cut");
    server.down(false);
    assert_eq!(send(&client(&server)).await, "250");
    assert_eq!(server.sessions(), 3);
}

#[tokio::test]
async fn a_client_that_requires_tls_sends_nothing_without_it() {
    let server = Smtp::plain().await;
    let tls = TlsParameters::new("localhost".to_owned()).unwrap();
    let client = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("localhost")
        .port(server.port)
        .tls(Tls::Required(tls.clone()));
    assert_eq!(send(&client.build()).await, "unwilling");
    assert_eq!(server.commands(), ["EHLO"]);

    let server = Smtp::start().await;
    let client = AsyncSmtpTransport::<Tokio1Executor>::from_url(&server.url()).unwrap();
    assert_eq!(send(&client.tls(Tls::Required(tls)).build()).await, "cut");
    assert_eq!(server.commands(), ["EHLO", "STARTTLS"]);
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    let server = Smtp::start().await;
    let client = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let mut line = BufReader::new(client);
    assert_eq!(reply_code(&mut line).await, "220");
    let commands = [
        "EHLO x",
        "AUTH PLAIN eA==",
        "MAIL FROM:<a@example.com>",
        "NOOP",
        "STARTTLS",
    ];
    assert_eq!(
        reply_codes(&mut line, &commands).await,
        ["250", "530", "530", "250", "220"]
    );

    let server = Smtp::implicit().await;
    let mut line = over_tls(&server).await;
    let commands = ["STARTTLS", "MAIL FROM:<a@example.com>", "DATA"];
    assert_eq!(
        reply_codes(&mut line, &commands).await,
        ["530", "530", "530"]
    );

    let server = Smtp::plain().await;
    let client = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let mut line = BufReader::new(client);
    assert_eq!(reply_code(&mut line).await, "220");
    for (command, expected) in [
        ("AUTH PLAIN eA==", "502"),
        ("RCPT TO:<alice@example.com>", "503"),
        ("MAIL FROM:a@example.com", "501"),
        ("mail from:<a@example.com> BODY=8BITMIME SIZE=10", "250"),
        ("MAIL FROM:<b@example.com>", "503"),
        ("DATA", "503"),
        ("RCPT <alice@example.com>", "501"),
        ("RCPT TO:<alice@example.com>", "250"),
        ("RSET", "250"),
        ("RCPT TO:<alice@example.com>", "503"),
        ("MAIL FROM:<b@example.com>", "250"),
        ("RCPT TO:<alice@example.com>", "250"),
        ("DATA", "354"),
        ("one\r\n.", "250"),
        ("MAIL FROM:<c@example.com>", "250"),
        ("RCPT TO:<bob@example.com>", "250"),
        ("DATA", "354"),
        ("two\r\n.", "250"),
        ("QUIT", "221"),
    ] {
        assert_eq!(
            reply_codes(&mut line, &[command]).await,
            [expected],
            "{command}"
        );
    }
    let received = |from: &str, to: &str, data: &str| Received {
        from: from.to_owned(),
        to: vec![to.to_owned()],
        data: data.to_owned(),
    };
    assert_eq!(
        server.received(),
        [
            received("b@example.com", "alice@example.com", "one\r\n"),
            received("c@example.com", "bob@example.com", "two\r\n"),
        ]
    );
}

#[tokio::test]
async fn auth_accepts_plain_and_login() {
    let server = Smtp::implicit().await;
    let [user, password] = [USER, PASSWORD].map(|text| BASE64.encode(text));
    let plain = BASE64.encode(format!("\0{USER}\0{PASSWORD}"));
    let (initial, user_first) = (format!("AUTH PLAIN {plain}"), format!("AUTH LOGIN {user}"));
    for (commands, answers) in [
        (&[initial.as_str()][..], &["235"][..]),
        (&["AUTH PLAIN", &plain], &["334", "235"]),
        (&["AUTH LOGIN", &user, &password], &["334", "334", "235"]),
        (&[&user_first, &password], &["334", "235"]),
        (&["AUTH LOGIN", &password, &user], &["334", "334", "535"]),
        (&["AUTH PLAIN", "what?"], &["334", "535"]),
        (&["AUTH CRAM-MD5"], &["504"]),
    ] {
        let mut line = over_tls(&server).await;
        assert_eq!(reply_codes(&mut line, commands).await, answers);
        let expected = match answers.last() {
            Some(&"235") => "250",
            _ => "530",
        };
        let mail = ["MAIL FROM:<a@example.com>"];
        assert_eq!(reply_codes(&mut line, &mail).await, [expected]);
    }
    assert!(
        server
            .commands()
            .iter()
            .all(|verb| verb == "AUTH" || verb == "MAIL")
    );
}
