//! The vectors of `conformance/`, as the example agents verify them.

use std::path::Path;
use std::process::Stdio;

use human_oversight_protocol::parameters::{Parameters, hex, sha256};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::compiled;
use crate::deadline::within;
use crate::harness::repository;

/// By how many seconds the clocks of agent and gate may differ.
const LEEWAY: i64 = 60;

/// Answers for each case whether the agent takes it.
const PYTHON: &str = "
import json, runpy, sys, time
agent = runpy.run_path(sys.argv[1])
def takes(case):
    time.time = lambda: case['now']
    try:
        agent['prove'](case['jws'], case['kind'], case['published'], case['expected'])
        return True
    except agent['Refused']:
        return False
print(json.dumps([takes(case) for case in json.load(sys.stdin)]))
";

/// What is put behind the agent's functions, in the place of its call.
const NODE: &str = r#"
const takes = ({ now, jws, kind, published, expected }) => {
  Date.now = () => now * 1000;
  try {
    prove(jws, kind, published, expected);
    return true;
  } catch {
    return false;
  }
};
console.log(JSON.stringify(JSON.parse(require("node:fs").readFileSync(0, "utf8")).map(takes)));
"#;

struct Vector {
    name: String,
    is_good: bool,
    case: Value,
}

/// The vectors of receipts and permits without those whose result depends on another leeway.
fn vectors() -> Vec<Vector> {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let receipts = read(include_str!("../../../conformance/receipts.json"));
    let es256 = read(include_str!("../../../conformance/es256.json"));
    let keys = read(include_str!("../../../conformance/keys.json"));
    let permits = read(include_str!("../../../conformance/permits.json"));
    let digest = |case: &Value| {
        let parameters: Map<String, Value> = case["parameters"].as_object().unwrap().clone();
        hex(&Parameters::new(&parameters).unwrap().digest())
    };
    let vector = |case: &Value, good: &str, rest: Value| Vector {
        name: case["name"].as_str().unwrap().to_owned(),
        is_good: case["result"] == good,
        case: rest,
    };
    let receipt = |keys: &Value, case: &Value| {
        let published = json!({"keys": keys["keys"], "issuers": ["https://gate.example.com"]});
        let expected = json!({
            "aud": case["agent"], "actionDescription": case["action"],
            "parametersDigest": digest(case), "decision": "Approved",
        });
        let rest = json!({
            "kind": "receipt", "jws": case["receipt"], "now": case["now"],
            "published": published, "expected": expected,
        });
        vector(case, "permitted", rest)
    };
    let of_receipts = receipts["cases"].as_array().unwrap().iter();
    let of_receipts = of_receipts
        .filter(|case| case["result"] != "lapsed")
        .map(|case| receipt(&receipts["keys"], case));
    let of_keys = [&es256, &keys].into_iter().flat_map(|file| {
        let cases = file["receipts"].as_array().unwrap().iter();
        cases.map(|case| receipt(&file["keys"], case))
    });
    let of_permits = permits["cases"].as_array().unwrap().iter();
    let of_permits = of_permits
        .filter(|case| case["leeway"] == LEEWAY && !case["claimant"].is_null())
        .map(|case| {
            let published = json!({"keys": permits["keys"]["keys"], "issuers": case["issuers"]});
            let receipt = case["receipt"].as_str().unwrap();
            let expected = json!({
                "sub": case["id"], "aud": case["agent"], "jti": case["nonce"],
                "claimant": case["claimant"], "parametersDigest": digest(case),
                "receiptDigest": hex(&sha256(receipt.as_bytes())),
            });
            let rest = json!({
                "kind": "permit", "jws": case["permit"], "now": case["now"],
                "published": published, "expected": expected,
            });
            vector(case, "granted", rest)
        });
    of_receipts.chain(of_keys).chain(of_permits).collect()
}

/// The names of the vectors that the program judges otherwise.
async fn judged_otherwise(command: &mut Command, vectors: &[Vector]) -> Vec<String> {
    let mut process = command
        .env("HO_URL", "http://127.0.0.1:1")
        .env("APPROVER_EMAILS", "alice@example.com")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let cases: Vec<&Value> = vectors.iter().map(|vector| &vector.case).collect();
    let cases = serde_json::to_vec(&cases).unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(&cases).await.unwrap();
    drop(stdin);
    let output = within(process.wait_with_output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let taken: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(taken.len(), vectors.len());
    let otherwise = vectors.iter().zip(taken);
    let otherwise = otherwise.filter(|(vector, taken)| vector.is_good != *taken);
    otherwise.map(|(vector, _)| vector.name.clone()).collect()
}

#[tokio::test]
async fn the_agents_take_exactly_the_receipts_and_permits_that_the_vectors_do() {
    let vectors = vectors();
    assert!(vectors.len() > 80, "{}", vectors.len());
    let mut python = Command::new("python3");
    python
        .args(["-c", PYTHON])
        .arg(repository().join("examples/http/agent.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let found = judged_otherwise(&mut python, &vectors).await;
    assert_eq!(found, Vec::<String>::new(), "Python");

    let agent = std::fs::read_to_string(compiled().await.join("agent.js")).unwrap();
    let (functions, _) = agent.split_once("\ngated(\"UserManagerAgent\"").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script: &Path = &folder.path().join("vectors.cjs");
    std::fs::write(script, format!("{functions}{NODE}")).unwrap();
    let mut node = Command::new("node");
    node.arg(script);
    let found = judged_otherwise(&mut node, &vectors).await;
    assert_eq!(found, Vec::<String>::new(), "TypeScript");
}
