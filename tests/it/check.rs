//! `human-oversight check` as a process: what works, and seeded faults, one line each.

use std::path::Path;

use human_oversight::app::{Grade, check_clock};
use human_oversight::keys::keyring;
use human_oversight::store::ClockDifference;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::certificate::Certificate;
use crate::harness::{ALICE, Mail, TestGate, request};
use crate::process::{Process, run};
use crate::proxy::{Fault, Proxy};
use crate::smtp::{Smtp, SmtpFault};

/// The lines of a topic, each with its status.
pub(crate) fn lines<'a>(said: &'a str, topic: &str) -> Vec<&'a str> {
    let lines = said.lines();
    lines
        .filter(|line| line.split_whitespace().nth(1) == Some(topic))
        .collect()
}

#[track_caller]
pub(crate) fn assert_line(said: &str, status: &str, topic: &str, words: &str) {
    let lines = lines(said, topic);
    let has = |line: &&str| line.starts_with(status) && line.contains(words);
    assert!(lines.iter().any(has), "{status} {topic} {words} in\n{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_works_is_ok_and_a_gate_that_runs_notices_nothing() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let dir = tempfile::tempdir().unwrap();
    let mail = format!("file:{}", dir.path().join("mail").display());
    let with_mail = [&settings[..], &[("HO_MAIL", mail.as_str())]].concat();
    let (said, _) = run(&with_mail, &["check", "--channels"]).await;
    assert_line(&said, "warning", "channels", "names none");
    // Before the first start.
    let (said, code) = run(&with_mail, &["check"]).await;
    assert_eq!(code, 1, "{said}");
    assert_line(
        &said,
        "warning",
        "tables",
        "does not exist: the gate creates it",
    );
    assert_line(&said, "ok", "settings", "all can be used");

    let gate = Process::start(dir.path(), &with_mail).await;
    let approval = gate.client().submit(&request()).await.unwrap();
    let url = [("HO_BASE_URL", gate.url.as_str())];
    let with_url = [&with_mail[..], &url].concat();
    let tables = ["", "open", "standing", "decided"]
        .map(|kind| Table::of(azurite().port, &format!("{kind}{}", settings[2].1)));
    let (said, code) = crate::deadline::eventually(async || {
        let (said, code) = run(&with_url, &["check"]).await;
        // Its first sweep is recorded soon after the start.
        (code == 0 || !said.contains("no sweep has ended yet")).then_some((said, code))
    })
    .await;
    assert_eq!(code, 0, "{said}");
    for table in &tables {
        let name = format!(" {} can be read and written", table.name());
        assert_line(&said, "ok", "tables", &name);
    }
    assert_line(&said, "ok", "tables", "the gate's id is local");
    assert_line(&said, "ok", "pauses", "none stands");
    assert_line(&said, "ok", "clock", "the store's clock");
    assert_line(&said, "ok", "keys", "HO_LINK_KEYS: ");
    assert_line(&said, "ok", "keys", "in use for 0 days, since 2");
    assert_line(&said, "ok", "mail", "file; not tried: --mail-to");
    assert_line(&said, "ok", "address", "answers with these receipt keys");
    assert_line(&said, "ok", "sweep", "complete: true");
    assert_line(&said, "ok", "policy", "none");
    assert_line(&said, "ok", "sign-in", "links and codes decide");
    for table in &tables {
        let rows = table.rows().await;
        assert!(
            rows.iter().all(|row| row["PartitionKey"] != "check"),
            "{rows:?}"
        );
    }
    let (status, _) = gate
        .client()
        .status(&approval.id, std::time::Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(status.id, approval.id);
    let log = gate.kill().await;
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_seeded_fault_is_found_and_said_in_its_line() {
    let proxy = Proxy::start(azurite().port).await;
    let settings = backing_store::tables(proxy.port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    gate.sweep().await;
    let check =
        async |more: &[(&str, &str)]| run(&[&settings[..], more].concat(), &["check"]).await;

    // A role that reads, and does not write.
    const FORBIDDEN: &str =
        r#"{"odata.error":{"code":"AuthorizationPermissionMismatch","message":{"value":"x"}}}"#;
    let forbidden = || Fault::Answer {
        status: 403,
        retry_after: None,
        body: FORBIDDEN,
    };
    let table = settings[2].1.to_owned();
    for kind in ["/decided", "/open", "/standing"] {
        let is_write = move |it: &str| !it.starts_with("GET") && it.contains(kind);
        proxy.fault(is_write, forbidden());
    }
    let deletes = format!("/{table}(");
    proxy.fault(
        move |it: &str| it.starts_with("DELETE") && it.contains(&deletes),
        forbidden(),
    );
    let (said, code) = check(&[]).await;
    assert_eq!(code, 2, "{said}");
    for kind in ["", "open", "standing", "decided"] {
        let words = format!(
            " {kind}{table} cannot be written: the store is not available: the service answered 403 \
             AuthorizationPermissionMismatch"
        );
        assert_line(&said, "failed", "tables", &words);
    }

    // Another gate's tables, an unknown setting, settings without effect, keys of another gate.
    let other_keys = keyring::generate_receipt_key();
    let of_no_agent = format!(
        "{}=https://agent,3f2504e0-4f89-41d3-9a0c-0305e82c3301=Agent*",
        "07".repeat(32)
    );
    let more = [
        ("HO_GATE_ID", "other"),
        ("HO_ALOWED_APPROVERS", "x"),
        ("HO_SMTP_URL", "smtp://127.0.0.1:1?tls=none"),
        ("HO_PAUSED", "1"),
        ("HO_RECEIPT_KEYS", &other_keys),
        ("HO_BASE_URL", &gate.url),
        ("HO_OPEN_LIMIT", "topsecret"),
        ("HO_ALLOWED_APPROVERS", "*@example.com"),
        ("HO_AGENT_KEYS", &of_no_agent),
    ];
    let (said, code) = check(&more).await;
    assert_eq!(code, 2, "{said}");
    assert!(!said.contains("topsecret"), "{said}");
    for (status, topic, words) in [
        ("failed", "tables", "HO_GATE_ID is other, but the rows"),
        ("warning", "settings", "HO_ALLOWED_APPROVERS may be meant"),
        (
            "warning",
            "settings",
            "HO_SMTP_URL: it has no effect: HO_MAIL is not smtp",
        ),
        ("warning", "settings", "HO_PAUSED: everything is paused"),
        (
            "warning",
            "settings",
            "HO_AGENT_KEYS: its object ids have no effect",
        ),
        (
            "warning",
            "settings",
            "HO_AGENT_KEYS: an entry covers no agent",
        ),
        ("failed", "settings", "HO_OPEN_LIMIT cannot be used"),
        (
            "failed",
            "address",
            "is a gate that does not have the receipt key",
        ),
        ("warning", "sign-in", "a pattern in HO_ALLOWED_APPROVERS"),
    ] {
        assert_line(&said, status, topic, words);
    }

    // Nothing listens there; and a sweep that is overdue.
    gate.back(std::time::Duration::from_secs(3_600));
    gate.sweep().await;
    let nowhere = [("HO_BASE_URL", "http://127.0.0.1:1")];
    let (said, code) = check(&nowhere).await;
    assert_eq!(code, 2, "{said}");
    assert_line(&said, "failed", "address", "cannot be reached");
    assert_line(&said, "failed", "sweep", "overdue: the last one ended at 2");
    proxy.down(true);
    let (said, code) = check(&[]).await;
    assert_eq!(code, 2, "{said}");
    assert_line(
        &said,
        "failed",
        "tables",
        "cannot be read: the store is not available",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_that_stand_are_found_and_one_that_cannot_be_trusted_fails() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    gate.ask().await;
    for scope in [&[][..], &["--agent", "RefundAgent"]] {
        let pause = ["pause", "--because", "an incident", "--again-after", "0"];
        run(&settings, &[&pause[..], scope].concat()).await;
    }
    let (said, _) = run(&settings, &["check"]).await;
    assert_line(&said, "warning", "pauses", "everything is paused since 2");
    assert_line(
        &said,
        "warning",
        "pauses",
        "the agent RefundAgent is paused since 2",
    );
    let standing = Table::of(azurite().port, &format!("standing{}", settings[2].1));
    let rows = standing.rows().await.into_iter();
    let mut pauses = rows.filter(|row| row["PartitionKey"] == "pause");
    let mut row = pauses.next().unwrap();
    row["Reason"] = json!("another");
    standing.put(&row).await;
    let (said, code) = run(&settings, &["check"]).await;
    assert_eq!(code, 2, "{said}");
    assert_line(&said, "failed", "pauses", "everything is paused: ");
}

#[tokio::test]
async fn a_transport_that_cannot_be_set_up_is_found_without_a_test_email() {
    let settings = [
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", "smtps://127.0.0.1:1"),
        ("HO_SMTP_CA", "/proc/none"),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    let (said, code) = run(&settings, &["check"]).await;
    assert_eq!(code, 2, "{said}");
    assert_line(&said, "failed", "mail", "smtp cannot be used: ");
    // A key in the place of the certificate trusts no relay.
    let certificate = Certificate::generate();
    for wrong in [&certificate.key, Path::new("Cargo.toml")] {
        let wrong = wrong.to_str().unwrap();
        let settings = settings.map(|(name, value)| match name {
            "HO_SMTP_CA" => (name, wrong),
            _ => (name, value),
        });
        let (said, code) = run(&settings, &["check"]).await;
        assert_eq!(code, 2, "{said}");
        let why = "smtp cannot be used: HO_SMTP_CA: the file has no certificate in PEM form";
        assert_line(&said, "failed", "mail", why);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_email_shows_whether_the_transport_works() {
    let smtp = Smtp::plain().await;
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let url = smtp.url();
    let settings = [
        ("HO_STORE", store.as_str()),
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_MAIL_FROM", "gate@example.com"),
        ("HO_BRAND_NAME", "Conto \"so\" & Co"),
        ("HO_BRAND_CONTACT", "help@conto.example"),
    ];
    let check = ["check", "--json", "--mail-to", ALICE];
    let mail = |said: &str| -> Value {
        let said: Value = serde_json::from_str(said).unwrap();
        let checks = said["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|it| it["name"] == "mail").unwrap()
    };
    let (said, _) = run(&settings, &check).await;
    assert_eq!(mail(&said)["status"], "ok", "{said}");
    let received = smtp.received();
    assert_eq!(received.len(), 1);
    let email = Mail::parse(&received[0].data);
    assert_eq!(email.subject, "[Test] Conto \"so\" & Co can send email");
    for words in ["This is a test", "The gate: ", "help@conto.example"] {
        assert!(email.text.contains(words), "{}", email.text);
        assert!(email.html.contains(words), "{}", email.html);
    }
    assert!(email.html.contains("&#38; Co"), "{}", email.html);
    assert_eq!(received[0].to, [ALICE]);

    smtp.fault(SmtpFault::Rcpt550(ALICE));
    let (said, code) = run(&settings, &check).await;
    let found = mail(&said);
    let detail = found["detail"].as_str().unwrap();
    assert!(code == 2 && found["status"] == "failed", "{said}");
    assert!(
        detail.contains("refused permanently") && !detail.contains(ALICE),
        "{detail}"
    );
    assert_eq!(smtp.received().len(), 1);

    let (said, code) = run(&settings, &["check", "--mail-to", "alice"]).await;
    assert!(code == 2 && said.contains("--mail-to"), "{said}");
}

#[tokio::test]
async fn the_settings_in_force_are_printed_without_secrets() {
    let (link, receipt) = (
        keyring::generate_link_key(),
        keyring::generate_receipt_key(),
    );
    let settings = [
        ("HO_RUN_WITHIN", "600"),
        ("HO_LINK_KEYS", link.as_str()),
        ("HO_RECEIPT_KEYS", &receipt),
        ("HO_SMTP_URL", "smtps://gate:topsecret@relay.example.com"),
        ("HO_SMTP_PASSWORD", "topsecret"),
        ("HO_ACS_CONNECTION_STRING", "topsecret"),
        ("HO_TABLES_CONNECTION_STRING", "topsecret"),
        ("HO_CHANNEL_FINANCE_SECRET", "topsecret"),
        ("HO_MASTER_KEY", "topsecret"),
        ("HO_BASE_URL", ""),
    ];
    let (said, code) = run(&settings, &["check", "--settings"]).await;
    let expected = [
        "HO_ACS_CONNECTION_STRING=(not shown)",
        "HO_LINK_KEYS=(not shown)",
        "HO_RECEIPT_KEYS=(not shown)",
        "HO_RUN_WITHIN=600",
        "HO_SMTP_PASSWORD=(not shown)",
        "HO_SMTP_URL=(not shown)",
        "HO_TABLES_CONNECTION_STRING=(not shown)",
    ];
    assert_eq!(
        (said.lines().collect::<Vec<_>>(), code),
        (expected.to_vec(), 0)
    );
}

/// An operator may put a connection string, or an address with a password, where an address belongs.
#[tokio::test]
async fn a_secret_in_another_setting_is_not_printed() {
    let of_acs = "endpoint=https://x.communication.azure.com/;accesskey=topsecret";
    let settings = [
        ("HO_ACS_ENDPOINT", of_acs),
        ("HO_BASE_URL", "https://gate:topsecret@gate.example.com"),
        ("HO_BRAND_CONTACT", "help@example.com"),
        ("HO_GRAPH_ENDPOINT", "https://gate:topsecret@graph"),
        (
            "HO_ISSUERS",
            "https://old.example.com, https://topsecret@b.example.com",
        ),
        ("HO_MAIL", "smtp://gate:topsecret@relay.example.com"),
        ("HO_OPEN_LIMIT", "topsecret"),
        ("HO_STORE", "tables"),
        (
            "HO_TABLES_ENDPOINT",
            "https://acct.table.core.windows.net/?sv=1&sig=topsecret",
        ),
    ];
    let (said, code) = run(&settings, &["check", "--settings"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("topsecret"), "{said}");
    for line in [
        "HO_BRAND_CONTACT=help@example.com",
        "HO_STORE=tables",
        "HO_OPEN_LIMIT=(not shown, because it cannot be used)",
        "HO_ACS_ENDPOINT=(not shown, because it may have a secret)",
    ] {
        assert!(said.lines().any(|it| it == line), "{line}: {said}");
    }
}

/// Settings of a deployed gate, as an operator has them on another machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_a_deployed_gate_are_judged_as_such() {
    let reference = "@Microsoft.KeyVault(SecretUri=https://vault.example.com/secrets/x)";
    let settings = [
        ("HO_STORE", "tables"),
        ("HO_TABLES_ENDPOINT", "https://127.0.0.1:1"),
        ("HO_BASE_URL", "https://127.0.0.1:1"),
        ("HO_LINK_KEYS", reference),
        ("HO_RECEIPT_KEYS", reference),
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", "smtp://relay.example.com?tls=none"),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    let (said, code) = run(&settings, &["check"]).await;
    assert_eq!(code, 2, "{said}");
    for (status, words) in [
        ("failed", "HO_MAIL cannot be used: production requires TLS"),
        ("failed", "HO_ALLOWED_APPROVERS is not set"),
        ("failed", "HO_SWEEP_SCHEDULE is not set"),
        ("warning", "HO_LINK_KEYS refers to the vault"),
        ("warning", "HO_RECEIPT_KEYS refers to the vault"),
    ] {
        assert_line(&said, status, "settings", words);
    }
    assert_line(&said, "failed", "mail", "its settings cannot be used");
}

/// Answers calls of `/.auth/login/aad` over TLS with this, as the platform in front of a gate does.
async fn platform(certificate: &Certificate, answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, acceptor) = (
        listener.local_addr().unwrap().port(),
        certificate.acceptor(),
    );
    let answer = answer.replace("PORT", &port.to_string());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let Ok(mut connection) = acceptor.accept(connection).await else {
                continue;
            };
            let mut head = [0; 4_096];
            let read = connection.read(&mut head).await.unwrap_or(0);
            let is_sign_in = head[..read].starts_with(b"GET /.auth/login/aad ");
            let not_found = "HTTP/1.1 404 Not Found\r\n";
            let answer = if is_sign_in { &answer } else { not_found };
            let answer = format!("{answer}content-length: 0\r\nconnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).await.ok();
            connection.shutdown().await.ok();
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_outside_the_platform_must_lead_to_the_sign_in_of_the_directory_and_back() {
    const TENANT: &str = "11111111-2222-3333-4444-555555555555";
    let certificate = Certificate::generate();
    let entra =
        format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/authorize?client_id=x");
    let back = "&redirect_uri=https%3A%2F%2F127.0.0.1%3APORT%2F.auth%2Flogin%2Faad%2Fcallback";
    for (to, status, words) in [
        (
            Some(format!("{entra}{back}")),
            "ok",
            "leads to the sign-in of the directory",
        ),
        (
            Some(format!(
                "{entra}&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback"
            )),
            "failed",
            "sends people to https://app.example.com, not to HO_BASE_URL",
        ),
        (
            Some(format!(
                "https://login.microsoftonline.com/common/authorize?t={TENANT}{back}"
            )),
            "failed",
            "another directory",
        ),
        (
            Some(format!("https://example.com/{TENANT}/authorize")),
            "failed",
            "leads to example.com, which is no sign-in of Entra",
        ),
        (None, "failed", "answers 404 and does not lead to a sign-in"),
    ] {
        let answer = to.map_or_else(
            || "HTTP/1.1 404 Not Found\r\n".to_owned(),
            |to| format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\n"),
        );
        let port = platform(&certificate, answer).await;
        let url = format!("https://127.0.0.1:{port}");
        let settings = [
            ("HO_STORE", "tables"),
            ("HO_TABLES_ENDPOINT", "https://127.0.0.1:1"),
            ("HO_BASE_URL", &url),
            ("HO_IDENTITY", "entra"),
            ("HO_ENTRA_TENANT", TENANT),
            ("SSL_CERT_FILE", certificate.pem.to_str().unwrap()),
        ];
        let (said, _) = run(&settings, &["check"]).await;
        assert_line(&said, status, "sign-in", words);
    }
    let settings = [
        ("HO_STORE", "tables"),
        ("HO_TABLES_ENDPOINT", "https://127.0.0.1:1"),
        ("HO_BASE_URL", "https://127.0.0.1:1"),
        ("HO_IDENTITY", "entra"),
        ("HO_ENTRA_TENANT", TENANT),
    ];
    let (said, _) = run(&settings, &["check"]).await;
    assert_line(
        &said,
        "failed",
        "sign-in",
        "/.auth/login/aad cannot be reached",
    );
}

#[test]
fn a_clock_that_differs_from_the_stores_is_noticed() {
    for (ahead, expected) in [
        (0, Grade::Ok),
        (-30, Grade::Ok),
        (31, Grade::Warning),
        (-299, Grade::Warning),
        (300, Grade::Failed),
        (-300, Grade::Failed),
    ] {
        let found = check_clock(Some(ClockDifference::new(ahead)));
        assert_eq!(found.grade, expected, "{ahead}");
    }
    assert_eq!(check_clock(None).grade, Grade::Ok);
}

/// A gate with such settings would not start, or could not keep a request or send an email.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_that_cannot_be_made_fail_and_a_check_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let of = |kind: &str, place: &Path| format!("{kind}:{}", place.display());
    let (good, bad) = (dir.path().join("new/folder"), file.join("folder"));
    let settings = [of("embedded", &good), of("file", &good)];
    let [store, mail] = settings.each_ref().map(String::as_str);
    let (said, code) = run(&[("HO_STORE", store), ("HO_MAIL", mail)], &["check"]).await;
    assert_eq!(code, 1, "{said}");
    assert_line(
        &said,
        "warning",
        "tables",
        "does not exist: the gate creates it",
    );
    assert_line(&said, "ok", "mail", "file; not tried");
    assert!(!dir.path().join("new").exists());

    let unusable = [of("embedded", &bad), of("file", &bad)];
    let [no_store, no_mail] = unusable.each_ref().map(String::as_str);
    let (said, code) = run(&[("HO_STORE", no_store), ("HO_MAIL", no_mail)], &["check"]).await;
    assert_eq!(code, 2, "{said}");
    assert_line(&said, "failed", "tables", "approvals.db cannot be written");
    assert_line(&said, "failed", "mail", "file cannot be used: the folder ");

    let start = [("HO_STORE", store), ("HO_MAIL", no_mail), ("HO_PORT", "0")];
    let (said, code) = run(&start, &[]).await;
    assert_ne!(code, 0, "{said}");
    let words = format!(
        "the mail transport cannot be used: the folder {} cannot be",
        bad.display()
    );
    assert!(said.contains(&words), "{said}");
}
