//! `GET /api/openapi.json`: the document describes every function and matches every response.

mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use boon::{Compiler, SchemaIndex, Schemas};
use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::{
    Approval, Claim, ExecutionStatus, NewApproval, NewCallback, Report, Withdrawal,
};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::agent_identity;
use crate::harness::{ALICE, Page, TestGate, repository, request};
use crate::host::{AuthLevel, FunctionApp, SignIn, Trigger};
use crate::sign_in::{self, alice, approving, send, visit};

pub(crate) use webhooks::check_webhook;

const NONCE: &str = "0123456789abcdef";

/// The document with every object closed: a member that it does not name is a fault in these tests,
/// although callers must ignore it.
struct Document(Value);

impl Document {
    fn read() -> Self {
        let mut document: Value =
            serde_json::from_str(include_str!("../../src/http/openapi.json")).unwrap();
        for schema in document["components"]["schemas"]
            .as_object_mut()
            .unwrap()
            .values_mut()
        {
            if let Some(object) = schema.as_object_mut()
                && object.contains_key("properties")
            {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Self(document)
    }

    /// The value at a pointer, with all references resolved.
    fn at(&self, pointer: &str) -> &Value {
        let mut place = &self.0;
        for step in pointer.split('/').skip(1) {
            place = &place[step.replace("~1", "/")];
            while let Some(reference) = place["$ref"].as_str() {
                place = self.0.pointer(&reference[1..]).expect(reference);
            }
        }
        place
    }

    /// The validation errors of a value under a schema.
    fn faults(&self, schema: &str, value: &Value) -> Option<String> {
        let mut schemas = Schemas::new();
        let schema = self.compile(&format!("/components/schemas/{schema}"), &mut schemas);
        let faults = schemas.validate(value, schema).err()?;
        Some(faults.to_string())
    }

    /// Compiles the schema at a pointer.
    fn compile(&self, pointer: &str, schemas: &mut Schemas) -> SchemaIndex {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        let url = "http://example.com/openapi.json";
        compiler.add_resource(url, self.0.clone()).unwrap();
        let schema = compiler.compile(&format!("{url}#{pointer}"), schemas);
        schema.unwrap()
    }

    /// The values of an enum schema.
    fn words(&self, schema: &str) -> BTreeSet<String> {
        let words = &self.at(&format!("/components/schemas/{schema}"))["enum"];
        let words = words.as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    }

    /// Every operation, as its method and path.
    fn operations(&self) -> BTreeMap<(String, String), &Value> {
        let paths = self.0["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| ((method.clone(), path.clone()), operation))
        });
        operations
            .filter(|((method, _), _)| method != "parameters")
            .collect()
    }

    /// Checks header and claims of receipt and permit against their schemas.
    fn check_proofs(&self, approval: &Value) {
        let receipt = approval["receipt"].as_str().unwrap_or_default();
        let permit = approval["permit"].as_str().unwrap_or_default();
        let receipt = receipt.split('.').zip(["ReceiptHeader", "ReceiptClaims"]);
        let permit = permit.split('.').zip(["PermitHeader", "PermitClaims"]);
        for (part, schema) in receipt.chain(permit).filter(|(part, _)| !part.is_empty()) {
            let part = BASE64URL.decode(part).unwrap();
            let part: Value = serde_json::from_slice(&part).unwrap();
            assert_eq!(self.faults(schema, &part), None, "{part}");
        }
    }

    /// Checks a response against the document.
    fn check(&self, method: &Method, path: &str, answer: &Page) {
        let (method, path) = (method.as_str().to_lowercase(), path.replace('/', "~1"));
        let status = answer.status.as_u16();
        let place = format!("/paths/{path}/{method}/responses/{status}");
        let response = self.at(&place);
        assert!(
            response.is_object(),
            "{place} is not in the document: {}",
            answer.body
        );
        for header in ["location", "retry-after", "preference-applied"] {
            let named = response["headers"].as_object().and_then(|headers| {
                let mut headers = headers.keys();
                headers.find(|name| name.eq_ignore_ascii_case(header))
            });
            if answer.headers.contains_key(header) {
                assert!(named.is_some(), "{place} has no {header}");
            }
        }
        let kind = answer.header("content-type").split(';').next().unwrap();
        let schema = &response["content"][kind]["schema"];
        match schema["$ref"].as_str() {
            Some(schema) => {
                let (_, schema) = schema.rsplit_once('/').unwrap();
                let faults = self.faults(schema, &answer.json());
                assert_eq!(faults, None, "{place}: {}", answer.body);
            }
            None if kind.is_empty() => assert_eq!(answer.body, "", "{place}"),
            None => assert_eq!(schema["type"], "string", "{place} has no {kind}"),
        }
    }
}

/// A gate, and the document that each of its responses is checked against.
struct Described {
    gate: TestGate,
    document: Document,
}

impl Described {
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self {
            gate: TestGate::with(settings).await,
            document: Document::read(),
        }
    }

    async fn call(&self, method: Method, function: &str, id: &str, body: String) -> Page {
        let (path, query) = function.split_once('?').unwrap_or((function, ""));
        let template = match id {
            "" => format!("/api/{path}"),
            _ => format!("/api/{path}/{{id}}"),
        };
        let url = template.replace("{id}", id);
        let call = self
            .gate
            .http
            .request(method.clone(), format!("{}{url}?{query}", self.gate.url))
            .header("content-type", "application/json")
            .body(body);
        let answer = Page::of(call.send().await.unwrap()).await;
        self.document.check(&method, &template, &answer);
        answer
    }

    async fn get(&self, function: &str, id: &str) -> Page {
        self.call(Method::GET, function, id, String::new()).await
    }

    async fn post(&self, function: &str, id: &str, body: Value) -> Page {
        let answer = self.call(Method::POST, function, id, body.to_string());
        answer.await
    }

    /// Submits a request. Returns its id.
    async fn submit(&self, body: &Value) -> String {
        let answer = self.post("submit", "", body.clone()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Submits a request and approves it. Returns its id.
    async fn submit_approved(&self) -> String {
        let id = self.submit(&body()).await;
        let approval = self.gate.status(&id).await;
        self.gate.approve(&approval, ALICE).await;
        id
    }

    async fn submit_claimed(&self) -> String {
        let id = self.submit_approved().await;
        let claimed = self.post("claim", &id, json!({"nonce": NONCE})).await;
        assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.body);
        id
    }
}

/// A submit body.
fn body() -> Value {
    serde_json::to_value(request()).unwrap()
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

#[tokio::test]
async fn the_document_is_served_with_the_version_of_the_package() {
    let gate = TestGate::start().await;
    let call = gate.http.get(format!("{}/api/openapi.json", gate.url));
    let answer = Page::of(call.send().await.unwrap()).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body, include_str!("../../src/http/openapi.json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_document_lists_each_route_with_its_methods_and_security() {
    let document = Document::read();
    let described: BTreeSet<_> = document
        .operations()
        .into_iter()
        // Those that the host lets anyone call say so, or what the gate demands instead.
        .map(|((method, path), operation)| (method, path, operation.get("security").is_some()))
        .collect();
    let app = FunctionApp::read(repository(), &[("HO_SWEEP_SCHEDULE", "0 * * * * *")]).unwrap();
    let mut there = BTreeSet::new();
    for function in app.functions {
        if let Trigger::Http {
            methods,
            route,
            level,
        } = function.trigger
            // The operator's route, which docs/operations.md describes, and that of Event Grid, in docs/mail.md.
            && level != AuthLevel::Admin
            && function.name != "delivery"
        {
            // Without its id, a link gets a page that says so.
            let path = format!("/api/{}", route.join("/").replace("{id?}", "{id}"));
            let anonymous = level == AuthLevel::Anonymous;
            there.extend(methods.into_iter().map(|m| (m, path.clone(), anonymous)));
        }
    }
    assert_eq!(described, there);
}

#[test]
fn links_name_operations_and_references_resolve() {
    let document = Document::read();
    let operations: Vec<_> = document
        .operations()
        .into_values()
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let once: BTreeSet<_> = operations.iter().collect();
    assert_eq!(once.len(), operations.len());
    for link in document
        .at("/components/links")
        .as_object()
        .unwrap()
        .values()
    {
        assert!(once.contains(&link["operationId"].as_str().unwrap()));
    }
    let text = include_str!("../../src/http/openapi.json");
    let referred: BTreeSet<&str> = text
        .split("\"$ref\": \"#")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .collect();
    let mut defined = BTreeSet::new();
    for (kind, components) in document.at("/components").as_object().unwrap() {
        if kind != "securitySchemes" {
            let names = components.as_object().unwrap().keys();
            defined.extend(names.map(|name| format!("/components/{kind}/{name}")));
        }
    }
    let defined: BTreeSet<&str> = defined.iter().map(String::as_str).collect();
    assert_eq!(
        referred, defined,
        "each component is used, and each reference resolves"
    );
}

/// The wire names of an enum's variants in a source file.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (before, rest) = source.split_once(&format!("pub enum {name} {{")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let attributes = before.rsplit("\n\n").next().unwrap();
    let lower = attributes.contains("rename_all = \"lowercase\"");
    let kebab = attributes.contains("rename_all = \"kebab-case\"");
    body.lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic()))
        .map(|word| match (lower, kebab) {
            (true, _) => word.to_lowercase(),
            (_, true) => kebab_case(word),
            _ => word.to_owned(),
        })
        .collect()
}

/// `LinkOnly` as `link-only`.
fn kebab_case(word: &str) -> String {
    let words = word.chars().map(|c| match c {
        'A'..='Z' => format!("-{}", c.to_ascii_lowercase()),
        c => c.to_string(),
    });
    let words: String = words.collect();
    words.trim_start_matches('-').to_owned()
}

#[test]
fn the_enums_match_the_wire_types() {
    let document = Document::read();
    let types = include_str!("../../crates/protocol/src/types.rs");
    let receipt = include_str!("../../crates/protocol/src/receipt.rs");
    for (schema, source, name, stands_for_others) in [
        ("Status", types, "Status", Some("Unknown")),
        ("ExecutionStatus", types, "ExecutionStatus", Some("Unknown")),
        ("MailState", types, "MailState", None),
        ("MailFault", types, "MailFault", Some("unknown")),
        ("Deliverable", types, "Deliverable", Some("unknown")),
        (
            "ReceiptClaims/properties/decision",
            receipt,
            "Decision",
            None,
        ),
        (
            "ReceiptClaims/properties/assurance",
            receipt,
            "Assurance",
            None,
        ),
    ] {
        let mut words = variants(source, name);
        if let Some(others) = stands_for_others {
            assert!(words.remove(others), "{name}");
        }
        assert!(words.len() >= 2, "{name}");
        assert_eq!(document.words(schema), words, "{name}");
    }
    let errors = include_str!("../../src/http/error.rs");
    // Each arm of the table names its status code first, then the problem.
    let problems: BTreeSet<String> = errors
        .split("S::")
        .skip(1)
        .map(|arm| arm.split('"').nth(1).unwrap())
        .map(|name| format!("urn:human-oversight:problem:{name}"))
        .collect();
    assert_eq!(document.words("ProblemType"), problems);
}

#[test]
fn request_bodies_have_exactly_the_members_of_the_client() {
    let document = Document::read();
    let some = || Some("x".to_owned());
    // Without `..`, so that a new member is a compile error.
    let new = NewApproval {
        agent_name: String::new(),
        action_description: String::new(),
        parameters: Map::new(),
        approver_emails: vec!["x".to_owned()],
        correlation_id: some(),
        timeout_seconds: Some(10),
        reason: some(),
        on_behalf_of: some(),
        claimant: some(),
        supersedes: some(),
        callback: Some(NewCallback {
            channel: String::new(),
            state: some(),
        }),
    };
    let claim = Claim {
        nonce: String::new(),
        secret: some(),
    };
    let report = Report {
        status: ExecutionStatus::Executed,
        error: some(),
        nonce: some(),
        secret: some(),
    };
    let withdrawal = Withdrawal { secret: some() };
    for (schema, body, more) in [
        // Agents of the legacy Logic App send `timestamp`.
        ("NewApproval", json!(new), Some("timestamp")),
        ("NewCallback", json!(new)["callback"].clone(), None),
        ("Claim", json!(claim), None),
        ("Report", json!(report), None),
        ("Withdrawal", json!(withdrawal), None),
    ] {
        let described = &document.at(&format!("/components/schemas/{schema}"))["properties"];
        let described = described.as_object().unwrap().keys().map(String::as_str);
        let sent = body.as_object().unwrap().keys().map(String::as_str);
        let described: BTreeSet<_> = described.collect();
        assert_eq!(described, sent.chain(more).collect(), "{schema}");
    }
}

#[tokio::test]
async fn every_response_of_a_lifecycle_matches_the_document() {
    let within = [("HO_RUN_WITHIN", "60"), ("HO_OUTCOME_WITHIN", "60")];
    let described = Described::start(&within).await;
    let mut shown = BTreeSet::new();
    let mut show = |answer: &Page| {
        let approval = answer.json();
        shown.insert((
            approval["status"].as_str().unwrap().to_owned(),
            approval["execution"]["status"].as_str().map(str::to_owned),
        ));
        described.document.check_proofs(&approval);
    };

    let all = json!({
        "agentName": "Ärzte 東京", "actionDescription": "Delete", "parameters": {"user_id": "1"},
        "approverEmails": [ALICE, "gone@example.invalid"], "correlationId": "run-42", "timeoutSeconds": 600,
        "reason": "Why\n\tnot?", "onBehalfOf": "carol@example.com", "claimant": hex(&sha256(b"mine")),
        "timestamp": "now",
    });
    assert_eq!(described.document.faults("NewApproval", &all), None);
    let early = described.get("health", "").await;
    assert_eq!(early.status, StatusCode::OK, "{}", early.body);
    described.gate.sweep().await;
    described.get("health", "").await;
    let pending = described.submit(&all).await;
    show(&described.get("status", &pending).await);
    show(&described.get("status?wait=1", &pending).await);
    let mine = json!({"secret": "mine"});
    show(&described.post("withdraw", &pending, mine).await);
    show(&described.post("submit", "", all).await);

    let executed = described.submit_approved().await;
    show(&described.get("status", &executed).await);
    show(
        &described
            .post("claim", &executed, json!({"nonce": NONCE}))
            .await,
    );
    let report = json!({"status": "Executed"});
    show(&described.post("outcome", &executed, report).await);

    let failed = described.submit_claimed().await;
    let report = json!({"status": "ExecutionFailed", "error": "No such user"});
    show(&described.post("outcome", &failed, report).await);

    let revoked = described.submit_approved().await;
    let approval = described.gate.status(&revoked).await;
    let alice = described.gate.question(&approval, ALICE);
    let form = [("decision", "revoke"), ("code", alice.code.as_str())];
    described.gate.decide(&alice, &form).await;
    show(&described.get("status", &revoked).await);

    let rejected = described.submit(&body()).await;
    let approval = described.gate.status(&rejected).await;
    described.gate.reject(&approval, ALICE, "Not him").await;
    show(&described.get("status", &rejected).await);

    let undeliverable = with(body(), "approverEmails", json!(["gone@example.invalid"]));
    show(&described.post("submit", "", undeliverable).await);

    let (lapsed, unknown) = (
        described.submit_approved().await,
        described.submit_claimed().await,
    );
    let timed_out = described
        .submit(&with(body(), "timeoutSeconds", json!(60)))
        .await;
    described.gate.pass(Duration::from_secs(60));
    described.gate.sweep().await;
    for id in [lapsed, unknown, timed_out] {
        show(&described.get("status", &id).await);
    }

    show(&described.post("submit?wait=1", "", body()).await);
    let long = with(body(), "timeoutSeconds", json!(600));
    show(&described.post("submit?wait=1", "", long).await);
    let preferring = described
        .gate
        .http
        .post(format!("{}/api/submit", described.gate.url))
        .header("prefer", "wait=1")
        .header("content-type", "application/json")
        .body(body().to_string());
    let answer = Page::of(preferring.send().await.unwrap()).await;
    assert_eq!(answer.header("preference-applied"), "wait=1");
    let document = &described.document;
    document.check(&Method::POST, "/api/submit", &answer);
    described.get("keys", "").await;
    described.get("openapi.json", "").await;

    let statuses: BTreeSet<_> = shown.iter().map(|(status, _)| status.clone()).collect();
    let executions: BTreeSet<_> = shown.into_iter().filter_map(|(_, word)| word).collect();
    assert_eq!(statuses, described.document.words("Status"));
    assert_eq!(executions, described.document.words("ExecutionStatus"));
}

#[tokio::test]
async fn every_problem_matches_the_document() {
    let described = Described::start(&[]).await;
    let claimant = with(body(), "claimant", json!(hex(&sha256(b"mine"))));
    let others = described.submit(&claimant).await;
    let (pending, named) = (
        described.submit(&body()).await,
        with(body(), "correlationId", json!("1")),
    );
    described.submit(&named).await;
    let tampered = described.submit_approved().await;
    let forge = |row: &mut Value| row["Approver"] = json!("eve@example.com");
    described.gate.tamper(&tampered, None, forge).await;

    let large = json!({"secret": "x".repeat(70_000)}).to_string();
    let large = large.as_str();
    let other = with(named, "reason", json!("Other")).to_string();
    let claim = json!({"nonce": NONCE}).to_string();
    let report = json!({"status": "Executed"}).to_string();
    for (function, id, body, status) in [
        ("submit", "", "{", 400),
        ("submit?wait=101", "", "{}", 400),
        ("submit", "", &other, 409),
        ("submit", "", large, 413),
        ("submit", "", "{}", 422),
        ("claim", &pending, "[", 400),
        ("claim", &others, &claim, 403),
        ("claim", "YQ.b", &claim, 404),
        ("claim", &pending, &claim, 409),
        ("claim", &pending, large, 413),
        ("claim", &pending, "{}", 422),
        ("claim", &tampered, &claim, 500),
        ("outcome", &pending, "[", 400),
        ("outcome", &others, &report, 403),
        ("outcome", "YQ.b", &report, 404),
        ("outcome", &pending, &report, 409),
        ("outcome", &pending, large, 413),
        ("outcome", &pending, "{}", 422),
        ("outcome", &tampered, &report, 500),
        ("withdraw", &pending, "[", 400),
        ("withdraw", &others, "", 403),
        ("withdraw", "YQ.b", "", 404),
        ("withdraw", &tampered, "", 500),
        ("withdraw", &pending, large, 413),
        ("withdraw", &pending, r#"{"more": 1}"#, 422),
        ("decision", &pending, "", 403),
    ] {
        let call = described.call(Method::POST, function, id, body.to_owned());
        let answer = call.await;
        assert_eq!(answer.status, status, "{function}: {}", answer.body);
    }
    for (function, id, status) in [
        ("status?wait=0", pending.as_str(), 400),
        ("status", "YQ.b", 404),
        ("status", &tampered, 500),
        ("decision", "YQ.b", 404),
    ] {
        let answer = described.get(function, id).await;
        assert_eq!(answer.status, status, "{function}: {}", answer.body);
    }

    let busy = Described::start(&[("HO_OPEN_LIMIT", "1")]).await;
    busy.submit(&body()).await;
    let answer = busy.post("submit", "", body()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);

    let (gate, document) = (&described.gate, &described.document);
    for (method, path) in document.operations().into_keys() {
        let method: Method = method.to_uppercase().parse().unwrap();
        let url = format!("{}{}", gate.url, path.replace("{id}", &pending));
        // Without a key, and with a foreign host name.
        let http = crate::harness::http().build().unwrap();
        let strange = gate.direct(&path.replace("{id}", &pending));
        for call in [
            http.request(method.clone(), url),
            http.request(method.clone(), strange)
                .header("host", "gate.example.com"),
        ] {
            let answer = Page::of(call.send().await.unwrap()).await;
            document.check(&method, &path, &answer);
        }
        // Of the routes for identities, which this gate does not have, and of those with an optional body no more.
        let is_known = !path.starts_with("/api/agent/");
        if method == Method::POST && is_known && !path.contains("withdraw") {
            let url = format!("{}{}", gate.url, path.replace("{id}", &pending));
            let call = gate.http.post(url).header("sec-fetch-site", "same-origin");
            let answer = Page::of(call.body("x").send().await.unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
            document.check(&method, &path, &answer);
        }
    }
}

#[tokio::test]
async fn the_page_and_form_match_the_document() {
    let described = Described::start(&[]).await;
    let (gate, document) = (&described.gate, &described.document);
    let path = "/api/decision/{id}";
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await;
    assert_eq!(page.status, StatusCode::OK);
    document.check(&Method::GET, path, &page);
    let too_long = "x"
        .repeat(max_length(document.at("/components/schemas/DecisionForm/properties/comment")) + 1);
    let large = "x".repeat(70_000);
    let code = question.code.as_str();
    for (form, status) in [
        (vec![], 400),
        (vec![("decision", "reject"), ("comment", &too_long)], 400),
        (vec![("decision", "reject"), ("comment", &large)], 413),
        (vec![("decision", "approve")], 403),
        (
            vec![
                ("decision", "approve"),
                ("code", code),
                ("comment", &too_long[1..]),
            ],
            303,
        ),
        (vec![("decision", "reject")], 409),
    ] {
        let answer = gate.send_form(&page, &form).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        document.check(&Method::POST, path, &answer);
    }

    let late = gate.ask().await;
    let question = gate.question(&late, ALICE);
    let page = gate.get(&question.link).await;
    gate.pass(Duration::from_secs(3_600));
    document.check(&Method::GET, path, &gate.get(&question.link).await);
    let answer = gate.send_form(&page, &[("decision", "reject")]).await;
    assert_eq!(answer.status, StatusCode::GONE);
    document.check(&Method::POST, path, &answer);
}

#[tokio::test]
async fn responses_to_identities_match_the_document() {
    let described = Described::start(&agent_identity::BOTH).await;
    let (gate, document) = (&described.gate, &described.document);
    let token = agent_identity::token(&agent_identity::program(agent_identity::AGENT_ID));
    let call = async |method: Method, path: &str, id: &str, token: &str, body: Value| {
        let url = format!("{}{}", gate.url, path.replace("{id}", id));
        let call = crate::harness::http().build().unwrap();
        let call = call.request(method.clone(), url).bearer_auth(token);
        let call = call.header("content-type", "application/json");
        let answer = Page::of(call.body(body.to_string()).send().await.unwrap()).await;
        document.check(&method, path, &answer);
        answer
    };
    let (post, get) = (Method::POST, Method::GET);
    let submit = "/api/agent/submit";
    let submitted = call(post.clone(), submit, "", &token, body()).await;
    assert_eq!(submitted.status, StatusCode::ACCEPTED, "{}", submitted.body);
    let approval: Approval = serde_json::from_value(submitted.json()).unwrap();
    gate.approve(&approval, ALICE).await;
    let id = approval.id.as_str();
    for (method, function, body, status) in [
        (get, "status", json!({}), 200),
        (post.clone(), "claim", json!({"nonce": NONCE}), 200),
        (post.clone(), "outcome", json!({"status": "Executed"}), 200),
        (post.clone(), "withdraw", json!({}), 409),
    ] {
        let path = format!("/api/agent/{function}/{{id}}");
        for (id, token, status) in [
            (id, &*token, status),
            ("YQ.b", &*token, 404),
            (id, "another", 403),
        ] {
            let answer = call(method.clone(), &path, id, token, body.clone()).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            if status == 200 {
                document.check_proofs(&answer.json());
            }
        }
    }
    let invalid = call(post, submit, "", &token, json!({})).await;
    assert_eq!(invalid.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn responses_after_sign_in_match_the_document() {
    let described = Described::start(&sign_in::ON).await;
    let (gate, document) = (&described.gate, &described.document);
    let path = "/api/decision/{id}";
    let id = described.submit(&body()).await;
    let unknown = visit(gate, &id, &[]).await;
    assert_eq!(unknown.status, StatusCode::FORBIDDEN);
    document.check(&Method::GET, path, &unknown);

    let session = SignIn::session(&alice());
    let session = [("cookie", session.as_str())];
    let page = visit(gate, &id, &session).await;
    document.check(&Method::GET, path, &page);
    for (headers, status) in [(&session[..], 200), (&[], 403)] {
        let call = gate.http.get(format!("{}/api/requests", gate.url));
        let call = headers
            .iter()
            .fold(call, |call, (name, value)| call.header(*name, *value));
        let listed = Page::of(call.send().await.unwrap()).await;
        assert_eq!(listed.status, status, "{}", listed.body);
        document.check(&Method::GET, "/api/requests", &listed);
    }
    let answer = send(gate, &id, &session, &approving(&page)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    document.check(&Method::POST, path, &answer);
    let decided = described.get("status", &id).await.json();
    assert!(decided["receipt"].is_string(), "{decided}");
    document.check_proofs(&decided);
}

/// The maximum length of a text schema.
fn max_length(schema: &Value) -> usize {
    number(&schema["maxLength"])
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

/// The minimum and maximum length that a pattern such as `^[a-z]{16,64}$` allows.
fn pattern_lengths(schema: &Value) -> (usize, usize) {
    let pattern = schema["pattern"].as_str().unwrap();
    let (_, counts) = pattern.rsplit_once('{').unwrap();
    let counts = counts.strip_suffix("}$").unwrap();
    let (least, most) = counts.split_once(',').unwrap_or((counts, counts));
    (least.parse().unwrap(), most.parse().unwrap())
}

/// An email address of `length` characters.
fn address(length: usize) -> String {
    let domain = (0..length - 65).map(|at| if at % 64 == 63 { '.' } else { 'a' });
    format!("{}@{}", "a".repeat(64), domain.collect::<String>())
}

/// A text of the maximum length of a schema, and one that is a character longer.
fn texts(of: &str, schema: &Value) -> (Value, Value) {
    let longest = max_length(schema);
    (json!(of.repeat(longest)), json!(of.repeat(longest + 1)))
}

#[tokio::test]
async fn each_documented_limit_of_submit_is_enforced() {
    let described = Described::start(&[]).await;
    let document = &described.document;
    let at = |name: &str| document.at(&format!("/components/schemas/{name}"));
    let new = |member: &str| &at("NewApproval")["properties"][member];

    let approvers = |count: usize| -> Value {
        let count = 0..count;
        count.map(|at| format!("a{at}@example.com")).collect()
    };
    let (few, many) = ["minItems", "maxItems"]
        .map(|limit| number(&new("approverEmails")[limit]))
        .into();
    let (short, long) = ["minimum", "maximum"]
        .map(|limit| number(&new("timeoutSeconds")[limit]))
        .into();
    let far = max_length(at("NewAddress"));
    let name = pattern_lengths(at("CorrelationId")).1;
    let bytes = number(&at("AgentName")["x-max-bytes"]);
    let large = number(&new("parameters")["x-max-canonical-bytes"]) - r#"{"x":""}"#.len();
    let text = |member, unit, schema| {
        let (good, bad) = texts(unit, schema);
        (member, good, bad)
    };
    let a = |length: usize| json!("a".repeat(length));
    let mut cases = vec![
        text("agentName", "a", at("AgentName")),
        ("agentName", json!("a"), json!(" a")),
        ("agentName", json!("a  b"), json!("a ")),
        ("agentName", json!("a b"), json!("a\nb")),
        ("agentName", json!("👩"), json!("a\u{202e}b")),
        ("agentName", json!("é"), json!("e\u{200d}")),
        ("agentName", json!("東京"), json!("a\u{a0}b")),
        text("actionDescription", "ж", at("ActionDescription")),
        ("actionDescription", json!("a"), json!("")),
        text("reason", "ж", new("reason")),
        ("reason", json!("\t\r\n"), json!("\u{7f}")),
        ("correlationId", a(name), a(name + 1)),
        ("correlationId", json!("A-Z._0"), json!("")),
        ("claimant", json!("Fa".repeat(32)), json!("fa".repeat(31))),
        ("onBehalfOf", json!(address(far)), json!(address(far + 1))),
        (
            "onBehalfOf",
            json!("a+b@example.com"),
            json!("a%b@example.com"),
        ),
        ("agentName", json!("a:b//c"), json!("a://b")),
        (
            "approverEmails",
            json!([address(far)]),
            json!([address(far + 1)]),
        ),
        ("approverEmails", approvers(few), approvers(few - 1)),
        ("approverEmails", approvers(many), approvers(many + 1)),
        ("timeoutSeconds", json!(short), json!(short - 1)),
        ("timeoutSeconds", json!(long), json!(long + 1)),
    ];
    // An optional member may be null.
    for member in [
        "correlationId",
        "timeoutSeconds",
        "reason",
        "onBehalfOf",
        "claimant",
    ] {
        cases.push((member, json!(null), json!([])));
    }
    // Limits in bytes, which a schema cannot express and the document states in words.
    let e = |bytes: usize| json!("é".repeat(bytes / 2));
    let x = |length: usize| json!({"x": "x".repeat(length)});
    let in_words = [
        ("agentName", e(bytes), e(bytes + 2)),
        ("parameters", x(large), x(large + 1)),
    ];
    let cases = cases.into_iter().map(|case| (case, false));
    for ((member, good, bad), stated_in_words) in cases.chain(in_words.map(|case| (case, true))) {
        let good = with(body(), member, good);
        described.submit(&good).await;
        assert_eq!(document.faults("NewApproval", &good), None, "{member}");

        let bad = with(body(), member, bad);
        let answer = described.post("submit", "", bad.clone()).await;
        assert_eq!(answer.status, 422, "{member}: {bad}");
        let problem = answer.json();
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with(&format!("/{member}")), "{problem}");
        let allowed = document.faults("NewApproval", &bad).is_none();
        assert_eq!(allowed, stated_in_words, "{member}: {bad}");
    }
}

#[tokio::test]
async fn each_documented_limit_of_the_other_functions_is_enforced() {
    let described = Described::start(&[]).await;
    let document = &described.document;
    let at = |name: &str| document.at(&format!("/components/schemas/{name}"));
    let (secret, too_long) = texts("ж", at("Secret"));
    let digest = sha256(secret.as_str().unwrap().as_bytes());
    let guarded = with(body(), "claimant", json!(hex(&digest)));
    let guarded = described.submit(&guarded).await;
    let pending = described.submit(&body()).await;

    let nonce = |length: usize| json!({"nonce": "a".repeat(length)});
    let (least, most) = pattern_lengths(&at("Claim")["properties"]["nonce"]);
    let (error, long_error) = texts("ж", &at("Report")["properties"]["error"]);
    let failed = |error: Value| json!({"status": "ExecutionFailed", "error": error});
    let executed = |error: &str| json!({"status": "Executed", "error": error});
    let by = |secret: Value| json!({"secret": secret});
    // The request is not approved: a valid claim or report is accepted as well-formed, and then refused.
    for (schema, id, good, status, bad) in [
        ("Claim", &pending, nonce(least), 409, nonce(least - 1)),
        ("Claim", &pending, nonce(most), 409, nonce(most + 1)),
        ("Report", &pending, failed(error), 409, failed(long_error)),
        ("Report", &pending, executed(""), 409, executed("e")),
        ("Withdrawal", &guarded, by(secret), 200, by(too_long)),
    ] {
        let function = match schema {
            "Claim" => "claim",
            "Report" => "outcome",
            _ => "withdraw",
        };
        let answer = described.post(function, id, bad.clone()).await;
        assert_eq!(answer.status, 422, "{function}: {bad}");
        assert!(document.faults(schema, &bad).is_some(), "{function}: {bad}");
        let answer = described.post(function, id, good.clone()).await;
        assert_eq!(answer.status, status, "{function}: {good}");
        assert_eq!(document.faults(schema, &good), None, "{function}");
    }

    for function in ["submit", "claim", "outcome", "withdraw"] {
        let (path, id) = match function {
            "submit" => ("~1api~1submit".to_owned(), ""),
            _ => (format!("~1api~1{function}~1{{id}}"), pending.as_str()),
        };
        let sent = document.at(&format!("/paths/{path}/post/requestBody"));
        let limit = number(&sent["x-max-bytes"]);
        for (length, status) in [(limit, 422), (limit + 1, 413)] {
            let padded = format!(r#"{}{{"x":1}}"#, " ".repeat(length - 7));
            let answer = described.call(Method::POST, function, id, padded).await;
            assert_eq!(answer.status, status, "{function}: {length}");
        }
    }

    let wait = document.at("/components/parameters/Wait/schema");
    let (least, most) = (number(&wait["minimum"]), number(&wait["maximum"]));
    for (wait, status) in [(least - 1, 400), (least, 200), (most, 200), (most + 1, 400)] {
        // The request is withdrawn, so the call returns at once.
        let function = format!("status?wait={wait}");
        let answer = described.get(&function, &guarded).await;
        assert_eq!(answer.status, status, "{wait}");
    }
}
