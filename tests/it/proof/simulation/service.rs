//! The service of tables as the simulation plays it: every operation waits until it is served, and
//! it is for the simulation to say when and how.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use human_oversight::store::Wire;
use human_oversight::values::{Clock, Timestamp};
use hyper::http::Response;
use reqwest::{Method, Request};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Served,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    Lost,
    /// The service has no time, and does nothing.
    Busy,
    /// It is cut off, and arrives later all the same.
    Late,
}

#[derive(Debug, Default)]
pub(in crate::proof) struct Service(Mutex<Inner>);

type Entity = Map<String, Value>;
/// By keys, and with its version.
type Table = BTreeMap<(String, String), (u64, Entity)>;
type Answer = Result<Response<String>, String>;

#[derive(Debug, Default)]
struct Inner {
    tables: BTreeMap<String, Table>,
    version: u64,
    waiting: Vec<Waiting>,
    dead: BTreeSet<usize>,
}

#[derive(Debug)]
struct Waiting {
    caller: usize,
    operation: Operation,
    /// Nothing for one that nobody waits for any more.
    reply: Option<oneshot::Sender<Answer>>,
}

#[derive(Debug)]
struct Operation {
    method: Method,
    table: String,
    keys: Option<(String, String)>,
    query: BTreeMap<String, String>,
    if_match: Option<String>,
    body: Entity,
}

/// One caller's line to the service. Who looks on, and calls nobody's number, is served at once.
pub(super) struct Line {
    pub(super) service: Arc<Service>,
    pub(super) caller: Option<usize>,
    pub(super) clock: Clock,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({:?})", self.caller)
    }
}

#[async_trait]
impl Wire for Line {
    async fn carry(&self, request: Request) -> Result<reqwest::Response, String> {
        let operation = Operation::of(&request);
        let Some(caller) = self.caller else {
            let answer = self.service.inner().serve(&operation, (self.clock)());
            return Ok(answer.into());
        };
        let (reply, answer) = oneshot::channel();
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
        match answer.await {
            Ok(answer) => answer.map(reqwest::Response::from),
            // The process is dead: nothing ever comes back to it.
            Err(_) => pending().await,
        }
    }
}

impl Service {
    /// How many operations wait, in an order that is the same each time.
    pub(super) fn waiting(&self) -> usize {
        let mut inner = self.inner();
        let given_up = |waiting: &Waiting| waiting.reply.as_ref().is_some_and(|it| it.is_closed());
        inner.waiting.retain(|waiting| !given_up(waiting));
        inner
            .waiting
            .sort_by_key(|waiting| (waiting.caller, waiting.operation.name()));
        inner.waiting.len()
    }

    /// Lets one of them go on its way, in words. What one caller sends twice in the same words goes
    /// together: which of the two came first is a matter of chance.
    pub(super) fn serve(&self, index: usize, fate: Fate, now: Timestamp) -> String {
        let mut inner = self.inner();
        let chosen = &inner.waiting[index];
        let (caller, name) = (chosen.caller, chosen.operation.name());
        let goes = |it: &mut Waiting| it.caller == caller && it.operation.name() == name;
        let going: Vec<Waiting> = inner.waiting.extract_if(.., goes).collect();
        for mut waiting in going {
            let Some(reply) = waiting.reply.take() else {
                inner.serve(&waiting.operation, now);
                continue;
            };
            let answer = match fate {
                Fate::Served => Ok(inner.serve(&waiting.operation, now)),
                Fate::AnswerLost => {
                    inner.serve(&waiting.operation, now);
                    Err("the answer was lost".to_owned())
                }
                Fate::Lost => Err("it was lost".to_owned()),
                Fate::Busy => Ok(refusal(503, "ServerBusy")),
                Fate::Late => {
                    inner.waiting.push(waiting);
                    Err("it was cut off".to_owned())
                }
            };
            // Who has given up meanwhile does not hear it.
            reply.send(answer).ok();
        }
        format!("{fate:?} {caller} {name}")
    }

    /// A caller's process dies: its operations are lost, and so is all that it still does.
    pub(super) fn kill(&self, caller: usize) {
        let mut inner = self.inner();
        inner.dead.insert(caller);
        inner
            .waiting
            .retain(|it| it.caller != caller || it.reply.is_none());
    }

    /// How many rows a table has.
    pub(super) fn count(&self, table: &str) -> usize {
        self.inner().tables.get(table).map_or(0, Table::len)
    }

    /// How many writes there were.
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
        // The emulator's addresses begin with the account.
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

    /// What it is, without anything that chance has named.
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
        let table = self.tables.entry(operation.table.clone()).or_default();
        let keys = operation.keys.clone().or_else(|| {
            let key = |name: &str| Some(operation.body.get(name)?.as_str()?.to_owned());
            Some((key("PartitionKey")?, key("RowKey")?))
        });
        let Some(keys) = keys else {
            return found(json!({"odata.metadata": "", "value": queried(table, operation)}));
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
                let mut entity = entity.clone();
                entity.insert("odata.metadata".to_owned(), "".into());
                let mut answer = found(entity.into());
                answer
                    .headers_mut()
                    .insert("etag", etag(*version).parse().unwrap());
                return answer;
            }
            ("POST", Some(_)) => return refusal(409, "EntityAlreadyExists"),
            ("DELETE", _) => {
                table.remove(&keys);
                self.version += 1;
                return answer(204, "");
            }
            ("POST" | "PUT", _) => {}
            (other, _) => panic!("{other} is not played"),
        }
        self.version += 1;
        let mut entity = operation.body.clone();
        entity.insert("Timestamp".to_owned(), now.to_string().into());
        entity.insert("odata.etag".to_owned(), etag(self.version).into());
        table.insert(keys, (self.version, entity));
        let mut answer = answer(204, "");
        answer
            .headers_mut()
            .insert("etag", etag(self.version).parse().unwrap());
        answer
    }
}

/// The rows that a query asks for, in an order that is the same each time.
fn queried(table: &Table, operation: &Operation) -> Vec<Value> {
    let filter = operation.query.get("$filter").map_or("", String::as_str);
    let conditions: Vec<(&str, &str, &str)> = filter
        .split(" and ")
        .filter(|condition| !condition.is_empty())
        .map(|condition| {
            let (column, rest) = condition.split_once(' ').unwrap();
            let (operator, value) = rest.split_once(' ').unwrap();
            let value = value.strip_prefix("datetime").unwrap_or(value);
            (column, operator, value.trim_matches('\''))
        })
        .collect();
    let holds = |entity: &Entity, (column, operator, value): (&str, &str, &str)| {
        let stored = entity[column].as_str().unwrap();
        match operator {
            "eq" => stored == value,
            "le" => stored <= value,
            "ge" => stored >= value,
            "lt" => stored < value,
            other => panic!("{other} is not played"),
        }
    };
    let mut rows: Vec<&(u64, Entity)> = table
        .values()
        .filter(|(_, entity)| conditions.iter().all(|condition| holds(entity, *condition)))
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
    answer(200, &body.to_string())
}

fn refusal(status: u16, code: &str) -> Response<String> {
    let body = json!({"odata.error": {"code": code}});
    answer(status, &body.to_string())
}

fn answer(status: u16, body: &str) -> Response<String> {
    Response::builder()
        .status(status)
        .body(body.to_owned())
        .unwrap()
}
