//! The report's measures, computed over rows that a gate wrote into Azurite, rows that the predecessor
//! left there, and some that somebody forged.
//!
//! The DAX is the report's own text, in an engine that is not Microsoft's. M runs nowhere here: `loaded`
//! does what its text says, with the lists of columns that are in it.

use std::collections::BTreeMap;
use std::process::Stdio;

use human_oversight::timestamp::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::Files;
use super::contract::{breaches, documented};
use super::lives::{PAYMENTS, by_hand, lives};
use super::model::{Item, Model, Table, unquoted};
use crate::azurite::{self, azurite};
use crate::deadline::within;
use crate::harness::{ALICE, TestGate, repository};
use crate::kept;

/// The rows as the report's M makes them: the columns that its lists name; text as time; whether a flag
/// is there; nothing from before `since`.
fn loaded(table: &Table, rows: &[Value], since: &str) -> Vec<Vec<Value>> {
    let sources = table
        .columns
        .iter()
        .map(|column| column.property("sourceColumn"));
    let sources: Vec<&str> = sources.filter(|source| !source.is_empty()).collect();
    let [times, flags] = ["Times", "Flags"].map(|list| table.list(list));
    let cell = |row: &Value, source: &str| {
        let text = row[source].as_str();
        if times.contains(&source) {
            let typed = row[format!("{source}@odata.type")] == "Edm.DateTime";
            json!(text.map(|text| if typed {
                text.trim_end_matches('Z')
            } else {
                &text[..19]
            }))
        } else if flags.contains(&source) {
            json!(text.is_some())
        } else {
            json!(text.filter(|text| !text.is_empty()))
        }
    };
    let at = sources
        .iter()
        .position(|source| *source == "RequestTimestamp")
        .unwrap();
    let rows = rows
        .iter()
        .filter(|row| row["Timestamp"].as_str().unwrap() >= since);
    let rows = rows.map(|row| sources.iter().map(|source| cell(row, source)).collect());
    rows.filter(|row: &Vec<Value>| row[at].as_str().unwrap() >= since)
        .collect()
}

/// What the engine made of the model.
struct Computed {
    tables: Value,
    /// The measures in each of the selections that were asked for.
    measures: Vec<BTreeMap<String, Value>>,
}

impl Computed {
    /// Of one of the rows of requests.
    fn cell(&self, request: &str, column: &str) -> &Value {
        let names = self.tables["columns"]["Approvals"].as_array().unwrap();
        let at = |name: &str| names.iter().position(|n| n == name).unwrap();
        let rows = self.tables["rows"]["Approvals"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row[at("Request ID")] == request)
            .unwrap();
        &row[at(column)]
    }
}

async fn compute(
    model: &Model,
    rows: &[Vec<Value>],
    as_of: &str,
    selections: &Value,
) -> Result<Computed, String> {
    let tools = repository().join(".tools/report/dax");
    assert!(
        tools.join("installed").is_file(),
        "the engine for DAX is not installed: run scripts/test once"
    );
    let typed = |table: &Table| -> Vec<_> {
        let loaded = table
            .columns
            .iter()
            .filter(|column| column.expression.is_none());
        let typed = loaded.map(|column| json!([column.name, column.property("dataType")]));
        typed.collect()
    };
    let approvals = model.approvals();
    let dax = |name: &str, dax: &Option<String>| Some((name.to_owned(), dax.clone()?));
    let end = |end: &str| {
        let (table, column) = end.split_once('.').unwrap();
        json!([table, unquoted(column)])
    };
    let relationships = model
        .relationships
        .iter()
        .map(|(from, to)| [end(from), end(to)]);
    let calculated = approvals.columns.iter();
    let calculated = calculated.filter_map(|column| dax(&column.name, &column.expression));
    let measures = approvals.measures.iter();
    let measures = measures.filter_map(|measure| dax(&measure.name, &measure.expression));
    let tables = model.tables.iter().filter(|table| table.is_calculated);
    let asked = json!({
        "tables": {
            "Approvals": {"columns": typed(approvals), "rows": rows},
            "Refresh": {"columns": typed(model.table("Refresh").unwrap()), "rows": [[as_of]]},
        },
        "columns": calculated.map(|(name, dax)| json!(["Approvals", name, dax])).collect::<Vec<_>>(),
        "calculated": tables.map(|t| (t.name.clone(), t.source.clone())).collect::<BTreeMap<_, _>>(),
        "measures": measures.collect::<BTreeMap<_, _>>(),
        "relationships": relationships.collect::<Vec<_>>(),
        "selections": selections,
    });
    let mut python = Command::new(tools.join("bin/python"))
        .args(["-B", "tests/report/dax/evaluate.py"])
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(asked.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let said = within(python.wait_with_output()).await.unwrap();
    if !said.status.success() {
        return Err(String::from_utf8(said.stderr).unwrap());
    }
    let mut tables: Value = serde_json::from_slice(&said.stdout).unwrap();
    let measures = serde_json::from_value(tables["measures"].take()).unwrap();
    Ok(Computed { tables, measures })
}

/// The minutes of each decision.
fn durations<'a>(rows: impl Iterator<Item = &'a Value>) -> Vec<f64> {
    let time = |row: &Value, name: &str| Timestamp::parse(row[name].as_str().unwrap()).unwrap();
    let decided = rows.filter(|row| row["Approver"].is_string());
    let minutes = decided.map(|row| {
        let [asked, answered] = ["RequestTimestamp", "ResponseTimestamp"].map(|n| time(row, n));
        answered.since(asked).as_secs_f64() / 60.0
    });
    minutes.collect()
}

/// The value that so many percent of the sorted ones do not exceed, between two of them if need be.
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
async fn every_measure_is_right_over_rows_of_the_gate_and_of_its_predecessor() {
    let files = Files::read();
    let model = Model::of(&files);
    let settings = kept::tables(azurite().port);
    let settings = kept::borrowed(&settings);
    let table = azurite::Table::of(azurite().port, settings[2].1);
    let gate = TestGate::with(&settings).await;
    let last = lives(&gate, &settings).await;

    let rows = table.rows().await;
    assert_eq!(rows.len(), 35);
    assert_eq!(breaches(&files, &rows), [] as [&str; 0]);
    disagreements(&files, &rows);

    by_hand(&table, &rows).await;
    let all = table.rows().await;
    let since = "2025-01-01T00:00:00";
    assert_eq!(model.parameters["Since"], "#date(2025, 1, 1)");
    let loaded = loaded(model.approvals(), &all, since);
    assert_eq!(loaded.len(), all.len() - 1, "one is from before");
    let as_of = last.request_timestamp.as_str().trim_end_matches('Z');
    let selections = json!([
        {},
        {"Approvals.Agent": [PAYMENTS]},
        {"Approvals.Status": ["Rejected"]},
        {"Calendar.Date": ["2025-05-06T00:00:00"]},
    ]);
    let computed = compute(&model, &loaded, as_of, &selections).await.unwrap();

    // The Logic App's times are cut to the second.
    let is_ours = |row: &&Value| row.get("RowSeal").is_some();
    let mut minutes = durations(all.iter().filter(is_ours));
    minutes.extend([111.0 / 60.0, 3.0 / 60.0]);
    minutes.sort_by(f64::total_cmp);
    let expected = json!({
        "Requests": 42, "Approved": 19, "Rejected": 10, "Timed out": 5, "Withdrawn": 4,
        "Undeliverable": 1, "Decisions": 29, "Approval rate": 19.0 / 29.0,
        "Rejection rate": 10.0 / 29.0, "Timeout rate": 5.0 / 34.0,
        "Median minutes to decision": percentile(&minutes, 50),
        "P90 minutes to decision": percentile(&minutes, 90),
        "As of (UTC)": as_of, "Pending now": 3, "Overdue now": 2, "Executed": 6, "Running now": 3,
        "Approved, not executed": 3, "Executed without claim": 4, "Failed executions": 5,
        "Unknown outcomes": 4, "Late answers": 1, "Decisions under 5 seconds": 10,
        "Unsigned decisions": 2, "Busiest approver": ALICE, "Busiest approver share": 26.0 / 29.0,
        "Agents with one approver": 1,
    });
    are(&computed.measures[0], &expected);
    assert_eq!(
        computed.measures[0].len(),
        expected.as_object().unwrap().len()
    );
    are(
        &computed.measures[1],
        &json!({
            "Requests": 9, "Approval rate": 0, "Rejection rate": 1, "Timeout rate": 0,
            "Busiest approver": ALICE, "Busiest approver share": 1, "Late answers": 0,
        }),
    );
    // To choose a status in one visual does not change a rate in another.
    are(
        &computed.measures[2],
        &json!({"Requests": 10, "Approval rate": 19.0 / 29.0}),
    );
    are(
        &computed.measures[3],
        &json!({
            "Requests": 3, "Approval rate": 0.5, "Timeout rate": 1.0 / 3.0, "Pending now": 0,
            "Unsigned decisions": 2, "Median minutes to decision": 57.0 / 60.0,
        }),
    );
    in_rows(&computed, &all);

    // No word in a measure could be another one.
    let (wrong, right) = with_words_changed(model);
    let computed = compute(&wrong, &loaded, as_of, &json!([{}])).await.unwrap();
    for (changed, name) in right {
        let value = &computed.measures[0][&changed];
        assert!(
            !is_close(value, &expected[&name]),
            "{changed}: still {value}"
        );
    }

    // A measure that is broken is said to be, not blank.
    for (from, to) in [
        ("MEDIAN (", "MEAN ("),
        ("MEDIAN ( Approvals[", "MEDIAN ( Approvals[My "),
    ] {
        let broken = Model::of(&files.with(super::APPROVALS, from, to));
        let said = compute(&broken, &loaded, as_of, &selections).await;
        assert!(
            said.is_err_and(|said| said.contains("could not compute")),
            "{to}"
        );
    }
}

/// The model with more measures: each that names a word, with each other word in its place. And which
/// measure each of these was.
fn with_words_changed(mut model: Model) -> (Model, Vec<(String, String)>) {
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

/// Ways in which report and gate could come to disagree, and what is said then.
fn disagreements(files: &Files, rows: &[Value]) {
    let parameters = format!("{}/definition/expressions.tmdl", super::MODEL);
    for (path, from, to, said) in [
        (
            super::APPROVALS,
            "= \"Timeout\"",
            "= \"TimedOut\"",
            "TimedOut",
        ),
        (super::APPROVALS, "= \"Lapsed\"", "= \"Expired\"", "Expired"),
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
        // The word may be there more than once.
        let mut changed = files.with(path, from, to);
        while from.starts_with("= ") && changed.text(path).contains(from) {
            changed = changed.with(path, from, to);
        }
        let found = breaches(&changed, rows);
        assert!(
            found.iter().any(|breach| breach.contains(said)),
            "{said}: {found:?}"
        );
    }
}

#[track_caller]
fn are(computed: &BTreeMap<String, Value>, expected: &Value) {
    for (name, expected) in expected.as_object().unwrap() {
        let computed = &computed[name];
        assert!(
            is_close(computed, expected),
            "{name}: {computed}, not {expected}"
        );
    }
}

/// The columns that are computed for each row.
fn in_rows(computed: &Computed, rows: &[Value]) {
    for (column, expected) in [
        ("Requested date", json!("2025-05-06T00:00:00.000")),
        ("Requested at (UTC)", json!("2025-05-06T07:08:09.000")),
        ("Hour (UTC)", json!(7)),
        ("Weekday number", json!(2)),
        ("Weekday", json!("Tue")),
        ("Minutes to decision", json!(111.0 / 60.0)),
        ("Exception", json!(null)),
        ("Deadline (UTC)", json!(null)),
        ("Signed", json!(false)),
    ] {
        let is = computed.cell("p1", column);
        assert!(is_close(is, &expected), "{column}: {is}");
    }
    assert_eq!(computed.cell("p3", "Approver"), &json!(null));
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
        ("not executed", 3),
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

#[tokio::test]
async fn over_an_empty_table_every_counter_is_0() {
    let model = Model::of(&Files::read());
    let as_of = "2026-11-22T10:11:12.345";
    let computed = compute(&model, &[], as_of, &json!([{}])).await.unwrap();
    let days = &computed.tables["rows"]["Calendar"];
    assert_eq!(days, &json!([["2026-11-22"]]));
    for measure in &model.approvals().measures {
        let expected = match (measure.name.as_str(), measure.property("formatString")) {
            ("As of (UTC)", _) => json!(as_of),
            (_, "#,0") => json!(0),
            _ => json!(null),
        };
        let is = &computed.measures[0][&measure.name];
        assert!(is_close(is, &expected), "{}: {is}", measure.name);
    }
}
