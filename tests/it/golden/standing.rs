//! Golden rows of the standing table: pauses of each scope, with the gate's id.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Backend, columns, empty_tables, folder, keys, put_into_file, read, table_name, tables,
    write_once,
};
use crate::azurite::{Azurite, Table};
use crate::backing_store;
use crate::harness::TestGate;
use crate::operate::operate;

/// The version of the rows of pauses.
const VERSION: &str = "v2";

fn scopes() -> [Value; 3] {
    [
        json!({}),
        json!({"agent": "Ünï “Agent” 東京"}),
        json!({"owner": "agents:Refund*"}),
    ]
}

fn with(scope: &Value, command: &str) -> Value {
    let mut body = scope.clone();
    body["command"] = json!(command);
    if command == "pause" {
        body["because"] = json!("“rehearsal”, ünïcode & <b>");
    }
    body
}

pub(super) fn settings(
    version: &str,
    backend: Backend,
    dir: &TempDir,
) -> Vec<(&'static str, String)> {
    let mut settings = match backend {
        Backend::Embedded => vec![("HO_STORE", format!("embedded:{}", dir.path().display()))],
        Backend::Tables(port) => tables(version, port),
    };
    settings.extend(keys(version));
    settings
}

pub(super) async fn start(settings: &[(&'static str, String)]) -> TestGate {
    let dir = tempfile::tempdir().unwrap();
    TestGate::at(dir, &backing_store::borrowed(settings)).await
}

fn connection(dir: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap()
}

const COLUMNS: [&str; 4] = ["PartitionKey", "RowKey", "ETag", "Entity"];

/// The rows of the standing table, as the store holds them.
pub(super) async fn rows(version: &str, backend: Backend, dir: &TempDir) -> Vec<Value> {
    rows_of("standing", version, backend, dir).await
}

/// The same for the table of a kind.
pub(super) async fn rows_of(
    kind: &str,
    version: &str,
    backend: Backend,
    dir: &TempDir,
) -> Vec<Value> {
    match backend {
        Backend::Embedded => {
            let connection = connection(dir);
            let select = format!("SELECT {} FROM {kind}approvals", COLUMNS.join(", "));
            let mut select = connection.prepare(&select).unwrap();
            let rows = select.query_map([], |row| {
                let text = |at| row.get::<_, String>(at);
                let etag: i64 = row.get(2)?;
                Ok(json!({
                    "PartitionKey": text(0)?, "RowKey": text(1)?, "ETag": etag, "Entity": text(3)?,
                }))
            });
            rows.unwrap().map(Result::unwrap).collect()
        }
        Backend::Tables(port) => {
            let table = Table::of(port, &format!("{kind}{}", table_name(version)));
            let rows = table.rows().await;
            rows.iter().map(|row| columns(row).into()).collect()
        }
    }
}

pub(super) async fn put(version: &str, backend: Backend, golden: &[Value], dir: &TempDir) {
    match backend {
        Backend::Embedded => {
            // Creates the file.
            let request = read(&folder(version).join("rows/approved.json"));
            put_into_file(version, &request["embedded"], dir);
            let connection = connection(dir);
            for row in golden {
                let text = |name: &str| row[name].as_str().unwrap();
                let values = (
                    text("PartitionKey"),
                    text("RowKey"),
                    row["ETag"].as_i64().unwrap(),
                    text("Entity"),
                );
                let insert = "INSERT INTO standingapprovals (PartitionKey, RowKey, ETag, Entity)
                              VALUES (?1, ?2, ?3, ?4)";
                assert_eq!(connection.execute(insert, values), Ok(1));
            }
        }
        Backend::Tables(port) => {
            empty_tables(version, port).await;
            let table = Table::of(port, &format!("standing{}", table_name(version)));
            for row in golden {
                table.put(row).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_pauses_hold_and_are_resumed() {
    let file = read(&folder(VERSION).join("standing.json"));
    let azurite = Azurite::start(&[]);
    for backend in [Backend::Embedded, Backend::Tables(azurite.port)] {
        let dir = tempfile::tempdir().unwrap();
        let golden = file[backend.name()]["rows"].as_array().unwrap();
        put(VERSION, backend, golden, &dir).await;
        let gate = start(&settings(VERSION, backend, &dir)).await;
        let found = operate(&gate, json!({"command": "executing"})).await;
        assert_eq!(found["pauses"], file[backend.name()]["pauses"]);
        for scope in scopes() {
            assert_eq!(operate(&gate, with(&scope, "resume")).await["done"], true);
        }
        let left = operate(&gate, json!({"command": "executing"})).await;
        assert_eq!(left["pauses"], json!([]));
    }
}

#[ignore = "HO_GOLDEN=v2 writes the file, once"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_standing_rows_are_written() {
    let path = folder(VERSION).join("standing.json");
    write_once(VERSION, &path, async |backend, dir, store| {
        let gate = start(store).await;
        for scope in scopes() {
            operate(&gate, with(&scope, "pause")).await;
        }
        let found = operate(&gate, json!({"command": "executing"})).await;
        let rows = rows(VERSION, backend, dir).await;
        json!({"rows": rows, "pauses": found["pauses"]})
    })
    .await;
}
