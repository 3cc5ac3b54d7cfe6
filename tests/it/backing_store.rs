//! Direct access to the store under a test's gate, past the gate: an SQLite file, or tables of Azurite.
//! `HO_TEST_STORE=tables` selects the tables.

use std::path::{Path, PathBuf};

use human_oversight::keys::keyring;
use human_oversight::values::Timestamp;
use serde_json::{Value, json};

use crate::azurite::{self, Table};
use crate::harness::{ALICE, TestGate};
use crate::proxy::Proxy;

/// Keys for gates that trust each other's rows.
pub(crate) fn own_keys() -> [(&'static str, String); 2] {
    [
        ("HO_LINK_KEYS", keyring::generate_link_key()),
        ("HO_RECEIPT_KEYS", keyring::generate_receipt_key()),
    ]
}

/// The settings of a gate with a file in this folder, and with keys of its own, so that commands read it too.
pub(crate) fn embedded(dir: &Path) -> [(&'static str, String); 3] {
    let [link_keys, receipt_keys] = own_keys();
    let store = ("HO_STORE", format!("embedded:{}", dir.display()));
    [store, link_keys, receipt_keys]
}

/// The settings of a gate with new tables at this port.
pub(crate) fn tables(port: u16) -> [(&'static str, String); 5] {
    let [link_keys, receipt_keys] = own_keys();
    [
        ("HO_STORE", "tables".to_owned()),
        (
            "HO_TABLES_CONNECTION_STRING",
            azurite::connection_string(port),
        ),
        ("HO_TABLE", azurite::fresh_table()),
        link_keys,
        receipt_keys,
    ]
}

/// The settings as `TestGate` and `Process` take them.
pub(crate) fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    let borrowed = settings.iter().map(|(name, value)| (*name, value.as_str()));
    borrowed.collect()
}

/// The settings of the store with which the gate over this folder was started.
pub(crate) fn settings(dir: &Path) -> Vec<(&'static str, String)> {
    BackingStore::select(dir).1
}

/// A row as the legacy Logic App wrote it.
pub(crate) fn legacy_row() -> Value {
    json!({
        "PartitionKey": "User Manager", "RowKey": "their request's",
        "AgentName": "User Manager", "ActionDescription": "Delete User Account",
        "Parameters": "{}", "ApproverEmails": ALICE, "Approver": ALICE, "Status": "Approved",
        "RequestTimestamp": "2025-01-01T00:00:00.1234567Z", "ResponseTimestamp": "2025-01-01T00:01:00Z",
    })
}

/// The store of a gate: its file, or its table and its due index.
pub(crate) enum BackingStore {
    File(PathBuf),
    Tables(Box<[Table; 2]>),
}

impl BackingStore {
    /// The store that `HO_TEST_STORE` selects, for the gate whose folder is `dir`, and the settings of
    /// that gate.
    pub(crate) fn select(dir: &Path) -> (Self, Vec<(&'static str, String)>) {
        match std::env::var("HO_TEST_STORE").as_deref() {
            Err(_) | Ok("embedded") => (
                Self::File(dir.join("approvals.db")),
                vec![("HO_STORE", format!("embedded:{}", dir.display()))],
            ),
            Ok("tables") => {
                let port = azurite::azurite().port;
                // A gate that is restarted over this folder gets the same settings.
                let settings =
                    tables(port).map(|(name, fresh)| (name, load_or_store(dir, name, fresh)));
                let table = &settings[2].1;
                let open = Table::of(port, &format!("open{table}"));
                let kept = Self::Tables(Box::new([Table::of(port, table), open]));
                (kept, settings.into())
            }
            Ok(other) => panic!("HO_TEST_STORE={other}"),
        }
    }

    /// The key, the version and the columns of each row.
    pub(crate) async fn rows(&self) -> Vec<(String, String, String)> {
        match self {
            Self::File(path) if !path.exists() => Vec::new(),
            Self::File(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut rows = connection
                    .prepare(
                        "SELECT RowKey, ETag, Entity FROM approvals ORDER BY PartitionKey, RowKey",
                    )
                    .unwrap();
                let rows = rows
                    .query_map([], |row| {
                        let etag: i64 = row.get(1)?;
                        Ok((row.get(0)?, etag.to_string(), row.get(2)?))
                    })
                    .unwrap();
                rows.map(Result::unwrap).collect()
            }
            Self::Tables(tables) => {
                let [approvals, _] = tables.as_ref();
                let rows = approvals.rows().await.into_iter().map(|mut row| {
                    let text = |value: &Value| value.as_str().unwrap().to_owned();
                    let (key, etag) = (text(&row["RowKey"]), text(&row["odata.etag"]));
                    let columns = row.as_object_mut().unwrap();
                    columns.retain(|name, _| !name.contains("odata.") && name != "Timestamp");
                    (key, etag, row.to_string())
                });
                rows.collect()
            }
        }
    }

    /// Replaces the columns of a row, and its time in the due index.
    pub(crate) async fn put(&self, key: &str, due: Option<Timestamp>, mut entity: Value) {
        match self {
            Self::File(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let changed = connection
                    .execute(
                        "UPDATE approvals SET Entity = ?2, Due = coalesce(?3, Due), ETag = ETag + 1
                         WHERE RowKey = ?1",
                        rusqlite::params![key, entity.to_string(), due.map(Timestamp::unix_millis)],
                    )
                    .unwrap();
                assert_eq!(changed, 1);
            }
            Self::Tables(tables) => {
                let [approvals, open] = tables.as_ref();
                let row = approvals.rows().await;
                let row = row.iter().find(|row| row["RowKey"] == key).unwrap();
                if let Some(due) = due {
                    entity["DueTimestamp"] = json!(due.to_string());
                    for mut entry in open.rows().await {
                        if entry["RowKey"] == entity["DueEntry"] {
                            entry["Due"] = json!(due.to_string());
                            open.put(&entry).await;
                        }
                    }
                }
                // As Azure stores them: null columns are absent, and times have a type annotation.
                let columns = entity.as_object_mut().unwrap();
                columns.retain(|_, value| !value.is_null());
                for (name, kind) in row.as_object().unwrap() {
                    let column = name.strip_suffix("@odata.type").unwrap_or("");
                    if columns.contains_key(column) {
                        columns.insert(name.clone(), kind.clone());
                    }
                }
                columns.insert("PartitionKey".to_owned(), row["PartitionKey"].clone());
                columns.insert("RowKey".to_owned(), row["RowKey"].clone());
                approvals.put(&entity).await;
            }
        }
    }
}

/// The value that the folder stores under this name; `fresh` is stored at the first call.
fn load_or_store(dir: &Path, name: &str, fresh: String) -> String {
    let file = dir.join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|_| {
        std::fs::write(&file, &fresh).unwrap();
        fresh
    })
}

/// A gate that reaches its tables through a proxy.
pub(crate) async fn behind_a_proxy(settings: &[(&str, &str)]) -> (TestGate, Proxy) {
    let proxy = Proxy::start(azurite::azurite().port).await;
    let store = tables(proxy.port);
    let settings = [&borrowed(&store)[..], settings].concat();
    (TestGate::with(&settings).await, proxy)
}
