//! Azurite, Azure's emulator of Table storage, and a client for its tables that shares no code with
//! the gate.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ring::hmac;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::deadline::{blocking_within, within};
use crate::harness::repository;

/// The fixed account of every Azurite, and its published key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// An Azurite in memory. It ends when it is dropped, or else with this process.
pub(crate) struct Azurite {
    pub(crate) port: u16,
    process: Child,
}

/// The instance that the tests of this process share. Each test uses a separate table.
pub(crate) fn azurite() -> &'static Azurite {
    static SHARED: OnceLock<Azurite> = OnceLock::new();
    SHARED.get_or_init(|| Azurite::start(&[]))
}

impl Azurite {
    /// Starts another instance, with arguments for `tests/azurite/run.js`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        assert!(
            repository().join(".tools/azurite/installed").is_file(),
            "Azurite is not installed: run scripts/test once"
        );
        let mut process = Command::new("node")
            .arg(repository().join("tests/azurite/run.js"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Azurite needs Node");
        let mut printed = BufReader::new(process.stdout.take().unwrap());
        let url = blocking_within(move || {
            let mut url = String::new();
            printed.read_line(&mut url).unwrap();
            url
        });
        let (_, port) = url.rsplit_once(':').expect("Azurite says where it listens");
        Self {
            port: port.trim().parse().unwrap(),
            process,
        }
    }

    pub(crate) fn connection_string(&self) -> String {
        connection_string(self.port)
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The connection string of an Azurite, or of a proxy in front of it, at `port`.
pub(crate) fn connection_string(port: u16) -> String {
    format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};\
         TableEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )
}

/// A unique table name.
pub(crate) fn fresh_table() -> String {
    format!("t{}", &Uuid::now_v7().simple().to_string()[12..])
}

/// A table as it is stored. Its rows are the service's JSON, including annotations such as
/// `At@odata.type`.
pub(crate) struct Table {
    port: u16,
    name: String,
    http: Client<HttpConnector, Body>,
}

impl Table {
    pub(crate) fn of(port: u16, name: &str) -> Self {
        Self {
            port,
            name: name.to_owned(),
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Creates the table, unless it exists.
    pub(crate) async fn create(&self) {
        let body = json!({"TableName": self.name});
        let response = self.send(Method::POST, "Tables", "", Some(&body)).await;
        response.assert_status(&[StatusCode::CREATED, StatusCode::CONFLICT]);
    }

    /// Every row, in key order. A table that does not exist has none.
    pub(crate) async fn rows(&self) -> Vec<Value> {
        let path = format!("{}()", self.name);
        let mut query = String::new();
        let mut rows = Vec::new();
        loop {
            let response = self.send(Method::GET, &path, &query, None).await;
            if response.status == StatusCode::NOT_FOUND {
                return rows;
            }
            response.assert_status(&[StatusCode::OK]);
            rows.extend(response.body["value"].as_array().unwrap().iter().cloned());
            let next: Vec<String> = ["NextPartitionKey", "NextRowKey"]
                .into_iter()
                .filter_map(|name| {
                    let value = response.headers.get(format!("x-ms-continuation-{name}"))?;
                    Some(format!(
                        "{name}={}",
                        percent_encode(value.to_str().unwrap())
                    ))
                })
                .collect();
            if next.is_empty() {
                return rows;
            }
            query = next.join("&");
        }
    }

    pub(crate) async fn get(&self, partition: &str, row: &str) -> Option<Value> {
        let path = self.path(partition, row);
        let response = self.send(Method::GET, &path, "", None).await;
        response.assert_status(&[StatusCode::OK, StatusCode::NOT_FOUND]);
        (response.status == StatusCode::OK).then_some(response.body)
    }

    /// Inserts or replaces a row unconditionally.
    pub(crate) async fn put(&self, row: &Value) {
        let [partition, key] = ["PartitionKey", "RowKey"].map(|name| row[name].as_str().unwrap());
        let path = self.path(partition, key);
        let response = self.send(Method::PUT, &path, "", Some(row)).await;
        response.assert_status(&[StatusCode::NO_CONTENT]);
    }

    /// Deletes the table itself.
    pub(crate) async fn exists(&self) -> bool {
        let path = format!("{}()", self.name);
        let response = self.send(Method::GET, &path, "", None).await;
        response.assert_status(&[StatusCode::OK, StatusCode::NOT_FOUND]);
        response.status == StatusCode::OK
    }

    pub(crate) async fn drop_table(&self) {
        let path = format!("Tables('{}')", self.name);
        let response = self.send(Method::DELETE, &path, "", None).await;
        response.assert_status(&[StatusCode::NO_CONTENT]);
    }

    pub(crate) async fn remove(&self, partition: &str, row: &str) {
        let path = self.path(partition, row);
        let response = self.send(Method::DELETE, &path, "", None).await;
        response.assert_status(&[StatusCode::NO_CONTENT]);
    }

    fn path(&self, partition: &str, row: &str) -> String {
        let [partition, row] = [partition, row].map(|key| percent_encode(&key.replace('\'', "''")));
        format!("{}(PartitionKey='{partition}',RowKey='{row}')", self.name)
    }

    /// Signs a request (SharedKeyLite) and sends it.
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<&Value>,
    ) -> Response {
        let date = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let date = OffsetDateTime::now_utc().format(date).unwrap();
        let path = format!("/{ACCOUNT}/{path}");
        // The account appears twice: as the prefix of the resource, and in Azurite's paths.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(KEY).unwrap());
        let signature = hmac::sign(&key, format!("{date}\n/{ACCOUNT}{path}").as_bytes());
        let signature = BASE64.encode(signature);
        let mut request = Request::builder()
            .uri(format!("http://127.0.0.1:{}{path}?{query}", self.port))
            .header(
                "authorization",
                format!("SharedKeyLite {ACCOUNT}:{signature}"),
            )
            .header("x-ms-date", date)
            .header("x-ms-version", "2019-02-02")
            .header("accept", "application/json;odata=fullmetadata")
            .header("content-type", "application/json");
        if method == Method::DELETE {
            request = request.header("if-match", "*");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.method(method).body(Body::from(body)).unwrap();
        let (parts, body) = within(self.http.request(request))
            .await
            .unwrap()
            .into_parts();
        let body = to_bytes(Body::new(body), usize::MAX);
        let body = within(body).await.unwrap();
        Response {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }
}

/// A complete response. A body that is not JSON is null.
struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Response {
    fn assert_status(&self, expected: &[StatusCode]) {
        assert!(
            expected.contains(&self.status),
            "{}: {:?}",
            self.status,
            self.headers
        );
    }
}

/// Percent-encodes all but unreserved characters.
fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            _ if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[tokio::test]
async fn a_row_is_read_as_written() {
    let table = Table::of(azurite().port, &fresh_table());
    assert_eq!(table.rows().await, [] as [Value; 0]);
    table.create().await;
    table.create().await;
    let (partition, key) = ("it's 100 %", "a+b&c=ü");
    assert_eq!(table.get(partition, key).await, None);
    let row = json!({
        "PartitionKey": partition, "RowKey": key,
        "At": "2026-11-22T10:00:00.1234567Z", "At@odata.type": "Edm.DateTime",
        "Count": "9007199254740993", "Count@odata.type": "Edm.Int64",
    });
    table.put(&row).await;
    let mut stored = table.get(partition, key).await.unwrap();
    for (name, value) in row.as_object().unwrap() {
        assert_eq!(&stored[name], value, "{stored}");
    }

    // A row that was read can be changed and written back, with the members that the service added.
    stored["Count"] = json!("7");
    table.put(&stored).await;
    let rows = table.rows().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["Count"], "7");
    assert_ne!(rows[0]["odata.etag"], stored["odata.etag"]);

    table.remove(partition, key).await;
    assert_eq!(table.rows().await, [] as [Value; 0]);
}

#[tokio::test]
async fn rows_beyond_the_first_page_are_read() {
    let table = Table::of(azurite().port, &fresh_table());
    table.create().await;
    let keys: Vec<String> = (0..1001).map(|n| format!("{n:04}")).collect();
    let rows = keys
        .iter()
        .map(|key| json!({"PartitionKey": "p", "RowKey": key}));
    let rows: Vec<Value> = rows.collect();
    futures_util::future::join_all(rows.iter().map(|row| table.put(row))).await;
    let stored = table.rows().await;
    let stored: Vec<&str> = stored
        .iter()
        .map(|row| row["RowKey"].as_str().unwrap())
        .collect();
    assert_eq!(stored, keys);
}

#[tokio::test]
async fn another_azurite_has_separate_tables_and_ends_when_dropped() {
    let name = fresh_table();
    Table::of(azurite().port, &name).create().await;
    let other = Azurite::start(&["--port", "0"]);
    let port = other.port;
    assert_ne!(other.connection_string(), azurite().connection_string());
    assert!(
        other
            .connection_string()
            .contains(&format!(":{port}/{ACCOUNT};"))
    );
    let table = Table::of(port, &name);
    assert_eq!(table.rows().await, [] as [Value; 0]);
    drop(other);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
