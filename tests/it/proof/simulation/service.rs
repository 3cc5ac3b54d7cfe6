//! The simulated table service: every operation waits until the simulation serves it and chooses its
//! result.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::pending;
use std::mem;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use human_oversight::store::Wire;
use human_oversight::values::{Clock, Timestamp};
use hyper::http::Response;
use reqwest::{Method, Request};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

/// The result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Served,
    /// The operation is done, and its response is lost.
    ResponseLost,
    /// The operation never arrives.
    Lost,
    /// The service refuses the operation with 503.
    Busy,
    /// The connection is cut, and the operation arrives later.
    Late,
}

#[derive(Debug, Default)]
pub(in crate::proof) struct Service(Mutex<Inner>);

type Entity = Map<String, Value>;
/// The entities with their versions, by partition key and row key.
type Table = BTreeMap<(String, String), (u64, Entity)>;
type OperationResult = Result<Response<String>, String>;

#[derive(Debug, Default)]
struct Inner {
    tables: BTreeMap<String, Table>,
    version: u64,
    /// The seeded bug: callers find no standing row.
    hides_standing_rows: bool,
    /// The seeded bug: callers find a request as it was while it was pending.
    hides_ends: bool,
    pending: Table,
    /// The seeded bug: grants are stored as they were given.
    forgets_changed_grants: bool,
    /// The seeded bug: what failed is not stored.
    forgets_bounces: bool,
    /// The seeded bug: the entry of a decision is stored after the row.
    stores_entries_late: bool,
    late_entries: Vec<Operation>,
    is_row_stored: bool,
    waiting: Vec<Waiting>,
    dead: BTreeSet<usize>,
}

#[derive(Debug)]
struct Waiting {
    caller: usize,
    operation: Operation,
    /// `None` for a late operation, whose caller has already received an error.
    reply: Option<oneshot::Sender<OperationResult>>,
}

#[derive(Clone, Debug)]
struct Operation {
    method: Method,
    table: String,
    keys: Option<(String, String)>,
    query: BTreeMap<String, String>,
    if_match: Option<String>,
    body: Entity,
}

/// The connection of one caller to the service. Without a caller, operations are served at once.
pub(super) struct CallerWire {
    pub(super) service: Arc<Service>,
    pub(super) caller: Option<usize>,
    pub(super) clock: Clock,
}

impl fmt::Debug for CallerWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallerWire({:?})", self.caller)
    }
}

#[async_trait]
impl Wire for CallerWire {
    async fn carry(&self, request: Request) -> Result<reqwest::Response, String> {
        let operation = Operation::of(&request);
        let Some(caller) = self.caller else {
            let mut inner = self.service.inner();
            // The observer finds what is stored.
            let hides_ends = mem::take(&mut inner.hides_ends);
            let response = inner.serve(&operation, (self.clock)());
            inner.hides_ends = hides_ends;
            return Ok(response.into());
        };
        let (reply, response) = oneshot::channel();
        {
            let mut inner = self.service.inner();
            if !inner.dead.contains(&caller) {
                inner.waiting.push(Waiting {
                    caller,
                    operation,
                    reply: Some(reply),
                });
            }
        }
        match response.await {
            Ok(response) => response.map(reqwest::Response::from),
            // The process has crashed: it never receives a response.
            Err(_) => pending().await,
        }
    }
}

impl Service {
    /// The number of waiting operations, after sorting them in a reproducible order.
    pub(super) fn waiting(&self) -> usize {
        let mut inner = self.inner();
        let given_up = |waiting: &Waiting| waiting.reply.as_ref().is_some_and(|it| it.is_closed());
        inner.waiting.retain(|waiting| !given_up(waiting));
        inner
            .waiting
            .sort_by_key(|waiting| (waiting.caller, waiting.operation.name()));
        inner.waiting.len()
    }

    /// Serves the waiting operation at `index`, and returns a line for the log. Operations of one caller
    /// with the same name are served together, because their order is random.
    pub(super) fn serve(&self, index: usize, fate: Fate, now: Timestamp) -> String {
        let mut inner = self.inner();
        let chosen = &inner.waiting[index];
        let (caller, name) = (chosen.caller, chosen.operation.name());
        let is_chosen = |it: &mut Waiting| it.caller == caller && it.operation.name() == name;
        let chosen: Vec<Waiting> = inner.waiting.extract_if(.., is_chosen).collect();
        for mut waiting in chosen {
            let Some(reply) = waiting.reply.take() else {
                inner.serve(&waiting.operation, now);
                continue;
            };
            let response = match fate {
                Fate::Served => Ok(inner.serve(&waiting.operation, now)),
                Fate::ResponseLost => {
                    inner.serve(&waiting.operation, now);
                    Err("the response was lost".to_owned())
                }
                Fate::Lost => Err("the operation was lost".to_owned()),
                Fate::Busy => Ok(refusal(503, "ServerBusy")),
                Fate::Late => {
                    inner.waiting.push(waiting);
                    Err("the connection was cut".to_owned())
                }
            };
            // The caller may have given up meanwhile.
            reply.send(response).ok();
        }
        format!("{fate:?} {caller} {name}")
    }

    /// Seeds a bug: as if the gate did not look for a pause.
    pub(super) fn hide_standing_rows(&self) {
        self.inner().hides_standing_rows = true;
    }

    /// Seeds a bug: as if the gate took votes of a request that has ended.
    pub(super) fn hide_ends(&self) {
        self.inner().hides_ends = true;
    }

    /// Seeds a bug: as if the gate did not store that a standing grant was used or has ended.
    pub(super) fn forget_changed_grants(&self) {
        self.inner().forgets_changed_grants = true;
    }

    /// Seeds a bug: as if the gate answered a report, and did not store what it says.
    pub(super) fn forget_bounces(&self) {
        self.inner().forgets_bounces = true;
    }

    /// Seeds a bug: as if the gate wrote the row of a decision before the entry that it names.
    pub(super) fn store_entries_late(&self) {
        self.inner().stores_entries_late = true;
    }

    /// A row that names an entry which is not in the due index, or which is due later than the row.
    pub(super) fn unindexed(&self) -> Option<String> {
        let inner = self.inner();
        let of = |name| inner.tables.get(name).into_iter().flatten();
        let text = |row: &Entity, name| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let leads = |key: &str, due: &str| {
            let mut entries = of("openapprovals");
            entries.any(|((_, it), (_, entry))| {
                it == key && text(entry, "Due").is_some_and(|it| *it <= *due)
            })
        };
        let mut rows = of("approvals").filter_map(|((_, row_key), (_, row))| {
            let (key, due) = (text(row, "DueEntry")?, text(row, "DueTimestamp")?);
            (!leads(&key, &due)).then(|| row_key.clone())
        });
        rows.next()
    }

    /// The callers that have operations waiting.
    pub(super) fn callers(&self) -> BTreeSet<usize> {
        let inner = self.inner();
        let waiting = inner.waiting.iter().filter(|it| it.reply.is_some());
        waiting.map(|it| it.caller).collect()
    }

    /// The process of a caller crashes: its waiting and later operations are lost.
    pub(super) fn kill(&self, caller: usize) {
        let mut inner = self.inner();
        inner.dead.insert(caller);
        inner
            .waiting
            .retain(|it| it.caller != caller || it.reply.is_none());
    }

    /// The number of rows in a table.
    pub(super) fn count(&self, table: &str) -> usize {
        self.inner().tables.get(table).map_or(0, Table::len)
    }

    /// The number of writes.
    pub(super) fn version(&self) -> u64 {
        self.inner().version
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Operation {
    fn of(request: &Request) -> Self {
        let path = request.url().path().trim_start_matches('/');
        // The emulator's paths begin with the account.
        let path = path.split_once('/').map_or(path, |(_, path)| path);
        let (table, keys) = path.split_once('(').unwrap_or((path, ")"));
        let quoted: Vec<&str> = keys.split('\'').collect();
        let body = request
            .body()
            .and_then(|body| body.as_bytes())
            .unwrap_or_default();
        let if_match = request.headers().get("if-match");
        Self {
            method: request.method().clone(),
            table: table.to_owned(),
            keys: match quoted.as_slice() {
                [_, partition, _, row, _] => Some(((*partition).to_owned(), (*row).to_owned())),
                _ => None,
            },
            query: request.url().query_pairs().into_owned().collect(),
            if_match: if_match.map(|etag| etag.to_str().unwrap().to_owned()),
            body: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    /// The operation's name, without random parts.
    fn name(&self) -> String {
        let row = self.keys.as_ref().map_or("", |(_, row)| row.as_str());
        let row = match self.body.get("Id").or_else(|| self.body.get("RowKey")) {
            Some(id) => id.as_str().unwrap(),
            None if self.table.starts_with("open") => "",
            None => row,
        };
        format!("{} {} {row}", self.method, self.table)
    }
}

impl Inner {
    fn serve(&mut self, operation: &Operation, now: Timestamp) -> Response<String> {
        if mem::take(&mut self.is_row_stored) {
            for entry in mem::take(&mut self.late_entries) {
                self.serve_at_once(&entry, now);
            }
        }
        let is_of_decision = operation.body.get("People").is_some_and(|it| it == "");
        if self.stores_entries_late && is_of_decision && operation.if_match.is_none() {
            self.late_entries.push(operation.clone());
            return stored_as(self.version);
        }
        self.is_row_stored = operation.table == "approvals" && operation.method == Method::PUT;
        self.serve_at_once(operation, now)
    }

    fn serve_at_once(&mut self, operation: &Operation, now: Timestamp) -> Response<String> {
        let table = self.tables.entry(operation.table.clone()).or_default();
        let keys = operation.keys.clone().or_else(|| {
            let key = |name: &str| Some(operation.body.get(name)?.as_str()?.to_owned());
            Some((key("PartitionKey")?, key("RowKey")?))
        });
        let Some(keys) = keys else {
            if self.hides_standing_rows && operation.table.starts_with("standing") {
                return found(json!({"odata.metadata": "", "value": []}));
            }
            return found(json!({"odata.metadata": "", "value": query(table, operation)}));
        };
        let stored = table.get(&keys);
        match (operation.if_match.as_deref(), stored) {
            (Some(_), None) => return refusal(404, "ResourceNotFound"),
            (Some(expected), Some((version, _)))
                if expected != "*" && expected != etag(*version) =>
            {
                return refusal(412, "UpdateConditionNotSatisfied");
            }
            _ => {}
        }
        match (operation.method.as_str(), stored) {
            ("GET", None) => return refusal(404, "ResourceNotFound"),
            ("GET", Some((version, entity))) => {
                let pending = self.pending.get(&keys).filter(|_| self.hides_ends);
                let mut entity = pending.map_or(entity, |(_, entity)| entity).clone();
                entity.insert("odata.metadata".to_owned(), "".into());
                let mut response = found(entity.into());
                response
                    .headers_mut()
                    .insert("etag", etag(*version).parse().unwrap());
                return response;
            }
            ("POST", Some(_)) => return refusal(409, "EntityAlreadyExists"),
            ("DELETE", _) => {
                table.remove(&keys);
                self.version += 1;
                return response(204, "");
            }
            ("PUT", Some((version, _))) if self.forgets_changed_grants && keys.0 == "grant" => {
                return stored_as(*version);
            }
            ("PUT", Some((version, _)))
                if self.forgets_bounces
                    && Value::from(operation.body.clone())
                        .to_string()
                        .contains("Failed") =>
            {
                return stored_as(*version);
            }
            ("POST" | "PUT", _) => {}
            (other, _) => panic!("{other} is not simulated"),
        }
        self.version += 1;
        let mut entity = operation.body.clone();
        entity.insert("Timestamp".to_owned(), now.to_string().into());
        entity.insert("odata.etag".to_owned(), etag(self.version).into());
        if entity
            .get("Status")
            .is_some_and(|status| status == "Pending")
        {
            let pending = (self.version, entity.clone());
            self.pending.insert(keys.clone(), pending);
        }
        table.insert(keys, (self.version, entity));
        stored_as(self.version)
    }
}

/// The rows that match a query, in a reproducible order.
fn query(table: &Table, operation: &Operation) -> Vec<Value> {
    let filter = operation.query.get("$filter").map_or("", String::as_str);
    let conditions = filter.split(" or ").map(|all| {
        let all = all.split(" and ").filter(|it| !it.is_empty());
        let all = all.map(|condition| {
            let (column, rest) = condition.split_once(' ').unwrap();
            let (operator, value) = rest.split_once(' ').unwrap();
            let value = value.strip_prefix("datetime").unwrap_or(value);
            (column, operator, value.trim_matches('\''))
        });
        all.collect()
    });
    let alternatives: Vec<Vec<(&str, &str, &str)>> = conditions.collect();
    let holds = |entity: &Entity, (column, operator, value): (&str, &str, &str)| {
        // As in the service, a row without the column does not match.
        let Some(stored) = entity.get(column).and_then(Value::as_str) else {
            return false;
        };
        match operator {
            "eq" => stored == value,
            "le" => stored <= value,
            "ge" => stored >= value,
            "lt" => stored < value,
            other => panic!("{other} is not simulated"),
        }
    };
    let mut rows: Vec<&(u64, Entity)> = table
        .values()
        .filter(|(_, entity)| {
            let mut alternatives = alternatives.iter();
            alternatives.any(|all| all.iter().all(|condition| holds(entity, *condition)))
        })
        .collect();
    rows.sort_by_key(|(version, _)| *version);
    rows.into_iter()
        .map(|(_, entity)| entity.clone().into())
        .collect()
}

fn etag(version: u64) -> String {
    format!("W/\"{version}\"")
}

fn found(body: Value) -> Response<String> {
    response(200, &body.to_string())
}

fn refusal(status: u16, code: &str) -> Response<String> {
    let body = json!({"odata.error": {"code": code}});
    response(status, &body.to_string())
}

fn stored_as(version: u64) -> Response<String> {
    let mut response = response(204, "");
    let etag = etag(version).parse().unwrap();
    response.headers_mut().insert("etag", etag);
    response
}

fn response(status: u16, body: &str) -> Response<String> {
    Response::builder()
        .status(status)
        .body(body.to_owned())
        .unwrap()
}
