//! The vectors in `conformance/`, which the clients' own tests read too, against the gate.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{TestGate, request};

fn vectors(text: &str, list: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(text).unwrap();
    vectors[list].as_array().unwrap().clone()
}

/// The body of a request with these parameters, as they are spelled.
fn body(parameters: &[u8]) -> Vec<u8> {
    let mut body = serde_json::to_value(request()).unwrap();
    let members = body.as_object_mut().unwrap();
    members.remove("parameters");
    members.remove("correlationId");
    let rest = body.to_string();
    [b"{\"parameters\":", parameters, b",", &rest.as_bytes()[1..]].concat()
}

#[tokio::test]
async fn the_gate_computes_the_digests_of_the_vectors() {
    let gate = TestGate::start().await;
    let accepted = vectors(
        include_str!("../../conformance/parameters.json"),
        "accepted",
    );
    for case in &accepted {
        let parameters = case["json"].as_str().unwrap();
        let answer = gate.post("/api/submit", body(parameters.as_bytes())).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{case}");
        assert_eq!(answer.json()["parametersDigest"], case["digest"], "{case}");
    }
    assert_eq!(gate.stored().await.len(), accepted.len());
}

/// A value of a change, with its long texts written out.
fn written_out(value: &Value) -> Value {
    match value {
        Value::Object(members) => match members.get("times").and_then(Value::as_u64) {
            Some(times) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str);
                let repeated = text("text").unwrap().repeat(times as usize);
                Value::String(repeated + text("end").unwrap_or_default())
            }
            None => {
                let written = |(name, value): (&String, &Value)| (name.clone(), written_out(value));
                members.iter().map(written).collect()
            }
        },
        Value::Array(items) => items.iter().map(written_out).collect(),
        other => other.clone(),
    }
}

/// The mocks of the clients refuse the same.
#[tokio::test]
async fn the_gate_takes_and_refuses_the_requests_of_the_vectors() {
    let gate = TestGate::start().await;
    let text = include_str!("../../conformance/requests.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let [accepted, refused] = ["accepted", "refused"].map(|list| vectors(text, list));
    for case in accepted.iter().chain(&refused) {
        let mut body = file["request"].clone();
        let change = written_out(&case["change"]);
        let change = change.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(change);
        let answer = gate.post("/api/submit", body.to_string()).await;
        let Some(pointers) = case["pointers"].as_array() else {
            assert_eq!(
                answer.status,
                StatusCode::ACCEPTED,
                "{case}: {}",
                answer.body
            );
            continue;
        };
        let expected = match pointers.is_empty() {
            true => StatusCode::BAD_REQUEST, // not read as a request at all
            false => StatusCode::UNPROCESSABLE_ENTITY,
        };
        assert_eq!(answer.status, expected, "{case}");
        let problem = answer.json();
        let errors = problem["errors"].as_array().into_iter().flatten();
        let named: BTreeSet<&str> = errors.filter_map(|it| it["pointer"].as_str()).collect();
        let pointers = pointers.iter().filter_map(Value::as_str).collect();
        assert_eq!(named, pointers, "{case}: {problem}");
    }
    assert_eq!(gate.stored().await.len(), accepted.len());
}

#[tokio::test]
async fn the_gate_refuses_the_refused_vectors() {
    let gate = TestGate::start().await;
    let texts = vectors(
        include_str!("../../conformance/strict-json.json"),
        "refused",
    );
    let parameters = vectors(include_str!("../../conformance/parameters.json"), "refused");
    for case in texts.iter().chain(&parameters) {
        let text = match case["json"].as_str() {
            Some(text) => text.as_bytes().to_owned(),
            None => bytes(case["hex"].as_str().unwrap()),
        };
        let answer = gate.post("/api/submit", body(&text)).await;
        let expected = match case["error"].as_str().unwrap() {
            "not-an-object" | "inexact-number" | "reserved-name" => 422,
            _ => 400,
        };
        assert_eq!(answer.status.as_u16(), expected, "{case}");
    }
    assert!(gate.stored().await.is_empty());
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_table_has_each_scenario_and_each_client() {
    let table = include_str!("../../conformance/table.md");
    let clients: Value =
        serde_json::from_str(include_str!("../../conformance/clients.json")).unwrap();
    let clients: Vec<&str> = clients
        .as_object()
        .unwrap()
        .keys()
        .map(|it| &**it)
        .collect();
    let scenarios = vectors(
        include_str!("../../conformance/scenarios.json"),
        "scenarios",
    );
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows[0], format!("| scenario | {} |", clients.join(" | ")));
    assert_eq!(rows.len(), scenarios.len() + 2);
    for (scenario, row) in scenarios.iter().zip(&rows[2..]) {
        let name = scenario["name"].as_str().unwrap();
        let cells: Vec<&str> = row.split(" | ").skip(1).collect();
        assert!(row.starts_with(&format!("| {name} |")), "{row}");
        assert_eq!(cells.len(), clients.len(), "{row}");
        // A client may have no identities.
        let is_ok = |cell: &&str| ["ok", "-"].contains(&cell.trim_end_matches(" |"));
        assert!(cells.iter().all(is_ok), "{row}");
    }
}
