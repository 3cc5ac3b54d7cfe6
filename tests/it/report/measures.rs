//! The report's measures, computed over rows in Azurite: of a gate, of the legacy Logic App, and forged.

use std::collections::{BTreeMap, BTreeSet};

use human_oversight::values::Timestamp;
use serde_json::{Value, json};

use super::Files;
use super::contract::{breaches, documented};
use super::engine::{Computed, compute, load_coverage, load_rows};
use super::model::{Item, Model};
use super::rows::{
    PAYMENTS, REJECTIONS, RULES, add_foreign_rows, create_requests, decide_by_policy,
};
use crate::agent_identity;
use crate::azurite::{self, azurite};
use crate::backing_store;
use crate::harness::{ALICE, TestGate, object};

/// What `reconcile --table` writes; its own test compares the words.
const COVERAGE: &str = include_str!("../../../examples/reconcile/coverage.csv");

/// The kinds with which the measures compare.
fn kinds_in_dax(model: &Model) -> BTreeSet<String> {
    let parts = model.approvals().dax();
    let parts = parts.flat_map(|dax| dax.split("Coverage[Kind] = \"").skip(1));
    parts
        .map(|rest| rest.split_once('"').unwrap().0.to_owned())
        .collect()
}

/// The kinds in such a file.
pub(crate) fn kinds_in(csv: &str) -> BTreeSet<String> {
    let lines = csv.lines().skip(1);
    lines
        .map(|line| line.split("\",\"").nth(1).unwrap().to_owned())
        .collect()
}

/// The minutes from request to decision.
fn durations<'a>(rows: impl Iterator<Item = &'a Value>) -> Vec<f64> {
    let time = |row: &Value, name: &str| Timestamp::parse(row[name].as_str().unwrap()).unwrap();
    let decided = rows.filter(|row| row["Approver"].is_string());
    let minutes = decided.map(|row| {
        let [requested, responded] =
            ["RequestTimestamp", "ResponseTimestamp"].map(|n| time(row, n));
        responded.since(requested).as_secs_f64() / 60.0
    });
    minutes.collect()
}

/// The minutes between the two votes on the one request that has several, about seven; votes are truncated to the
/// second.
fn minutes_between_votes(rows: &[Value]) -> f64 {
    let votes = rows.iter().find_map(|row| row["Votes"].as_str()).unwrap();
    let votes: Value = serde_json::from_str(votes).unwrap();
    let time = |at: usize| {
        let text = &votes[at]["at"].as_str().unwrap()[..19];
        Timestamp::parse(&format!("{text}Z")).unwrap()
    };
    let minutes = time(1).since(time(0)).as_secs_f64() / 60.0;
    assert!((6.9..20.0).contains(&minutes), "{minutes}");
    minutes
}

/// The percentile of sorted values, interpolated linearly.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let place = percent * (sorted.len() - 1);
    let (low, rest) = (sorted[place / 100], place % 100);
    let next = sorted.get(place / 100 + 1).unwrap_or(&low);
    low + (next - low) * rest as f64 / 100.0
}

fn is_close(computed: &Value, expected: &Value) -> bool {
    match (computed.as_f64(), expected.as_f64()) {
        (Some(computed), Some(expected)) => (computed - expected).abs() < 1e-5,
        _ => computed == expected,
    }
}

#[tokio::test]
async fn every_measure_is_right_over_gate_and_legacy_rows() {
    let files = Files::read();
    let model = Model::parse(&files);
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let table = azurite::Table::of(azurite().port, settings[2].1);
    decide_by_policy(&settings).await;
    let gate = TestGate::with(&[&settings[..], &agent_identity::BOTH].concat()).await;
    let last = create_requests(&gate, &settings).await;

    let rows = table.rows().await;
    assert_eq!(rows.len(), 45);
    assert_eq!(breaches(&files, &rows), [] as [&str; 0]);
    assert_breaches_are_found(&files, &rows);

    add_foreign_rows(&table, &rows).await;
    let all = table.rows().await;
    let since = "2025-01-01T00:00:00";
    assert_eq!(model.parameters["Since"], "#date(2025, 1, 1)");
    let loaded = load_rows(model.approvals(), &all, since);
    assert_eq!(loaded.len(), all.len() - 1, "one row is older");
    let as_of = last.request_timestamp.as_str().trim_end_matches('Z');
    let coverage = load_coverage(model.table("Coverage").unwrap(), COVERAGE);
    assert_eq!(kinds_in_dax(&model), kinds_in(COVERAGE));
    let selections = json!([
        {},
        {"Approvals.Agent": [PAYMENTS]},
        {"Approvals.Status": ["Rejected"]},
        {"Calendar.Date": ["2025-05-06T00:00:00"]},
    ]);
    let computed = compute(&model, &loaded, &RULES, &coverage, as_of, &selections);
    let computed = computed.await.unwrap();
    assert_rules(&computed, &all);

    // The legacy times are truncated to the second.
    let is_ours = |row: &&Value| row.get("RowSeal").is_some();
    let mut minutes = durations(all.iter().filter(is_ours));
    minutes.extend([111.0 / 60.0, 3.0 / 60.0]);
    minutes.sort_by(f64::total_cmp);
    let mut expected = json!({
        "Requests": 54, "Approved": 22, "Rejected": 10, "Timed out": 5, "Withdrawn": 4,
        "Undeliverable": 1, "Decisions": 32, "Approval rate": 22.0 / 32.0,
        "Rejection rate": 10.0 / 32.0, "Timeout rate": 5.0 / 37.0,
        "Median minutes to decision": percentile(&minutes, 50),
        "P90 minutes to decision": percentile(&minutes, 90),
        "As of (UTC)": as_of, "Pending now": 3, "Overdue now": 2, "Executed": 10, "Running now": 3,
        "Approved, not executed": 9, "Executed without claim": 4, "Failed executions": 5,
        "Unknown outcomes": 4, "Late answers": 1, "Decisions under 5 seconds": 10,
        "Unsigned decisions": 2, "Busiest approver": ALICE, "Busiest approver share": 26.0 / 32.0,
        "Agents with one approver": 1, "Decided by the policy": 7, "Approved by the policy": 5,
        "Denied by the policy": 2, "Asked by the policy": 1, "Policy contradicted": 4,
        "Median minutes between votes": minutes_between_votes(&all), "Rules never used": 1,
    });
    let judged = judged_and_compared();
    expected.as_object_mut().unwrap().extend(judged);
    assert_measures(&computed.measures[0], &expected);
    assert_eq!(
        computed.measures[0].len(),
        expected.as_object().unwrap().len()
    );
    assert_measures(
        &computed.measures[1],
        &json!({
            "Requests": 9, "Approval rate": 0, "Rejection rate": 1, "Timeout rate": 0,
            "Busiest approver": ALICE, "Busiest approver share": 1, "Late answers": 0,
        }),
    );
    // A selected status does not change the rates.
    assert_measures(
        &computed.measures[2],
        &json!({"Requests": 12, "Approval rate": 22.0 / 32.0, "Approved by the policy": 5}),
    );
    assert_measures(
        &computed.measures[3],
        &json!({
            "Requests": 3, "Approval rate": 0.5, "Timeout rate": 1.0 / 3.0, "Pending now": 0,
            "Unsigned decisions": 2, "Median minutes to decision": 57.0 / 60.0,
        }),
    );
    assert_columns(&computed, &all);
    assert_reasons(&computed, &rows);

    // Every measure changes if one of its words is replaced.
    let (changed_model, originals) = replace_words(model);
    let computed = compute(
        &changed_model,
        &loaded,
        &RULES,
        &coverage,
        as_of,
        &json!([{}]),
    )
    .await
    .unwrap();
    for (changed, name) in originals {
        let value = &computed.measures[0][&changed];
        assert!(
            !is_close(value, &expected[&name]),
            "{changed}: still {value}"
        );
    }

    // A broken measure is an error, not blank.
    for (from, to) in [
        ("MEDIAN (", "MEAN ("),
        ("MEDIAN ( Approvals[", "MEDIAN ( Approvals[My "),
    ] {
        let broken = Model::parse(&files.with(super::APPROVALS, from, to));
        let output = compute(&broken, &loaded, &RULES, &coverage, as_of, &selections).await;
        assert!(
            output.is_err_and(|output| output.contains("could not compute")),
            "{to}"
        );
    }
}

/// The measures of the pages Judgement and Coverage.
fn judged_and_compared() -> serde_json::Map<String, Value> {
    object(json!({
        "Share decided under 5 seconds": 10.0 / 32.0, "Approvals that failed": 4,
        "Share of approvals that failed": 4.0 / 22.0, "Rejected, then asked again": 8,
        "Ran as approved": 42, "Ran without approval": 2, "Ran with other parameters": 3, "Ran twice": 1,
        "Approved, not in the logs": 4, "Logs compared until (UTC)": "2026-11-02T00:00:00.000",
        "Grants used": 2, "Unanswered": 7, "Data from (UTC)": "2025-05-06T07:08:09.000",
    }))
}

/// Adds a copy of each measure for every replacement of a word in it; returns the model, and the original
/// of each copy.
fn replace_words(mut model: Model) -> (Model, Vec<(String, String)>) {
    let table = model
        .tables
        .iter_mut()
        .find(|table| table.name == "Approvals")
        .unwrap();
    let mut changed = Vec::new();
    let mut measures = Vec::new();
    for schema in ["Status", "ExecutionStatus"] {
        let words = documented(schema);
        for measure in &table.measures {
            let dax = measure.expression.as_deref().unwrap();
            let is_named = |word: &&String| dax.contains(&format!("\"{word}\""));
            for word in words.iter().filter(is_named) {
                for other in words.iter().filter(|other| *other != word) {
                    let name = format!("{} with {other} for {word}", measure.name);
                    let dax = dax.replace(&format!("\"{word}\""), &format!("\"{other}\""));
                    changed.push((name.clone(), measure.name.clone()));
                    measures.push(Item {
                        name,
                        expression: Some(dax),
                        ..Item::default()
                    });
                }
            }
        }
    }
    assert!(changed.len() > 60, "{changed:?}");
    table.measures.extend(measures);
    (model, changed)
}

/// Checks that changes of the report which break the contract are found.
fn assert_breaches_are_found(files: &Files, rows: &[Value]) {
    let parameters = format!("{}/definition/expressions.tmdl", super::MODEL);
    for (path, from, to, expected) in [
        (
            super::APPROVALS,
            "= \"Timeout\"",
            "= \"TimedOut\"",
            "TimedOut",
        ),
        (super::APPROVALS, "{ \"Lapsed\"", "{ \"Expired\"", "Expired"),
        (
            super::APPROVALS,
            "= \"Cancelled\"",
            "= \"Pending\"",
            "Cancelled",
        ),
        (
            super::APPROVALS,
            "\"ExecutionTimestamp\"",
            "\"ExecutedTimestamp\"",
            "writes no Executed",
        ),
        (
            super::APPROVALS,
            "Texts = {",
            "Texts = {\"RunBy\", ",
            "RunBy is no Texts",
        ),
        (
            super::APPROVALS,
            "Times = {",
            "Times = {\"Comment\", ",
            "Comment is no Times",
        ),
        (
            &parameters,
            "\"approvals\"",
            "\"Approvals\"",
            "the table is",
        ),
    ] {
        // The word may occur more than once.
        let mut changed = files.with(path, from, to);
        while from.starts_with("= ") && changed.text(path).contains(from) {
            changed = changed.with(path, from, to);
        }
        let found = breaches(&changed, rows);
        assert!(
            found.iter().any(|breach| breach.contains(expected)),
            "{expected}: {found:?}"
        );
    }
}

#[track_caller]
fn assert_measures(computed: &BTreeMap<String, Value>, expected: &Value) {
    for (name, expected) in expected.as_object().unwrap() {
        let computed = &computed[name];
        assert!(
            is_close(computed, expected),
            "{name}: {computed}, not {expected}"
        );
    }
}

/// Checks the calculated columns of single rows.
fn assert_columns(computed: &Computed, rows: &[Value]) {
    for (column, expected) in [
        ("Requested date", json!("2025-05-06T00:00:00.000")),
        ("Requested at (UTC)", json!("2025-05-06T07:08:09.000")),
        ("Hour (UTC)", json!(7)),
        ("Hour of decision (UTC)", json!(7)),
        ("Asked again", json!(false)),
        ("Weekday number", json!(2)),
        ("Weekday", json!("Tue")),
        ("Minutes to decision", json!(111.0 / 60.0)),
        ("Exception", json!(null)),
        ("Deadline (UTC)", json!(null)),
        ("Signed", json!(false)),
        ("Decision reason", json!(null)),
    ] {
        let computed_value = computed.cell("p1", column);
        assert!(
            is_close(computed_value, &expected),
            "{column}: {computed_value}"
        );
    }
    assert_eq!(computed.cell("p3", "Approver"), &json!(null));
    assert_eq!(computed.cell("p3", "Hour of decision (UTC)"), &json!(null));
    assert_eq!(computed.cell("granted-1", "Decided by"), "grant");
    assert_eq!(computed.cell("granted-1", "Deciding rule"), &json!(null));
    let mut exceptions: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row["RowKey"] != "p4") {
        let exception = computed.cell(row["RowKey"].as_str().unwrap(), "Exception");
        exceptions.extend(exception.as_str());
    }
    exceptions.sort_unstable();
    let counts = [
        ("executed without claim; failed; under 5 seconds", 1),
        (
            "executed without claim; outcome unknown; under 5 seconds",
            1,
        ),
        ("executed without claim; under 5 seconds", 2),
        ("failed", 4),
        ("late answer", 1),
        ("not executed", 9),
        ("outcome unknown", 3),
        ("overdue", 2),
        ("undeliverable", 1),
        ("under 5 seconds", 6),
    ];
    let expected = counts
        .into_iter()
        .flat_map(|(words, count)| vec![words; count]);
    let mut expected: Vec<&str> = expected.collect();
    expected.sort_unstable();
    assert_eq!(exceptions, expected);
}

/// Checks the reason of each rejection, by a person and by the policy.
fn assert_reasons(computed: &Computed, rows: &[Value]) {
    let reasons_of = |column: &str, value: &str| -> BTreeSet<String> {
        let rows = rows.iter().filter(|row| row[column] == value);
        rows.map(|row| computed.cell(row["RowKey"].as_str().unwrap(), "Decision reason"))
            .map(|reason| reason.as_str().unwrap_or("blank").to_owned())
            .collect()
    };
    let expected = REJECTIONS.map(|(_, reason)| reason.to_owned());
    assert_eq!(reasons_of("AgentName", PAYMENTS), expected.into());
    let denied = reasons_of("ActionDescription", "Erase an order");
    assert_eq!(denied, ["Agents erase nothing.".to_owned()].into());
    let approved = reasons_of("ExecutionStatus", "Lapsed");
    assert_eq!(approved, ["blank".to_owned()].into());
}

/// Checks what is shown of the policy: the use of its rules, and the columns of the requests that it decided or asked
/// people about.
fn assert_rules(computed: &Computed, rows: &[Value]) {
    let used = json!([["payments", 1], ["refunds", 5], ["never", 2], ["unused", 0]]);
    assert_eq!(computed.tables["rows"]["Rules"], used);
    let find = |action: &str| {
        let row = rows.iter().find(|row| row["ActionDescription"] == action);
        row.unwrap()["RowKey"].as_str().unwrap()
    };
    let columns = [
        "Decided by",
        "Deciding rule",
        "Rules",
        "Approvals needed",
        "Votes",
        "Minutes between votes",
    ];
    for (action, expected) in [
        (
            "Refund an order",
            json!(["policy", "refunds", "refunds", null, null, null]),
        ),
        (
            "Erase an order",
            json!(["policy", "never", "never", null, null, null]),
        ),
        (
            "Pay an invoice",
            json!([
                "person",
                null,
                "payments",
                2,
                2,
                minutes_between_votes(rows)
            ]),
        ),
    ] {
        let request = find(action);
        for (column, expected) in columns.iter().zip(expected.as_array().unwrap()) {
            let value = computed.cell(request, column);
            assert!(is_close(value, expected), "{action}, {column}: {value}");
        }
        let minutes = computed.cell(request, "Minutes to decision");
        assert_eq!(minutes.is_null(), action != "Pay an invoice", "{action}");
    }
    let by_link = computed.cell("p1", "Decided by");
    assert_eq!(
        by_link, "person",
        "rows of earlier versions stay as they are"
    );
    assert!(computed.cell("p1", "Rules").is_null());
}

#[tokio::test]
async fn every_counter_is_0_over_an_empty_table() {
    let model = Model::parse(&Files::read());
    let as_of = "2026-11-22T10:11:12.345";
    let computed = compute(&model, &[], &[], &[], as_of, &json!([{}]))
        .await
        .unwrap();
    let days = &computed.tables["rows"]["Calendar"];
    assert_eq!(days, &json!([["2026-11-22"]]));
    for measure in &model.approvals().measures {
        let expected = match (measure.name.as_str(), measure.property("formatString")) {
            ("As of (UTC)", _) => json!(as_of),
            (_, "#,0") => json!(0),
            _ => json!(null),
        };
        let computed_value = &computed.measures[0][&measure.name];
        assert!(
            is_close(computed_value, &expected),
            "{}: {computed_value}",
            measure.name
        );
    }
}
