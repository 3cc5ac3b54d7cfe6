//! The contract between report and gate: the table, its columns and their types, and every status word.

use std::collections::BTreeSet;

use human_oversight::config::{Config, StoreConfig};
use serde_json::Value;

use super::Files;
use super::model::Model;

/// Differences between the report and the rows, which contain every value that a gate can write.
pub(super) fn breaches(files: &Files, rows: &[Value]) -> Vec<String> {
    let model = Model::parse(files);
    let table = model.approvals();
    let mut breaches = Vec::new();
    let any = |name: &str| rows.iter().any(|row| row.get(name).is_some());
    for list in ["Times", "Flags", "Texts", "Parts"] {
        for field in table.list(list) {
            let is_time = any(&format!("{field}@odata.type"));
            if !any(field) {
                breaches.push(format!("the gate writes no {field}"));
            } else if is_time != (list == "Times") {
                breaches.push(format!("{field} is no {list} in the gate's rows"));
            }
        }
    }
    let dax: Vec<&str> = table.dax().collect();
    for (column, field, schema) in [
        ("Status", "Status", "Status"),
        ("Execution", "ExecutionStatus", "ExecutionStatus"),
    ] {
        let in_dax = dax.iter().flat_map(|dax| words(dax, column));
        let in_dax: BTreeSet<String> = in_dax.map(str::to_owned).collect();
        let written = rows.iter().filter_map(|row| row[field].as_str());
        let written: BTreeSet<String> = written.map(str::to_owned).collect();
        assert_eq!(written, documented(schema), "the rows contain every word");
        if in_dax != written {
            breaches.push(format!(
                "{column}: {in_dax:?} in DAX, {written:?} in the rows"
            ));
        }
    }
    let default = format!("{:?}", default_table());
    let named = &model.parameters["ApprovalsTable"];
    if *named != default || default.chars().any(|c| c.is_ascii_uppercase()) {
        breaches.push(format!("the table is {named}, and the gate's {default}"));
    }
    breaches
}

/// The words with which DAX compares this column.
fn words<'a>(dax: &'a str, column: &str) -> Vec<&'a str> {
    let name = format!("Approvals[{column}]");
    let mut words = Vec::new();
    for (at, _) in dax.match_indices(&name) {
        let rest = dax[at + name.len()..].trim_start();
        let list = match rest.strip_prefix("IN {") {
            Some(list) => list.split_once('}').unwrap().0,
            None => {
                let compared = ["= ", "<> "]
                    .iter()
                    .find_map(|sign| rest.strip_prefix(sign));
                let word = compared.and_then(|word| word.strip_prefix('"')?.split_once('"'));
                words.extend(word.map(|(word, _)| word));
                continue;
            }
        };
        words.extend(list.split('"').skip(1).step_by(2));
    }
    words
}

/// The words of openapi.json; openapi.rs compares the gate's responses with it.
pub(super) fn documented(schema: &str) -> BTreeSet<String> {
    let document: Value =
        serde_json::from_str(include_str!("../../../src/http/openapi.json")).unwrap();
    let words = document["components"]["schemas"][schema]["enum"].as_array();
    let words = words.unwrap().iter().map(|word| word.as_str().unwrap());
    words.map(str::to_owned).collect()
}

fn default_table() -> String {
    let settings = [
        ("HO_STORE", "tables"),
        ("HO_TABLES_CONNECTION_STRING", "UseDevelopmentStorage=true"),
    ];
    let config = Config::read(|name| {
        let setting = settings.iter().find(|(n, _)| *n == name);
        setting.map(|(_, value)| (*value).to_owned())
    });
    match config.unwrap().store {
        StoreConfig::Tables { table, .. } => table,
        other => panic!("{other:?}"),
    }
}
