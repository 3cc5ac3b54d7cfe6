//! Computes the model. The DAX is the report's own text, in an engine that is not Microsoft's. M is not
//! executed: `load_rows` implements it, with the lists of columns that it contains.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::deadline::within;

use super::model::{Model, Table, unquoted};
use crate::harness::repository;

/// The rows as the report's M loads them: the columns in its lists, texts as times, flags by presence, and
/// no row from before `since`.
pub(super) fn load_rows(table: &Table, rows: &[Value], since: &str) -> Vec<Vec<Value>> {
    let sources = table
        .columns
        .iter()
        .map(|column| column.property("sourceColumn"));
    let sources: Vec<&str> = sources.filter(|source| !source.is_empty()).collect();
    let [times, flags] = ["Times", "Flags"].map(|list| table.list(list));
    let cell = |row: &Value, source: &str| {
        if let Some(made) = of_plan_and_votes(row, source) {
            return made;
        }
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

/// What M makes of the columns `Plan` and `Votes`; `None` for other columns.
fn of_plan_and_votes(row: &Value, source: &str) -> Option<Value> {
    let parsed = |column: &str| {
        let text = row[column].as_str()?;
        Some(serde_json::from_str::<Value>(text).unwrap())
    };
    let plan = |read: fn(&Value) -> Value| parsed("Plan").map(|plan| read(&plan));
    let votes =
        |read: fn(&[Value]) -> Value| parsed("Votes").map(|it| read(it.as_array().unwrap()));

    Some(json!(match source {
        "Rules" => plan(|plan| {
            let rules = plan["rules"].as_array().unwrap().iter();
            let rules: Vec<&str> = rules.map(|rule| rule.as_str().unwrap()).collect();
            json!(rules.join(", "))
        }),
        "Needed" => plan(|plan| {
            let stages = plan["stages"].as_array().unwrap().iter();
            let asks = stages.flat_map(|asks| asks.as_array().unwrap());
            let needed: Vec<u64> = asks.map(|ask| ask["needed"].as_u64().unwrap()).collect();
            // The sum of no numbers is null.
            json!((!needed.is_empty()).then(|| needed.iter().sum::<u64>()))
        }),
        "VoteCount" => votes(|votes| json!(votes.len())),
        "FirstVote" => votes(|votes| json!(votes.first().unwrap()["at"].as_str().unwrap()[..19])),
        "LastVote" => votes(|votes| json!(votes.last().unwrap()["at"].as_str().unwrap()[..19])),
        _ => return None,
    }))
}

/// The rows of a file that `reconcile --table` writes, as the report's M loads them.
pub(super) fn load_coverage(table: &Table, csv: &str) -> Vec<Vec<Value>> {
    let lines: Vec<Vec<&str>> = csv
        .lines()
        .map(|line| line.split(',').map(|it| it.trim_matches('"')).collect())
        .collect();
    let (names, rows) = lines.split_first().unwrap();
    assert_eq!(table.list("Names"), *names);
    let cell = |row: &[&str], source: &str| {
        let text = row[names.iter().position(|it| *it == source).unwrap()];
        match source {
            "At" => json!(&text[..19]),
            "Actions" => json!(text.parse::<u64>().unwrap()),
            _ => json!(text),
        }
    };
    let sources = || table.columns.iter().map(|it| it.property("sourceColumn"));
    let rows = rows
        .iter()
        .map(|row| sources().map(|it| cell(row, it)).collect());
    rows.collect()
}

/// The result of the engine.
pub(super) struct Computed {
    pub(super) tables: Value,
    /// The measures in each of the requested selections.
    pub(super) measures: Vec<BTreeMap<String, Value>>,
}

impl Computed {
    /// A column of one request.
    pub(super) fn cell(&self, request: &str, column: &str) -> &Value {
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

pub(super) async fn compute(
    model: &Model,
    rows: &[Vec<Value>],
    policy_rules: &[&str],
    coverage: &[Vec<Value>],
    as_of: &str,
    selections: &Value,
) -> Result<Computed, String> {
    let tools = repository().join(".tools/report/dax");
    assert!(
        tools.join("installed").is_file(),
        "the engine for DAX is not installed: run scripts/test once"
    );
    let typed = |table: &Table| -> Vec<_> {
        let stored = table
            .columns
            .iter()
            .filter(|column| column.expression.is_none());
        let typed = stored.map(|column| json!([column.name, column.property("dataType")]));
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
    let rules = model.table("Rules").unwrap();
    let calculated = [approvals, rules].into_iter().flat_map(|table| {
        let columns = table.columns.iter();
        let columns = columns.filter_map(|column| dax(&column.name, &column.expression));
        columns.map(|(name, dax)| json!([table.name, name, dax]))
    });
    let measures = approvals.measures.iter();
    let measures = measures.filter_map(|measure| dax(&measure.name, &measure.expression));
    let tables = model.tables.iter().filter(|table| table.is_calculated);
    let input = json!({
        "tables": {
            "Approvals": {"columns": typed(approvals), "rows": rows},
            "Refresh": {"columns": typed(model.table("Refresh").unwrap()), "rows": [[as_of]]},
            "Coverage": {"columns": typed(model.table("Coverage").unwrap()), "rows": coverage},
            "Rules": {"columns": typed(rules), "rows": policy_rules.iter().map(|rule| [rule]).collect::<Vec<_>>()},
        },
        "columns": calculated.collect::<Vec<_>>(),
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
    stdin.write_all(input.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output = within(python.wait_with_output()).await.unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let mut tables: Value = serde_json::from_slice(&output.stdout).unwrap();
    let measures = serde_json::from_value(tables["measures"].take()).unwrap();
    Ok(Computed { tables, measures })
}
