//! Writes the golden files of a version: once, by the gate of that version.

use std::collections::BTreeMap;
use std::path::Path;

use human_oversight_client::receipt::verify;
use human_oversight_client::types::KeySet;
use serde_json::{Value, json};

use super::cases::{Case, Mail, Step, escaped_id};
use super::owned::columns_of;
use super::{Backend, Player, Secrets, cases, columns, empty_tables, folder, key, keys, tables};
use crate::azurite::{Azurite, Table};
use crate::deadline::eventually;
use crate::proxy::Proxy;
use crate::smtp::{Smtp, SmtpFault};
use human_oversight::values::Timestamp;

/// When each request was submitted.
const BEGINNING: &str = "2026-11-22T09:00:00.000Z";

/// The store in which a case is written.
struct Place {
    backend: Backend,
    dir: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
    proxy: Option<Proxy>,
}

impl Place {
    async fn new(version: &str, case: &Case, backend: Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut settings, proxy) = match backend {
            Backend::Embedded => {
                let store = format!("embedded:{}", dir.path().display());
                (vec![("HO_STORE", store)], None)
            }
            Backend::Tables(port) => {
                empty_tables(version, port).await;
                let proxy = Proxy::start(port).await;
                (tables(version, proxy.port), Some(proxy))
            }
        };
        let is_retired = |(name, _): &(&str, &str)| *name == "HO_GOLDEN_KEYS";
        settings.extend(keys(version).into_iter().map(|(name, list)| {
            // The last key of the list is the older one.
            let retired = list.rsplit(',').next().unwrap().to_owned();
            if case.settings.iter().any(is_retired) {
                (name, retired)
            } else {
                (name, list)
            }
        }));
        Self {
            backend,
            dir,
            settings,
            proxy,
        }
    }

    /// The stored row, and the body that the gate sent; `None` before the row exists.
    async fn row(&self, path: &Path) -> Option<Value> {
        match self.backend {
            Backend::Embedded => in_file(path),
            Backend::Tables(port) => self.in_tables(port).await,
        }
    }

    /// The same, once no email is under way: a vote that opens a stage is answered before its emails are sent.
    async fn settled_row(&self, path: &Path) -> Option<Value> {
        let golden = self.row(path).await?;
        let columns = columns_of(&golden);
        let is_sending = |column: &str| columns[column].to_string().contains("Sending");
        (!is_sending("Notifications") && !is_sending("Outbox")).then_some(golden)
    }

    async fn in_tables(&self, port: u16) -> Option<Value> {
        let table = &self.settings[2].1;
        let row = Table::of(port, table).rows().await.pop()?;
        let open = Table::of(port, &format!("open{table}"));
        let entry = open.rows().await.pop().map(|entry| columns(&entry));
        let bodies = self.proxy.as_ref().unwrap().bodies();
        let of_row = |(request, body): &(String, String)| {
            let is_row = request.contains(&format!("/{table}")) && !body.is_empty();
            is_row.then(|| serde_json::from_str::<Value>(body).unwrap())
        };
        let sent = bodies.iter().rev().find_map(of_row).unwrap();
        Some(json!({"sent": sent, "row": columns(&row), "entry": entry}))
    }
}

fn in_file(path: &Path) -> Option<Value> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let row = connection.query_row(
        "SELECT PartitionKey, RowKey, ETag, Due, Entity FROM approvals",
        [],
        |row| {
            let text = |at| row.get::<_, String>(at);
            let (etag, due): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
            Ok(json!({
                "PartitionKey": text(0)?, "RowKey": text(1)?, "ETag": etag, "Due": due, "Entity": text(4)?,
            }))
        },
    );
    row.ok().map(|row| json!({"row": row}))
}

async fn write_case(version: &str, case: &Case, backend: Backend) -> Value {
    let place = Place::new(version, case, backend).await;
    let smtp = Smtp::plain().await;
    let mut settings = case.settings.clone();
    let url = match case.mail {
        Mail::Down => "smtp://localhost:1?tls=none".to_owned(),
        _ => smtp.url(),
    };
    if case.mail != Mail::Inbox {
        settings.extend([
            ("HO_MAIL", "smtp"),
            ("HO_SMTP_URL", url.as_str()),
            ("HO_MAIL_FROM", "gate@example.com"),
        ]);
    }
    smtp.always(match case.mail {
        Mail::Silent => Some(SmtpFault::Silence),
        Mail::Unclear => Some(SmtpFault::DropAfterData),
        Mail::Inbox | Mail::Down => None,
    });
    let text = |name: &str| case.request[name].as_str().unwrap();
    let id = escaped_id(text("agentName"), text("correlationId"));
    let file = place.dir.path().join("approvals.db");
    let other = tempfile::tempdir().unwrap();
    let mut player = Player::start(other, &place.settings, &settings, key(version), &id).await;
    player.set_clock(Timestamp::parse(BEGINNING).unwrap());
    let submit = player.post("/api/submit", &case.request);
    let mut row = None;
    if case.mail == Mail::Silent {
        let early = async { row = Some(eventually(async || place.row(&file).await).await) };
        tokio::select! {
            _ = submit => panic!("the mail system is silent"),
            () = early => {}
        }
    } else {
        let submitted = submit.await;
        assert!(submitted.status.is_success(), "{}", submitted.body);
    }
    player.secrets = secrets(&player, case).await;
    player.play(&case.life).await;
    let mut golden = match row {
        Some(row) => row,
        None => eventually(async || place.settled_row(&file).await).await,
    };
    // Those who were asked by a vote.
    for who in deciders(&case.next) {
        let is_mailed = player.gate.mails().iter().any(|mail| mail.to == who);
        if is_mailed && !player.secrets.contains_key(who) {
            let secrets = player.mailed_secrets(who).await;
            player.secrets.insert(who.to_owned(), secrets);
        }
    }
    golden["now"] = player.gate.now().to_string().into();
    golden["answer"] = player.status().await.json();
    golden["secrets"] = serde_json::to_value(&player.secrets).unwrap();
    golden
}

/// Those who decide by link, and have a page to decide on, in these steps.
fn deciders(steps: &[Step]) -> impl Iterator<Item = &'static str> {
    steps.iter().filter_map(|step| match step {
        Step::Decide {
            who,
            principal: None,
            status: 303,
            ..
        } => Some(*who),
        _ => None,
    })
}

/// The secrets of each approver who received an email, unless sign-in replaces them.
async fn secrets(player: &Player, case: &Case) -> BTreeMap<String, Secrets> {
    let is_signed_in = case.settings.iter().any(|(name, _)| *name == "HO_IDENTITY");
    let mut secrets = BTreeMap::new();
    if case.mail == Mail::Inbox && !is_signed_in {
        for mail in player.gate.mails() {
            secrets.insert(mail.to.clone(), player.mailed_secrets(&mail.to).await);
        }
    }
    secrets
}

fn write(path: &Path, value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap();
    std::fs::write(path, text + "\n").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "HO_GOLDEN=VERSION names the folder under tests/golden, with its keys.env, that it fills"]
async fn golden_files_are_written() {
    let version = std::env::var("HO_GOLDEN").unwrap();
    let folder = folder(&version);
    std::fs::create_dir(folder.join("rows")).expect("golden files are never written again");
    let azurite = Azurite::start(&[]);
    let mut receipts = Vec::new();
    for case in cases(&version) {
        let embedded = write_case(&version, &case, Backend::Embedded).await;
        let tables = write_case(&version, &case, Backend::Tables(azurite.port)).await;
        if let Some(receipt) = tables["answer"]["receipt"].as_str() {
            receipts.push((case.name, receipt.to_owned()));
        }
        let file = json!({"request": case.request, "embedded": embedded, "tables": tables});
        write(&folder.join(format!("rows/{}.json", case.name)), &file);
    }

    let place = Place::new(&version, &cases(&version)[0], Backend::Embedded).await;
    let other = tempfile::tempdir().unwrap();
    let player = Player::start(other, &place.settings, &[], "", "YQ.b").await;
    let keys = player.get("/api/keys").await.json();
    let set: KeySet = serde_json::from_value(keys.clone()).unwrap();
    let receipts = receipts.into_iter().map(|(case, receipt)| {
        let claims = verify(&receipt, &set).unwrap();
        json!({"case": case, "receipt": receipt, "claims": claims})
    });
    let receipts: Vec<_> = receipts.collect();
    write(
        &folder.join("receipts.json"),
        &json!({"keys": keys, "receipts": receipts}),
    );

    player.status().await;
    let connection = rusqlite::Connection::open(place.dir.path().join("approvals.db")).unwrap();
    let mut statements = connection
        .prepare("SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL")
        .unwrap();
    let statements = statements.query_map([], |row| row.get::<_, String>(0));
    let statements: Vec<_> = statements.unwrap().map(Result::unwrap).collect();
    std::fs::write(folder.join("schema.sql"), statements.join("\n") + "\n").unwrap();
}
