//! `human-oversight policy`: the binary as a process.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::deadline::blocking_within;
use crate::harness::repository;

const BINARY: &str = env!("CARGO_BIN_EXE_human-oversight");

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    command
        .arg("policy")
        .args(arguments)
        .current_dir(repository());
    command.env_clear().envs(settings.iter().copied());
    blocking_within(move || command.output()).unwrap()
}

/// The exit code, the output and the errors.
fn outcome(arguments: &[&str]) -> (i32, String, String) {
    let output = run(arguments, &[]);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

pub(super) fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_ready_policies_load_without_warning_and_have_the_outcomes_of_their_examples() {
    let mut count = 0;
    for entry in std::fs::read_dir(repository().join("examples/policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        count += 1;
        let policy = path.to_str().unwrap();
        let (code, output, errors) = outcome(&["check", policy, "--strict"]);
        assert_eq!(code, 0, "{policy}: {output}{errors}");
        let examples = path.with_extension("examples.json");
        let (code, output, errors) =
            outcome(&["test", policy, "--examples", examples.to_str().unwrap()]);
        assert_eq!(code, 0, "{policy}: {output}{errors}");
        assert!(
            include_str!("../../../docs/policy.md")
                .contains(path.file_name().unwrap().to_str().unwrap())
        );
    }
    assert_eq!(count, 10);
}

#[test]
fn a_policy_with_faults_ends_the_check_with_2_and_one_line_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(
        dir.path(),
        "bad.toml",
        "version = 1\n[[rule]]\nid = \"r\"\nefect = \"deny\"\neffect = \"deni\"\n",
    );
    let (code, output, errors) = outcome(&["check", &file]);
    assert_eq!((code, output.as_str()), (2, ""));
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(
        lines,
        [
            format!("{file}:4: rule `r` has an unknown member `efect`: perhaps `effect`"),
            format!("{file}:5: `effect` must be \"approve\" or \"deny\" or \"require\""),
        ]
    );
    let (code, output, _) = outcome(&["check", &file, "--json"]);
    let result: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &result["faults"][0]["line"]), (2, &json!(4)));
    let (code, ..) = outcome(&["test", &file, "--request", "/none"]);
    assert_eq!(code, 2);
    let (code, _, errors) = outcome(&["check", "/none.toml"]);
    assert_eq!(code, 2);
    assert!(
        errors.contains("human-oversight cannot check the policy: /none.toml cannot be read"),
        "{errors}"
    );
}

#[test]
fn warnings_end_a_strict_check_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let text = "version = 1\n[groups]\na = [\"a@example.com\"]\n";
    let file = write(dir.path(), "warned.toml", text);
    let (code, output, _) = outcome(&["check", &file]);
    assert_eq!(code, 0);
    assert!(
        output.ends_with(&format!("{file}:3: warning: group `a` is in no rule\n")),
        "{output}"
    );
    assert_eq!(outcome(&["check", &file, "--strict"]).0, 1);
    let (code, output, _) = outcome(&["check", &file, "--strict", "--json"]);
    let result: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (code, &result["warnings"][0]["line"], &result["faults"]),
        (1, &json!(3), &json!([]))
    );
    let digest = human_oversight_protocol::parameters::sha256(text.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(result["digest"], digest);
}

#[test]
fn a_check_with_the_settings_is_as_strict_as_the_start_of_the_gate() {
    let policy = repository().join("examples/policies/access-grants.toml");
    let policy = policy.to_str().unwrap();
    let code = |settings: &[_]| {
        run(&["check", policy, "--settings"], settings)
            .status
            .code()
            .unwrap()
    };
    assert_eq!(code(&[]), 2, "sign-in is not set up");
    let entra = ("HO_IDENTITY", "entra");
    assert_eq!(code(&[entra]), 0);
    assert_eq!(code(&[entra, ("HO_ALLOWED_APPROVERS", "*@example.com")]), 0);
    assert_eq!(code(&[entra, ("HO_ALLOWED_APPROVERS", "*@example.org")]), 2);
    for unusable in [
        ("HO_ALLOWED_APPROVERS", "topsecret"),
        ("HO_REQUIRE_ENTRA_FOR", "Delete *"),
        ("HO_AGENT_KEYS", "topsecret"),
        ("HO_LOCAL", "topsecret"),
    ] {
        let output = run(&["check", policy, "--settings"], &[entra, unusable]);
        let error = String::from_utf8(output.stderr).unwrap();
        let words = format!("{} cannot be used: ", unusable.0);
        assert!(
            output.status.code() == Some(2) && error.contains(&words),
            "{error}"
        );
        assert!(!error.contains("topsecret"), "{error}");
    }
    let refunds = repository().join("examples/policies/refunds.toml");
    let refunds = refunds.to_str().unwrap();
    let code = |settings: &[_]| {
        run(&["check", refunds, "--settings"], settings)
            .status
            .code()
            .unwrap()
    };
    let keys = format!("{}=RefundAgent", "0".repeat(64));
    assert_eq!(code(&[]), 2, "names are not bound");
    assert_eq!(code(&[("HO_AGENT_KEYS", &keys)]), 0);
    assert_eq!(code(&[("HO_LOCAL", "1")]), 0);

    // Settings that were copied to a machine without the host count as those of a gate behind it.
    for place in ["docs/policy.md", "docs/command-line.md"] {
        let words = std::fs::read_to_string(repository().join(place)).unwrap();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_said = words.contains("as those of a gate behind the Functions host");
        assert!(is_said, "{place}");
    }
}

#[test]
fn a_test_says_what_would_happen_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let request = json!({
        "agentName": "RefundAgent", "actionDescription": "Refund order 123456",
        "parameters": {"amount": 501, "currency": "EUR", "order": "123456"},
    });
    let request = write(dir.path(), "request.json", &request.to_string());
    let policy = "examples/policies/refunds.toml";
    let (code, output, errors) = outcome(&["test", policy, "--request", &request]);
    assert_eq!(code, 0, "{errors}");
    let page = include_str!("../../../docs/policy.md");
    let shown = page
        .split("```text\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(output, shown, "as docs/policy.md shows it");

    let (code, output, _) = outcome(&["test", policy, "--request", &request, "--json"]);
    let result: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &result["outcome"]), (0, &json!("require")));
    assert_eq!(
        result["rules"][1]["facts"][1],
        "/amount is 501, more than 500"
    );
    assert_eq!(
        result["requirement"]["stages"],
        json!([["1 support"], ["1 finance"]])
    );
    assert_eq!(result["requirement"]["comment"], "on-reject");
    assert_eq!(result["explanations"][0]["matches"], "no");
    assert_eq!(result["refused"], Value::Null);
}

#[test]
fn a_request_that_the_gate_would_refuse_ends_a_test_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let text = "version = 1\n[groups]\na = [\"x@example.com\", \"y@example.com\"]\n[[rule]]\nid = \"r\"\neffect = \"require\"\n\
                stages = [{ from = \"a\", approvals = 2 }]\n";
    let policy = write(dir.path(), "policy.toml", text);
    let test = |request: &Value| {
        let request = write(dir.path(), "request.json", &request.to_string());
        outcome(&["test", &policy, "--request", &request])
    };
    let mut request = json!({
        "agentName": "A", "actionDescription": "act", "parameters": {}, "onBehalfOf": "X@example.com",
        "reason": "x", "correlationId": "1", "timeoutSeconds": 60
    });
    let (code, output, _) = test(&request);
    assert_eq!(code, 1);
    assert!(
        output.contains("refused (quorum_unsatisfiable): stage 1 needs 2 of group a, and 1 can"),
        "{output}"
    );
    request["onBehalfOf"] = json!("z@example.com");
    assert_eq!(test(&request).0, 0);
    let callback = json!({"channel": "agent", "state": "y"});
    let mut with_callback = request.clone();
    with_callback["callback"] = callback;
    let (code, output, _) = test(&with_callback);
    let refused =
        "refused (validation): /callback/channel is no channel that the policy lets this agent";
    assert!(code == 1 && output.contains(refused), "{output}");
    let channel = |agents: &str| {
        let channel = "[channels.agent]\nkind = \"webhook\"\nurl = \"HO_CHANNEL_AGENT\"\n";
        let policy = format!("{text}{channel}callback_for = [\"{agents}\"]\n");
        write(dir.path(), "channel.toml", &policy)
    };
    for (agents, expected) in [("A", 0), ("B", 1)] {
        let (policy, request) = (channel(agents), with_callback.to_string());
        let request = write(dir.path(), "request.json", &request);
        let (code, output, _) = outcome(&["test", &policy, "--request", &request]);
        assert_eq!(code, expected, "{agents}: {output}");
    }
    for (name, value) in [
        ("onBehalfOf", json!("x")),
        ("approver", json!("x")),
        ("parameters", json!([])),
        ("actionDescription", json!("two\nlines")),
        ("agentName", json!("")),
        ("timeoutSeconds", json!(1)),
        ("approverEmails", json!([])),
        ("approverEmails", json!(["z@example.com"])),
        ("supersedes", json!(1)),
        ("reason", json!("x".repeat(2_001))),
    ] {
        let mut request = request.clone();
        request[name] = value;
        let (code, _, errors) = test(&request);
        assert_eq!(code, 2, "{name}: {errors}");
        assert!(errors.contains("request.json is no request"), "{errors}");
    }
    let twice = write(
        dir.path(),
        "twice.json",
        "{\"agentName\": \"A\", \"agentName\": \"B\"}",
    );
    assert_eq!(outcome(&["test", &policy, "--request", &twice]).0, 2);
}

#[test]
fn a_request_without_approvers_that_the_policy_leaves_to_them_ends_a_test_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let by_requested =
        "[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{ from = \"requested\" }]\n";
    for (rules, word) in [("", "requester: "), (by_requested, "require: ")] {
        let policy = write(dir.path(), "policy.toml", &format!("version = 1\n{rules}"));
        let test = |request: &Value| {
            let request = write(dir.path(), "request.json", &request.to_string());
            outcome(&["test", &policy, "--request", &request])
        };
        let mut request = json!({"agentName": "A", "actionDescription": "act", "parameters": {}});
        let (code, output, _) = test(&request);
        assert!(output.starts_with(word), "{output}");
        let refused = "refused (validation): /approverEmails is missing";
        assert!(code == 1 && output.contains(refused), "{output}");
        request["approverEmails"] = json!(["z@example.com"]);
        let (code, output, _) = test(&request);
        assert_eq!(code, 0, "{output}");
    }
}

#[test]
fn an_example_with_another_outcome_ends_a_test_with_1_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let examples = json!([{
        "name": "all refunds are denied",
        "request": {"agentName": "RefundAgent", "actionDescription": "Refund a", "parameters": {"amount": 60}},
        "outcome": "deny", "rules": ["refund"], "stages": [["1 finance"]]
    }]);
    let file = write(dir.path(), "examples.json", &examples.to_string());
    let arguments = [
        "test",
        "examples/policies/refunds.toml",
        "--examples",
        &file,
    ];
    let (code, output, _) = outcome(&arguments);
    assert_eq!(code, 1);
    assert_eq!(
        output.lines().collect::<Vec<_>>(),
        [
            "all refunds are denied: the outcome should be \"deny\", and is \"require\"",
            "all refunds are denied: the stages should be [[\"1 finance\"]], and is [[\"1 support\"]]",
            "1 examples, 2 differences.",
        ]
    );
}

/// A test with the settings refuses what the gate would, and gives the same time to decide.
#[test]
fn a_test_with_the_settings_agrees_with_the_gate() {
    let dir = tempfile::tempdir().unwrap();
    let text = "version = 1\n[groups]\nf = [\"maria@example.com\"]\ns = [\"ines@example.com\"]\n[[rule]]\nid = \"pay\"\n\
                actions = [\"Pay *\"]\neffect = \"require\"\nstages = [{ from = \"f\" }, { from = \"s\" }]\n\
                not_before = \"15s\"\n";
    let policy = write(dir.path(), "policy.toml", text);
    let test = |request: &Value, settings: &[(&str, &str)]| {
        let request = write(dir.path(), "request.json", &request.to_string());
        let output = run(
            &["test", &policy, "--request", &request, "--settings"],
            settings,
        );
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), said)
    };
    let mut request = json!({"agentName": "A", "actionDescription": "Pay x", "parameters": {}});
    assert_eq!(test(&request, &[]).0, 0);
    let (code, said) = test(&request, &[("HO_DEFAULT_TIMEOUT", "20")]);
    assert!(
        code == 1 && said.contains("refused (quorum_unsatisfiable)"),
        "{said}"
    );
    let (code, said) = test(&request, &[("HO_DEFAULT_TIMEOUT", "soon")]);
    assert!(
        code == 2 && said.contains("HO_DEFAULT_TIMEOUT cannot be used"),
        "{said}"
    );
    request["timeoutSeconds"] = json!(60);
    assert_eq!(test(&request, &[("HO_DEFAULT_TIMEOUT", "20")]).0, 0);

    let list = ("HO_ALLOWED_APPROVERS", "maria@example.com,ines@example.com");
    request["approverEmails"] = json!(["maria@example.com"]);
    assert_eq!(test(&request, &[list]).0, 0);
    request["approverEmails"] = json!(["zed@example.com"]);
    assert_eq!(test(&request, &[]).0, 0);
    let refused = "refused (validation): /approverEmails/0 is not on the operator's list";
    for action in ["Pay x", "Something else"] {
        request["actionDescription"] = json!(action);
        let (code, said) = test(&request, &[list]);
        assert!(code == 1 && said.contains(refused), "{said}");
    }
    let example = json!([{"name": "unlisted", "request": request, "outcome": "refused"}]);
    let examples = write(dir.path(), "examples.json", &example.to_string());
    let arguments = ["test", &policy, "--examples", &examples, "--settings"];
    assert_eq!(run(&arguments, &[list]).status.code(), Some(0));
    assert_eq!(run(&arguments, &[]).status.code(), Some(1));
}
