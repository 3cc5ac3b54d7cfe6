//! `human-oversight reconcile`: what really happened, held against what was approved and claimed.

mod coverage;
mod year;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use human_oversight_client::Outcome;
use serde_json::{Value, json};

use crate::backing_store;
use crate::claim::{NONCE, claim};
use crate::deadline::within;
use crate::harness::{ALICE, TestGate, object, repository, request};
use crate::outcome::report;
use crate::process::{binary, run};
use crate::report::kinds_in;

const ACTION: &str = "Delete User Account";

/// A directory of users, which logs each deletion, also those that no one approved.
struct Directory<'a> {
    gate: &'a TestGate,
    log: Mutex<Vec<Value>>,
}

impl<'a> Directory<'a> {
    fn new(gate: &'a TestGate) -> Self {
        let log = Mutex::default();
        Self { gate, log }
    }

    fn delete(&self, user: &str) {
        let (at, parameters) = (self.gate.now().to_string(), json!({"user_id": user}));
        let entry = json!({"at": at, "action": ACTION, "parameters": parameters, "id": format!("log-{user}")});
        self.log.lock().unwrap().push(entry);
    }

    fn write(&self, name: &str) -> String {
        let log = self.log.lock().unwrap();
        let lines: String = log.iter().map(|entry| format!("{entry}\n")).collect();
        write(self.gate.dir.path(), name, &lines)
    }
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Deletes a user through the gate, as its agent does.
async fn delete_approved(gate: &TestGate, directory: &Directory<'_>, user: &str) -> String {
    let action = gate.gate().action(ACTION);
    let parameters = json!({"user_id": user});
    let pending = action.submit(&parameters).await.unwrap();
    let approval = pending.approval().unwrap().clone();
    gate.approve(&approval, ALICE).await;
    let outcome = pending.run(&parameters, async |_| directory.delete(user));
    assert!(matches!(outcome.await, Outcome::Executed(())));
    approval.id
}

/// The same by the clock of the gate, which the agent's does not agree with.
async fn delete_at_the_gates_time(
    gate: &TestGate,
    directory: &Directory<'_>,
    user: &str,
) -> String {
    let mut new = request();
    new.action_description = ACTION.to_owned();
    new.parameters = object(json!({"user_id": user}));
    let approval = gate.client.submit(&new).await.unwrap();
    gate.approve(&approval, ALICE).await;
    let claimed = gate.client.claim(&approval.id, &claim(NONCE)).await;
    claimed.unwrap();
    directory.delete(user);
    let reported = gate.client.outcome(&approval.id, &report(None)).await;
    reported.unwrap();
    approval.id
}

async fn reconcile(gate: &TestGate, more: &[&str]) -> (String, i32) {
    let settings = backing_store::settings(gate.dir.path());
    let until = gate.now() + std::time::Duration::from_secs(86_400);
    let until = until.to_string();
    let arguments = [&["reconcile", "--until", &until], more].concat();
    run(&backing_store::borrowed(&settings), &arguments).await
}

/// Compares the actions with the approvals of a time; returns the parsed output and the exit code.
async fn reconcile_time(gate: &TestGate, actions: &str, time: &[&str]) -> (Value, i32) {
    let settings = backing_store::settings(gate.dir.path());
    let arguments = [&["reconcile", "--json", "--actions", actions], time].concat();
    let (said, code) = run(&backing_store::borrowed(&settings), &arguments).await;
    let found = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    (found, code)
}

/// The mismatches and counts of the output as JSON.
fn parse(said: &str) -> (Vec<Value>, Value) {
    let found: Value = serde_json::from_str(said).unwrap_or_else(|_| panic!("{said}"));
    (
        found["mismatches"].as_array().unwrap().clone(),
        found["counts"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_second_credential_is_found_by_what_it_deleted_around_the_gate() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    directory.delete("1");
    delete_approved(&gate, &directory, "2").await;
    directory.delete("3");
    let actions = directory.write("actions.jsonl");

    let (said, code) = reconcile(&gate, &["--actions", &actions, "--json"]).await;
    assert_eq!(code, 1, "{said}");
    let (mismatches, counts) = parse(&said);
    let named: Vec<_> = mismatches
        .iter()
        .map(|it| (&it["kind"], &it["id"], &it["line"]))
        .collect();
    let never = json!("neverApproved");
    assert_eq!(
        named,
        [
            (&never, &json!("log-1"), &json!(1)),
            (&never, &json!("log-3"), &json!(3))
        ]
    );
    assert_eq!(
        (&counts["matched"], &counts["neverApproved"]),
        (&json!(1), &json!(2))
    );

    let (said, _) = reconcile(&gate, &["--actions", &actions]).await;
    assert!(
        said.contains("executed, never approved: line 1 (log-1), Delete User Account, at "),
        "{said}"
    );
    // Nothing but the program's own words and what the log says.
    assert!(!said.contains("user_id"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_mismatch_names_the_line_and_the_approval() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    delete_approved(&gate, &directory, "1").await;
    let twice = delete_approved(&gate, &directory, "2").await;
    directory.delete("2");
    // Approved for 4, and 5 is deleted.
    let changed = delete_approved(&gate, &directory, "4").await;
    *directory
        .log
        .lock()
        .unwrap()
        .last_mut()
        .unwrap()
        .pointer_mut("/parameters/user_id")
        .unwrap() = json!("5");
    let actions = directory.write("actions.jsonl");
    let (said, code) = reconcile(&gate, &["--actions", &actions, "--json"]).await;
    assert_eq!(code, 1, "{said}");
    let (mismatches, counts) = parse(&said);
    let found: Vec<_> = mismatches
        .iter()
        .map(|it| (it["kind"].clone(), it["approval"].clone()))
        .collect();
    assert_eq!(
        found,
        [
            (json!("executedTwice"), json!(twice)),
            (json!("otherParameters"), json!(changed))
        ]
    );
    assert_eq!(mismatches[0]["firstLine"], 2);
    assert_eq!(counts["matched"], 2);

    // A log that lacks what was approved, from a backup and from the standard input's place.
    let backup = gate.dir.path().join("copy.jsonl");
    let backup = backup.to_str().unwrap();
    let settings = backing_store::settings(gate.dir.path());
    assert_eq!(
        run(&backing_store::borrowed(&settings), &["backup", backup])
            .await
            .1,
        0
    );
    let empty = write(gate.dir.path(), "empty.jsonl", "\n");
    let arguments = [
        "--actions",
        &empty,
        "--backup",
        backup,
        "--json",
        "--slack",
        "0",
    ];
    let (said, code) = reconcile(&gate, &arguments).await;
    assert_eq!(code, 1, "{said}");
    let (mismatches, counts) = parse(&said);
    assert_eq!(counts["neverExecuted"], 3);
    assert!(mismatches.iter().all(|it| it["kind"] == "neverExecuted"));
}

/// Each of two days is compared on its own, and an approval that is in both is judged in the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_crosses_midnight_is_judged_once() {
    let gate = TestGate::start().await;
    gate.back(std::time::Duration::from_secs(2 * 86_400));
    let directory = Directory::new(&gate);
    let id = delete_at_the_gates_time(&gate, &directory, "1").await;
    let second = std::time::Duration::from_secs(1);
    let (midnight, day) = (gate.now() + second, 86_400 * second);
    let times = [midnight - day, midnight, midnight + day].map(|it| it.to_string());
    let [before, midnight, after] = times.each_ref().map(String::as_str);
    let first = ["--since", before, "--until", midnight];
    let second = ["--since", midnight, "--until", after];
    let second_with_lines = [&second[..], &["--lines-since", before]].concat();

    // The log has the action: of the first day.
    let actions = directory.write("actions.jsonl");
    let (found, code) = reconcile_time(&gate, &actions, &first).await;
    assert_eq!((&found["counts"]["matched"], code), (&json!(1), 0));
    let (found, code) = reconcile_time(&gate, &actions, &second).await;
    let open = json!([{"kind": "beganBefore", "approval": id}]);
    assert_eq!((&found["unsettled"], code), (&open, 0), "{found}");
    let (found, code) = reconcile_time(&gate, &actions, &second_with_lines).await;
    assert_eq!((&found["unsettled"], code), (&json!([]), 0), "{found}");
    assert_eq!(found["counts"]["ignored"], 1);

    // Nothing is its action.
    let empty = write(gate.dir.path(), "empty.jsonl", "");
    let (found, code) = reconcile_time(&gate, &empty, &first).await;
    let open = json!([{"kind": "notOver", "approval": id}]);
    assert_eq!((&found["unsettled"], code), (&open, 0), "{found}");
    assert_eq!(found["counts"]["notOver"], 1);
    let (found, code) = reconcile_time(&gate, &empty, &second_with_lines).await;
    let missing = json!([{"kind": "neverExecuted", "approval": id}]);
    assert_eq!((&found["mismatches"], code), (&missing, 1), "{found}");

    // It ran before midnight and once more after.
    let mut again = directory.log.lock().unwrap()[0].clone();
    again["at"] = json!(midnight);
    directory.log.lock().unwrap().push(again);
    let actions = directory.write("actions.jsonl");
    let (found, code) = reconcile_time(&gate, &actions, &second_with_lines).await;
    assert_eq!(code, 1, "{found}");
    let twice = &found["mismatches"][0];
    assert_eq!(
        (
            &twice["kind"],
            &twice["line"],
            &twice["firstLine"],
            &twice["approval"]
        ),
        (&json!("executedTwice"), &json!(2), &json!(1), &json!(id))
    );

    // A day with nothing of it.
    let later = [
        "--since",
        after,
        "--until",
        "2100-01-01",
        "--lines-since",
        midnight,
    ];
    let (found, code) = reconcile_time(&gate, &empty, &later).await;
    assert_eq!((&found["unsettled"], code), (&json!([]), 0), "{found}");
    let wrong = [&first[..], &["--lines-since", after]].concat();
    let (said, code) = reconcile(
        &gate,
        &[&["--actions", &empty][..], &wrong[..2], &wrong[4..]].concat(),
    )
    .await;
    assert!(
        code == 2 && said.contains("--lines-since must be before --since"),
        "{said}"
    );
}

/// Lines of a time that has not ended may still come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_whose_time_still_runs_is_not_missed_by_a_run_for_the_whole_day() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    let running = delete_approved(&gate, &directory, "1").await;
    let empty = write(gate.dir.path(), "empty.jsonl", "");
    let tomorrow = (gate.now() + std::time::Duration::from_secs(86_400)).to_string();
    let day = ["--until", &tomorrow];
    let (found, code) = reconcile_time(&gate, &empty, &day).await;
    let open = json!([{"kind": "notOver", "approval": running}]);
    assert_eq!((&found["unsettled"], code), (&open, 0), "{found}");
    // Its action is found all the same, also where the log's clock is ahead.
    gate.pass(std::time::Duration::from_secs(60));
    directory.log.lock().unwrap().clear();
    directory.delete("1");
    directory.delete("2");
    let actions = directory.write("actions.jsonl");
    let (found, code) = reconcile_time(&gate, &actions, &day).await;
    assert_eq!((&found["counts"]["matched"], code), (&json!(1), 1));
    assert_eq!(found["counts"]["neverApproved"], 1);
}

/// The file is read by the report, whose example of it has the same header and the same kinds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_has_a_row_for_each_mismatch_and_counts_what_matched() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    delete_approved(&gate, &directory, "1").await;
    let twice = delete_approved(&gate, &directory, "2").await;
    directory.delete("2");
    let changed = delete_approved(&gate, &directory, "3").await;
    directory.log.lock().unwrap().pop();
    directory.delete("4");
    directory.delete("5");
    let actions = directory.write("actions.jsonl");
    let table = gate.dir.path().join("coverage.csv");
    let earlier = "At,Kind,Action,Line,Name,Approval,Actions\r\nof an earlier run";
    std::fs::write(&table, earlier).unwrap();
    let path = table.to_str().unwrap();
    let (said, code) = reconcile(&gate, &["--actions", &actions, "--table", path]).await;
    assert_eq!(code, 1, "{said}");
    let written = std::fs::read_to_string(&table).unwrap();
    let rows: Vec<Vec<&str>> = written
        .lines()
        .map(|line| line.split(',').map(|it| it.trim_matches('"')).collect())
        .collect();
    let named: Vec<_> = rows.iter().map(|row| row[1..].to_vec()).collect();
    assert_eq!(
        named,
        [
            ["Kind", "Action", "Line", "Name", "Approval", "Actions"],
            ["executedTwice", ACTION, "3", "log-2", &twice, "1"],
            ["otherParameters", ACTION, "4", "log-4", &changed, "1"],
            ["neverApproved", ACTION, "5", "log-5", "", "1"],
            ["matched", ACTION, "", "", "", "2"],
        ]
    );
    let example = include_str!("../../examples/reconcile/coverage.csv");
    assert_eq!(written.lines().next(), example.lines().next());

    // What cannot be read replaces nothing.
    let broken = write(gate.dir.path(), "broken.jsonl", "{");
    let (_, code) = reconcile(&gate, &["--actions", &broken, "--table", path]).await;
    assert_eq!(code, 2);
    assert_eq!(std::fs::read_to_string(&table).unwrap(), written);

    let empty = write(gate.dir.path(), "empty.jsonl", "");
    let arguments = ["--actions", &empty, "--table", path, "--slack", "0"];
    let (_, code) = reconcile(&gate, &arguments).await;
    assert_eq!(code, 1);
    let missing = std::fs::read_to_string(&table).unwrap();
    let kinds = kinds_in(&written).into_iter().chain(kinds_in(&missing));
    assert_eq!(kinds.collect::<BTreeSet<_>>(), kinds_in(example));
}

/// A wrong path would lose the log, or the only backup.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_replaces_no_file_that_is_no_table() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let folder = gate.dir.path().to_owned();
    let in_folder = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let line = r#"{"at": "2026-11-01T08:00:00Z", "action": "x", "parameters": {}}"#;
    let actions = write(&folder, "actions.jsonl", line);
    let new = write(&folder, "coverage.csv.new", line);
    let linked = in_folder("linked.csv");
    std::os::unix::fs::symlink("actions.jsonl", &linked).unwrap();
    let by_another_way = in_folder("./../");
    let name = folder.file_name().unwrap().to_str().unwrap();
    let by_another_way = format!("{by_another_way}{name}/actions.jsonl");
    for table in [
        &actions,
        &linked,
        &by_another_way,
        &in_folder("coverage.csv"),
    ] {
        let (said, code) = reconcile(&gate, &["--actions", &actions, "--table", table]).await;
        assert_eq!(code, 2, "{table}: {said}");
        assert!(said.contains("is no table of an earlier run"), "{said}");
        for file in [&actions, &new] {
            assert_eq!(std::fs::read_to_string(file).unwrap(), line, "{table}");
        }
    }
    let (said, code) = reconcile(&gate, &["--actions", &actions, "--table", &in_folder("")]).await;
    assert!(code == 2 && said.contains("is no table"), "{said}");

    // A table behind a link is replaced there, and what an interrupted run left is no obstacle.
    std::fs::remove_file(&linked).unwrap();
    let month = write(&folder, "month.csv", "");
    write(&folder, "month.csv.new", "At,Kind,Act");
    std::os::unix::fs::symlink("month.csv", &linked).unwrap();
    for _ in 0..2 {
        let (said, code) = reconcile(&gate, &["--actions", &actions, "--table", &linked]).await;
        assert_eq!(code, 1, "{said}");
        let written = std::fs::read_to_string(&month).unwrap();
        assert!(written.contains("\"neverApproved\""), "{written}");
        assert!(std::fs::symlink_metadata(&linked).unwrap().is_symlink());
        std::fs::write(&month, "At,Kind,Action,Line,Name,Approval,Actions\r\n").unwrap();
    }
}

/// Else a mapping with wrong pointers would match actions by their names alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_that_both_sides_lack_matches_nothing() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    delete_approved(&gate, &directory, "1").await;
    let actions = directory.write("actions.jsonl");
    for (approved, line, code) in [
        ("/user_id", "/parameters/user_id", 0),
        ("/user_id", "/parameters/absent", 1),
        ("/absent", "/parameters/user_id", 1),
        ("/absent", "/parameters/absent", 1),
    ] {
        let mapping = json!({"at": "/at", "action": "/action", "parameters": {approved: line}});
        let mapping = write(gate.dir.path(), "mapping.json", &mapping.to_string());
        let arguments = ["--actions", &actions, "--mapping", &mapping];
        let (said, found) = reconcile(&gate, &arguments).await;
        assert_eq!(found, code, "{approved} {line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_the_same_however_a_log_writes_it_and_a_text_is_not() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    delete_approved(&gate, &directory, "100").await;
    let actions = std::fs::read_to_string(directory.write("actions.jsonl")).unwrap();
    let pairs = json!({"/user_id": "/parameters/user_id"});
    let mapping = json!({"at": "/at", "action": "/action", "parameters": pairs});
    let mapping = write(gate.dir.path(), "mapping.json", &mapping.to_string());
    for (written, code) in [
        ("\"100\"", 0),
        ("100", 0),
        ("100.0", 0),
        ("1e2", 0),
        ("100.5", 1),
        ("\"100.0\"", 1),
        ("[100]", 1),
    ] {
        let line = actions.replace("\"user_id\":\"100\"", &format!("\"user_id\":{written}"));
        let actions = write(gate.dir.path(), "written.jsonl", &line);
        for mapping in [&["--mapping", mapping.as_str()][..], &[]] {
            let arguments = [&["--actions", actions.as_str()], mapping].concat();
            let (said, found) = reconcile(&gate, &arguments).await;
            assert_eq!(found, code, "{written} {mapping:?}: {said}");
        }
    }
}

/// What is in a value is compared as the value is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_nested_is_compared_in_the_same_way() {
    let gate = TestGate::start().await;
    let parameters = json!({"of": {"ids": [100, "B7"], "note": "Alice"}});
    let pending = gate
        .gate()
        .action(ACTION)
        .submit(&parameters)
        .await
        .unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let outcome = pending.run(&parameters, async |_| ()).await;
    assert!(matches!(outcome, Outcome::Executed(())));
    let mapping = json!({"at": "/at", "action": "/action", "ignoreCase": true, "parameters": {"/of": "/parameters/of"}});
    let mapping = write(gate.dir.path(), "mapping.json", &mapping.to_string());
    for (of, mapped, whole) in [
        (json!({"ids": [100, "B7"], "note": "Alice"}), 0, 0),
        (json!({"note": "Alice", "ids": ["100", "B7"]}), 0, 0),
        (json!({"ids": [100, "b7"], "note": "ALICE"}), 0, 1),
        (json!({"ids": ["100.0", "B7"], "note": "Alice"}), 1, 1),
        (json!({"ids": ["B7", 100], "note": "Alice"}), 1, 1),
        (json!({"ids": [100, "B7"], "Note": "Alice"}), 1, 1),
        (json!({"ids": "[100,\"B7\"]", "note": "Alice"}), 1, 1),
    ] {
        let (at, parameters) = (gate.now().to_string(), json!({"of": of}));
        let line = json!({"at": at, "action": ACTION, "parameters": parameters});
        let actions = write(gate.dir.path(), "nested.jsonl", &line.to_string());
        let arguments = ["--actions", &actions, "--mapping", &mapping];
        assert_eq!(reconcile(&gate, &arguments).await.1, mapped, "{line}");
        assert_eq!(reconcile(&gate, &arguments[..2]).await.1, whole, "{line}");
    }
}

/// As an auditor runs it, who has the public keys alone: another gate's keys prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_without_a_valid_receipt_covers_no_action() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    delete_approved(&gate, &directory, "1").await;
    let actions = directory.write("actions.jsonl");
    let other = TestGate::start().await;
    for (keys, expected) in [(&gate, 0), (&other, 1)] {
        let published = keys.get(&format!("{}/api/keys", keys.url)).await.body;
        let keys = write(gate.dir.path(), "keys.json", &published);
        let arguments = ["--actions", &actions, "--keys", &keys, "--json"];
        let (said, code) = reconcile(&gate, &arguments).await;
        assert_eq!(code, expected, "{said}");
        let (_, counts) = parse(&said);
        assert_eq!(counts["neverApproved"], expected);
        assert_eq!(counts["unreadableRows"], expected);
    }
}

/// An auditor without the link keys knows a claim by its permit alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_without_a_valid_permit_covers_no_action() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    delete_approved(&gate, &directory, "1").await;
    let folder = gate.dir.path();
    let actions = directory.write("actions.jsonl");
    let published = gate.get(&format!("{}/api/keys", gate.url)).await.body;
    let keys = write(folder, "keys.json", &published);
    let backup = folder.join("backup.jsonl");
    let settings = backing_store::settings(folder);
    let arguments = ["backup", backup.to_str().unwrap()];
    let (said, code) = run(&backing_store::borrowed(&settings), &arguments).await;
    assert_eq!(code, 0, "{said}");
    let rows = std::fs::read_to_string(&backup).unwrap();
    let of_request = |line: &&str| line.contains("\"ClaimPermit\"");
    let row = rows.lines().find(of_request).unwrap();
    let row: Value = serde_json::from_str(row).unwrap();
    let elsewhere = format!("embedded:{}", folder.join("elsewhere").display());
    let until = (gate.now() + std::time::Duration::from_secs(86_400)).to_string();
    for (permit, expected) in [
        (row["ClaimPermit"].clone(), 0),
        (row["Receipt"].clone(), 1),
        (Value::Null, 1),
    ] {
        let mut row = row.clone();
        row["ClaimPermit"] = permit;
        let row = write(folder, "row.jsonl", &format!("{row}\n"));
        let arguments = [
            &["reconcile", "--json", "--until", &until][..],
            &["--actions", &actions, "--keys", &keys, "--backup", &row],
        ];
        let (said, code) = run(&[("HO_STORE", &elsewhere)], &arguments.concat()).await;
        assert_eq!(code, expected, "{said}");
        let (json, _) = said.split_once("Without HO_LINK_KEYS").unwrap();
        let (_, counts) = parse(json);
        assert_eq!(counts["neverApproved"], expected);
        assert_eq!(counts["unreadableRows"], expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_reads_the_activity_log() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete a virtual machine");
    let parameters = json!({"resource_id": "/subscriptions/1/vm/Build", "reason": "unused"});
    let pending = action.submit(&parameters).await.unwrap();
    gate.approve(&pending.approval().unwrap().clone(), ALICE)
        .await;
    assert!(matches!(
        pending.run(&parameters, async |_| ()).await,
        Outcome::Executed(())
    ));
    let at = gate.now().to_string();
    let entry = |operation: &str, result: &str, resource: &str| {
        json!({
            "time": at, "operationName": operation, "resultType": result, "resourceId": resource,
            "correlationId": "4c1a", "identity": {"claims": {}},
        })
    };
    let delete = "MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE";
    let lines = [
        entry(delete, "Start", "/SUBSCRIPTIONS/1/VM/BUILD"),
        entry(delete, "Success", "/SUBSCRIPTIONS/1/VM/BUILD"),
        entry(
            "MICROSOFT.COMPUTE/VIRTUALMACHINES/READ",
            "Success",
            "/SUBSCRIPTIONS/1/VM/OTHER",
        ),
    ];
    let text: String = lines.iter().map(|it| format!("{it}\n")).collect();
    let actions = write(gate.dir.path(), "activity.jsonl", &text);
    let mapping = repository().join("examples/reconcile/activity-log.json");
    let arguments = [
        "--actions",
        &actions,
        "--mapping",
        mapping.to_str().unwrap(),
    ];
    let (said, code) = reconcile(&gate, &arguments).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.ends_with("1 matched, 0 executed and never approved, 0 executed with other parameters, 0 executed twice, 0 approved and never executed; 2 lines left out, 0 rows that cannot be trusted\n"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_named_with_its_line_and_proves_nothing() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let good = json!({"at": "2026-11-01T08:00:00Z", "action": ACTION, "parameters": {}});
    let cases = [
        ("{\n", "line 2 of the actions is no JSON"),
        (
            r#"{"at": "2026-11-01T08:00:00Z", "parameters": {}}"#,
            "line 2 of the actions: /action is missing",
        ),
        (
            r#"{"at": "yesterday", "action": "x", "parameters": {}}"#,
            "line 2 of the actions: /at must be a time such as 2026-11-01T08:00:00Z",
        ),
        (
            r#"{"at": "2026-11-01T08:00:00Z", "action": "x"}"#,
            "line 2 of the actions: /parameters is missing",
        ),
        (
            r#"{"at": "2026-11-01T08:00:00Z", "action": "x", "parameters": {}, "action": "y"}"#,
            "line 2 of the actions has two members of one name: /action",
        ),
        (
            r#"{"at": "2026-11-01T08:00:00Z", "action": "x", "parameters": {"of": [0, {"a/b": 1, "a\u002fb": 2.5}]}}"#,
            "line 2 of the actions has two members of one name: /parameters/of/1/a~1b",
        ),
    ];
    for (line, expected) in cases {
        let actions = write(gate.dir.path(), "actions.jsonl", &format!("{good}\n{line}"));
        let (said, code) = reconcile(&gate, &["--actions", &actions]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let actions = write(gate.dir.path(), "actions.jsonl", "");
    for (mapping, expected) in [
        (
            r#"{"at": "/at", "action": "/action", "parameters": {}}"#,
            "`parameters` must name at least one",
        ),
        (
            r#"{"at": "at", "action": "/action", "parameters": {"/a": "/b"}}"#,
            "`at` is no JSON pointer",
        ),
        (
            r#"{"at": "/at", "action": "/action", "parameters": {"/a": "/b"}, "extra": 1}"#,
            "unknown field `extra`",
        ),
        (
            r#"{"at": "/at", "action": "/action", "parameters": {"/a": "/b", "/a": "/c"}}"#,
            "two members of the same name",
        ),
    ] {
        let mapping = write(gate.dir.path(), "mapping.json", mapping);
        let (said, code) = reconcile(&gate, &["--actions", &actions, "--mapping", &mapping]).await;
        assert_eq!(code, 2, "{said}");
        assert!(
            said.contains("mapping.json is no mapping") && said.contains(expected),
            "{said}"
        );
    }
    let (said, code) = reconcile(&gate, &["--actions", "/nonexistent/actions"]).await;
    assert_eq!(code, 2, "{said}");
}

/// PowerShell and Excel put a mark before a text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_with_the_mark_of_utf_8_are_read_and_those_in_utf_16_are_named() {
    let gate = TestGate::start().await;
    let directory = Directory::new(&gate);
    delete_approved(&gate, &directory, "1").await;
    let folder = gate.dir.path();
    let keys = gate.get(&format!("{}/api/keys", gate.url)).await.body;
    let mapping =
        r#"{"at": "/at", "action": "/action", "parameters": {"/user_id": "/parameters/user_id"}}"#;
    let actions = std::fs::read_to_string(directory.write("actions.jsonl")).unwrap();
    let copy = folder.join("copy.jsonl");
    let settings = backing_store::settings(folder);
    let backup = ["backup", copy.to_str().unwrap()];
    run(&backing_store::borrowed(&settings), &backup).await;
    let copy = std::fs::read_to_string(&copy).unwrap();
    let files = [
        ("--actions", actions.as_str()),
        ("--mapping", mapping),
        ("--keys", &keys),
        ("--backup", &copy),
    ];
    let marked = files.map(|(option, text)| {
        let name = format!("marked{option}");
        (option, write(folder, &name, &format!("\u{feff}{text}")))
    });
    let arguments: Vec<&str> = marked
        .iter()
        .flat_map(|(option, file)| [*option, file])
        .collect();
    let (said, code) = reconcile(&gate, &arguments).await;
    assert!(code == 0 && said.contains("1 matched"), "{said}");
    for (option, text) in files {
        let wide = folder.join("wide");
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        std::fs::write(&wide, units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).unwrap();
        let mut arguments = arguments.clone();
        let at = arguments.iter().position(|it| *it == option).unwrap();
        arguments[at + 1] = wide.to_str().unwrap();
        let (said, code) = reconcile(&gate, &arguments).await;
        assert!(code == 2 && said.contains("UTF-16"), "{option}: {said}");
    }
}

/// Each time is compared with those before, so lines that are not sorted would be taken for mismatches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_not_sorted_by_time_are_refused() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let line = |at: &str| {
        let line = json!({"at": at, "action": ACTION, "parameters": {}});
        format!("{line}\n")
    };
    let times = [
        "2026-11-01T08:00:02Z",
        "2026-11-01T08:00:02Z",
        "2026-11-01T08:00:01Z",
    ];
    let actions = write(gate.dir.path(), "actions.jsonl", &times.map(line).concat());
    let (said, code) = reconcile(&gate, &["--actions", &actions]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("line 3 of the actions is of 2026-11-01T08:00:01.000Z, and an earlier line of 2026-11-01T08:00:02.000Z: sort them by time"),
        "{said}"
    );
    // What is left out need not be sorted.
    let arguments = ["--actions", &actions, "--since", "2026-11-01T08:00:02Z"];
    let (said, code) = reconcile(&gate, &arguments).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("; 1 lines left out"), "{said}");
}

/// A reader that looks at the output alone is not shown a part of the mismatches as if it were all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_that_cannot_be_read_to_their_end_give_no_json() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let good = json!({"at": "2026-11-01T08:00:00Z", "action": ACTION, "parameters": {}});
    let settings = backing_store::settings(gate.dir.path());
    for (last, is_whole) in [("{", false), ("", true)] {
        let text = format!("{good}\n{last}");
        let actions = write(gate.dir.path(), "actions.jsonl", &text);
        let mut command = binary();
        command.args(["reconcile", "--json", "--actions", &actions]);
        command.envs(backing_store::borrowed(&settings));
        let output = within(command.output()).await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        if is_whole {
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(parse(&printed).1["neverApproved"], 1);
        } else {
            assert_eq!(output.status.code(), Some(2));
            assert_eq!(printed, "");
        }
    }
}

#[test]
fn the_page_contains_the_mappings() {
    let page = include_str!("../../docs/reconcile.md");
    for mapping in [
        include_str!("../../examples/reconcile/activity-log.json"),
        include_str!("../../examples/reconcile/payments.json"),
    ] {
        assert!(page.contains(mapping), "{mapping}");
    }
}
