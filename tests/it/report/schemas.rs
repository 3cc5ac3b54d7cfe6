//! Microsoft's JSON schemas of the project's files, in tests/report/schemas.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use crate::harness::repository;

/// The error of a file against the schema that it names.
pub(super) fn validate(text: &str) -> Option<String> {
    static COMPILED: OnceLock<(Schemas, BTreeMap<String, SchemaIndex>)> = OnceLock::new();
    let (schemas, indices) = COMPILED.get_or_init(compiled);
    let Ok(json) = serde_json::from_str::<Value>(text) else {
        return Some("not JSON".to_owned());
    };
    let schema = json["$schema"].as_str().unwrap_or_default();
    let Some(index) = indices.get(schema) else {
        return Some(format!("no such schema: {schema}"));
    };
    let result = schemas.validate(&json, *index);
    result
        .err()
        .map(|error| format!("not as its schema wants it: {error:#}"))
}

fn compiled() -> (Schemas, BTreeMap<String, SchemaIndex>) {
    let root = repository().join("tests/report/schemas");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let mut folders = vec![root.clone()];
    let mut urls = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                let relative = path.strip_prefix(&root).unwrap().to_str().unwrap();
                let url = format!("https://developer.microsoft.com/json-schemas/fabric/{relative}");
                let schema = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                compiler.add_resource(&url, schema).unwrap();
                urls.push(url);
            }
        }
    }
    let compile = |url: String| {
        let index = compiler.compile(&url, &mut schemas).unwrap();
        (url, index)
    };
    let indices = urls.into_iter().map(compile).collect();
    (schemas, indices)
}
