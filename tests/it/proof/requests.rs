//! Mutated HTTP requests over the wire, checked against the rules that hold for every request.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use human_oversight_client::types::Status;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dice::{self, Dice};
use super::{cases, record};
use crate::canary;
use crate::deadline::DEADLINE;
use crate::edge::connect;
use crate::harness::{ALICE, Page, TestGate, request};

/// The inputs from `tests/fuzz`, used besides the generated ones.
struct Corpus {
    submits: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
    forms: Vec<Vec<u8>>,
    queries: Vec<Vec<u8>>,
    headers: Vec<Vec<u8>>,
}

impl Corpus {
    fn read() -> Self {
        let [submits, bodies, forms, queries, headers] =
            ["submit", "body", "form", "query", "header"].map(dice::corpus);
        Self {
            submits,
            bodies,
            forms,
            queries,
            headers,
        }
    }
}

const HEADERS: [&[u8]; 20] = [
    b"accept",
    b"accept-encoding",
    b"authorization",
    b"content-encoding",
    b"content-type",
    b"cookie",
    b"forwarded",
    b"if-match",
    b"origin",
    b"prefer",
    b"range",
    b"referer",
    b"sec-fetch-site",
    b"te",
    b"upgrade",
    b"x-azure-functions-invocationid",
    b"x-forwarded-for",
    b"x-functions-key",
    b"x-http-method-override",
    b"x-ms-client-principal",
];

/// A marker in every generated request, so that a response that echoes it is detected.
const ECHO: &str = "zebra";

/// The stored requests that the generated HTTP requests refer to.
struct Subjects {
    /// To claim, report and withdraw.
    pending: String,
    /// To decide: the path with the link token, and the form without its decision.
    link: String,
    form: String,
    /// A decided request, so that `GET /api/status` never waits, and the body that submitted it.
    decided: String,
    submitted: Vec<u8>,
}

impl Subjects {
    async fn of(gate: &TestGate) -> Self {
        let mut submission = request();
        submission
            .parameters
            .insert("animal".to_owned(), json!(ECHO));
        let pending = gate.client.submit(&submission).await.unwrap().id;
        let to_decide = gate.client.submit(&submission).await.unwrap();
        let link = gate.question(&to_decide, ALICE).link;
        let page = gate.get(&link).await;
        let hidden = page.first_form();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(hidden)
            .append_pair("comment", ECHO)
            .finish();
        let name = format!("{ECHO}-{}", to_decide.correlation_id);
        submission.correlation_id = Some(name);
        let decided = gate.client.submit(&submission).await.unwrap();
        gate.reject(&decided, ALICE, ECHO).await;
        Self {
            pending,
            link: link.strip_prefix(&gate.url).unwrap().to_owned(),
            form,
            decided: decided.id,
            submitted: serde_json::to_vec(&submission).unwrap(),
        }
    }

    /// A mutated request, as bytes for the wire.
    fn request(&self, seed: u64, corpus: &Corpus) -> Vec<u8> {
        let mut dice = Dice(seed);
        let mut submission = json!({
            "agentName": ECHO, "actionDescription": ECHO, "approverEmails": [ALICE],
            "correlationId": format!("{ECHO}-{seed}"), "timeoutSeconds": 600, "reason": ECHO,
            "onBehalfOf": "zebra@example.com", "claimant": "0".repeat(64), "timestamp": ECHO,
            "parameters": {"text": ECHO, "list": [1, 2.5, true, null, {"deep": [ECHO]}]},
        });
        let claim = json!({"nonce": "zebra-0123456789", "secret": ECHO});
        let report = json!({"status": "ExecutionFailed", "error": ECHO, "secret": ECHO});
        let (decide, _) = self.link.split_once('?').unwrap();
        let of = |function: &str, id: &str| format!("/api/{function}/{id}").into_bytes();
        let mut more = Vec::new();
        let (method, path, kind, body) = match seed % 8 {
            0 | 1 => {
                dice.alter(&mut submission);
                (
                    "POST",
                    b"/api/submit".to_vec(),
                    "json",
                    submission.to_string().into_bytes(),
                )
            }
            2 => {
                let body = match dice.below(2) {
                    0 => dice.garble(submission.to_string().as_bytes()),
                    _ => {
                        let body = dice.pick(&corpus.submits);
                        dice.garble(body)
                    }
                };
                ("POST", b"/api/submit".to_vec(), "json", body)
            }
            3 => {
                let (function, body) = match dice.below(3) {
                    0 => ("claim", claim),
                    1 => ("outcome", report),
                    _ => ("withdraw", json!({"secret": ECHO})),
                };
                let body = match dice.below(2) {
                    0 => dice.garble(body.to_string().as_bytes()),
                    _ => {
                        let body = dice.pick(&corpus.bodies);
                        dice.garble(body)
                    }
                };
                ("POST", of(function, &self.pending), "json", body)
            }
            4 => {
                // Mostly approvals, because a rejection ends the request for the following seeds.
                let decision = ["approve", "reject"][usize::from(dice.below(8) == 0)];
                let mut form = format!("{}&decision={decision}&code=", self.form).into_bytes();
                if dice.below(4) == 0 {
                    form = [self.form.as_bytes(), b"&", dice.pick(&corpus.forms)].concat();
                }
                let body = dice.garble(&form);
                (
                    "POST",
                    decide.as_bytes().to_vec(),
                    "x-www-form-urlencoded",
                    body,
                )
            }
            5 => {
                let path = of("status", &self.decided);
                let (start, rest) = path.split_at(1 + dice.below(path.len() - 1));
                let path = [start, &dice.garble(rest)].concat();
                ("GET", path, "json", Vec::new())
            }
            6 => {
                let (path, query) = match dice.below(2) {
                    0 => (of("status", &self.decided), "wait=1"),
                    _ => (
                        decide.as_bytes().to_vec(),
                        self.link.split_once('?').unwrap().1,
                    ),
                };
                let query = match dice.below(4) {
                    0 => dice.pick(&corpus.queries).to_vec(),
                    _ => query.as_bytes().to_vec(),
                };
                let query = dice.garble(&query);
                (
                    "GET",
                    [&path, &b"?"[..], &query].concat(),
                    "json",
                    Vec::new(),
                )
            }
            _ => {
                for _ in 0..=dice.below(5) {
                    let name = dice.pick(&HEADERS);
                    let value = match dice.below(2) {
                        0 => ECHO.as_bytes(),
                        _ => dice.pick(&corpus.headers),
                    };
                    let value = dice.garble(value);
                    more.extend([name, b": ", &value, b"\r\n"].concat());
                }
                (
                    "POST",
                    b"/api/submit".to_vec(),
                    "json",
                    self.submitted.clone(),
                )
            }
        };
        // Removes bytes that would only end the request line early.
        let line = |bytes: Vec<u8>| {
            let bytes = bytes.into_iter().filter(|b| !b"\r\n \0".contains(b));
            bytes.collect::<Vec<_>>()
        };
        let head = format!(
            "host: localhost\r\nsec-fetch-site: same-origin\r\nconnection: close\r\n\
             content-type: application/{kind}\r\ncontent-length: {}\r\n",
            body.len()
        );
        [
            method.as_bytes(),
            b" ",
            &line(path),
            b" HTTP/1.1\r\n",
            // Generated headers come first: the gate uses the first of a repeated header.
            &more,
            head.as_bytes(),
            b"\r\n",
            &body,
        ]
        .concat()
    }
}

/// The response, or `None` if the connection was closed without one.
async fn exchange(gate: &TestGate, request: &[u8]) -> Option<Page> {
    let mut stream = connect(gate).await;
    stream.write_all(request).await.ok();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.ok();
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse::<u16>().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    Some(Page {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::from_iter(headers),
        body: body.to_owned(),
    })
}

/// The number of requests per gate, and per set of subjects.
const PER_GATE: u64 = 3_200;
const PER_SUBJECTS: u64 = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_causes_a_failure() {
    let (first, all) = (dice::first(), cases(PER_GATE, 50 * PER_GATE));
    let corpus = Corpus::read();
    let (mut rows, mut statuses) = (0, BTreeSet::new());
    for start in (first..first + all).step_by(PER_GATE as usize) {
        rows += test_gate(start, &corpus, &mut statuses).await;
    }
    record("requests", &[("requests", all), ("stored", rows)]);
    // The generated requests reach the code behind the parsers.
    for status in [200, 202, 303, 400, 403, 404, 409, 415, 422] {
        assert!(
            statuses.contains(&status),
            "no {status}: seeds from {first}"
        );
    }
}

/// Sends the requests for one gate. Returns the number of rows stored at the end.
async fn test_gate(first: u64, corpus: &Corpus, statuses: &mut BTreeSet<u16>) -> u64 {
    let gate = TestGate::alone().await;
    let mut stored = BTreeSet::new();
    for start in (first..first + PER_GATE).step_by(PER_SUBJECTS as usize) {
        let subjects = Subjects::of(&gate).await;
        let (subjects, gate) = (&subjects, &gate);
        let responses = stream::iter(start..start + PER_SUBJECTS).map(|seed| async move {
            let request = subjects.request(seed, corpus);
            let response = tokio::time::timeout(DEADLINE, exchange(gate, &request));
            let shown = || String::from_utf8_lossy(&request).into_owned();
            match response.await {
                Ok(response) => (seed, shown(), response),
                Err(_) => panic!("seed {seed} hangs: {}", shown()),
            }
        });
        let responses: Vec<_> = responses.buffer_unordered(16).collect().await;
        for (seed, request, response) in responses {
            let Some(response) = response else {
                panic!("seed {seed} got no response: {request}");
            };
            let what = || {
                format!(
                    "seed {seed}: {}\n{}\n{request}",
                    response.status, response.body
                )
            };
            assert!(!response.status.is_server_error(), "{}", what());
            if response.header("content-type") == "application/problem+json" {
                response.problem();
                assert!(!response.body.contains(ECHO), "{}", what());
                canary::assert_no_secret(&response.body);
            } else if response.status.is_client_error() && !response.body.is_empty() {
                assert!(response.body.starts_with("<!doctype html>"), "{}", what());
            }
            stored.insert(response.header("location").to_owned());
            statuses.insert(response.status.as_u16());
        }
        let decided = gate.client.status(&subjects.decided, Duration::ZERO).await;
        assert_eq!(decided.unwrap().0.status, Status::Rejected);
    }
    // Refused requests stored nothing, and no request was approved.
    stored.retain(|location| location.starts_with("/api/status/"));
    let rows = gate.stored().await;
    let subjects = (PER_GATE / PER_SUBJECTS) as usize * 3;
    assert_eq!(rows.len(), stored.len() + subjects, "seeds from {first}");
    for (_, _, row) in &rows {
        assert!(
            !row.contains(r#""Status":"Approved""#),
            "seeds from {first}: {row}"
        );
    }
    rows.len() as u64
}
