//! Faults of the project itself: its files, their references, what readers see, and Microsoft's JSON schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::{Model, Table, unquoted};
use super::schemas::validate;
use super::{Files, MODEL, REPORT};

pub(super) fn faults(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, bytes) in &files.0 {
        let found = file_faults(path, bytes);
        faults.extend(found.into_iter().map(|fault| format!("{path}: {fault}")));
    }
    faults.extend(path_faults(files));
    let model = Model::parse(files);
    faults.extend(page_faults(files, &model));
    faults.extend(model_faults(files, &model));
    faults
}

/// Faults of any file: its encoding, forbidden content, its schema.
fn file_faults(path: &str, bytes: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return vec!["not UTF-8".to_owned()];
    };
    let mut faults = Vec::new();
    if text.contains('\u{feff}') {
        faults.push("a byte order mark".to_owned());
    }
    let own: Vec<&str> = text
        .lines()
        .filter(|l| !l.contains("\"$schema\""))
        .collect();
    let own = own.join("\n");
    if own.contains('@') {
        faults.push("an address".to_owned());
    }
    for word in ["sig=", "AccountKey", "SharedAccessSignature"] {
        if own.contains(word) {
            faults.push(word.to_owned());
        }
    }
    let is_key = |blob: &str| {
        let has = |kind: fn(&u8) -> bool| blob.as_bytes().iter().any(kind);
        blob.len() >= 32
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
    };
    if own
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/')
        .any(is_key)
    {
        faults.push("what looks like a key".to_owned());
    }
    if !path.ends_with(".tmdl") && !path.contains("/StaticResources/") {
        faults.extend(validate(text));
    }
    faults
}

/// Faults in references between files.
fn path_faults(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check_path = |from: &str, to: &str| {
        if !files.0.contains_key(to) {
            faults.push(format!("{from}: {to} leads nowhere"));
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let project = files.json("ApprovalOversight.pbip");
    let report = text(&project["artifacts"][0]["report"]["path"]);
    check_path(
        "ApprovalOversight.pbip",
        &format!("{report}/definition.pbir"),
    );
    let link = format!("{REPORT}/definition.pbir");
    let model = text(&files.json(&link)["datasetReference"]["byPath"]["path"]);
    let model = model.strip_prefix("../").unwrap_or_default();
    check_path(&link, &format!("{model}/definition.pbism"));
    let report = format!("{REPORT}/definition/report.json");
    let package = &files.json(&report)["resourcePackages"][0];
    let theme = text(&package["items"][0]["path"]);
    check_path(
        &report,
        &format!(
            "{REPORT}/StaticResources/{}/{theme}",
            text(&package["name"])
        ),
    );
    for folder in [REPORT, MODEL] {
        check_path("the project", &format!("{folder}/.platform"));
    }
    faults
}

/// Faults of pages and visuals, and of the fields in them.
fn page_faults(files: &Files, model: &Model) -> Vec<String> {
    let mut faults = Vec::new();
    let folder = format!("{REPORT}/definition/pages/");
    let list = files.json(&format!("{folder}pages.json"));
    let mut listed: Vec<&str> = Vec::new();
    listed.extend(
        list["pageOrder"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str),
    );
    let in_folder = |path: &str| Some(path.strip_prefix(&folder)?.split_once('/')?.0.to_owned());
    let pages: BTreeSet<String> = files.below(&folder).filter_map(in_folder).collect();
    let active = list["activePageName"].as_str().unwrap_or_default();
    if pages.iter().map(String::as_str).collect::<BTreeSet<_>>() != listed.iter().copied().collect()
        || pages.len() != listed.len()
        || !pages.contains(active)
    {
        faults.push("pages.json: they do not list the pages".to_owned());
    }
    for name in pages {
        let page = files.json(&format!("{folder}{name}/page.json"));
        if page["name"] != *name {
            faults.push(format!("{name}/page.json: not named as its folder"));
        }
        let mut boxes: Vec<(String, [f64; 4])> = Vec::new();
        let visuals = format!("{folder}{name}/visuals/");
        for path in files.below(&visuals) {
            let visual = files.json(path);
            let name = path
                .strip_prefix(&visuals)
                .unwrap()
                .split('/')
                .next()
                .unwrap();
            let mut fault = |what: String| faults.push(format!("{path}: {what}"));
            if visual["name"] != *name {
                fault("not named as its folder".to_owned());
            }
            let shown = &visual["visual"]["visualContainerObjects"];
            for (object, property, what) in [
                ("general", "altText", "no alternative text"),
                ("title", "text", "no title"),
            ] {
                let text = &shown[object][0]["properties"][property]["expr"]["Literal"]["Value"];
                if text
                    .as_str()
                    .is_none_or(|text| text.trim_matches('\'').trim().is_empty())
                {
                    fault(what.to_owned());
                }
            }
            let at = |key: &str| visual["position"][key].as_f64().unwrap_or(f64::NAN);
            let [x, y] = [at("x"), at("y")];
            let place = [x, y, x + at("width"), y + at("height")];
            let size = |key: &str| page[key].as_f64().unwrap_or_default();
            if x < 0.0 || y < 0.0 || place[2] > size("width") || place[3] > size("height") {
                fault("leaves the page".to_owned());
            }
            let meets = |other: &[f64; 4]| {
                (0..2).all(|i| place[i] < other[i + 2] && other[i] < place[i + 2])
            };
            for (other, _) in boxes.iter().filter(|(_, other)| meets(other)) {
                fault(format!("overlaps {other}"));
            }
            boxes.push((name.to_owned(), place));
            check_fields(&visual, &aliases(&visual), model, &mut fault);
        }
    }
    faults
}

/// The aliases of tables in filters.
fn aliases(visual: &Value) -> BTreeMap<String, String> {
    let filters = visual["filterConfig"]["filters"].as_array();
    let from = filters
        .into_iter()
        .flatten()
        .flat_map(|filter| filter["filter"]["From"].as_array());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    from.flatten()
        .map(|from| (text(&from["Name"]), text(&from["Entity"])))
        .collect()
}

/// Checks every field that a visual names.
fn check_fields(
    value: &Value,
    aliases: &BTreeMap<String, String>,
    model: &Model,
    fault: &mut impl FnMut(String),
) {
    let children: Vec<&Value> = match value {
        Value::Object(object) => object.values().collect(),
        Value::Array(array) => array.iter().collect(),
        _ => return,
    };
    for kind in ["Column", "Measure"] {
        let Some(field) = value.get(kind) else {
            continue;
        };
        let source = &field["Expression"]["SourceRef"];
        let short = || aliases.get(source["Source"].as_str()?).map(String::as_str);
        let table = source["Entity"].as_str().or_else(short).unwrap_or_default();
        let name = field["Property"].as_str().unwrap_or_default();
        if !has(model, kind == "Measure", table, name) {
            fault(format!("no {} {table}[{name}]", kind.to_lowercase()));
        }
    }
    if let Some(query_ref) = value.get("queryRef") {
        let of = |kind: &str| {
            let field = &value["field"][kind];
            let table = field["Expression"]["SourceRef"]["Entity"].as_str()?;
            Some((table.to_owned(), field["Property"].as_str()?.to_owned()))
        };
        let (table, name) = of("Column").or_else(|| of("Measure")).unwrap_or_default();
        if *query_ref != format!("{table}.{name}") || value["nativeQueryRef"] != name {
            fault(format!("queryRef {query_ref} is not {table}.{name}"));
        }
    }
    for child in children {
        check_fields(child, aliases, model, fault);
    }
}

fn has(model: &Model, measure: bool, table: &str, name: &str) -> bool {
    model.table(table).is_some_and(|table| {
        let items = if measure {
            &table.measures
        } else {
            &table.columns
        };
        items.iter().any(|item| item.name == name)
    })
}

/// Expressions that depend on the clock or the time zone of the machine. `UtcNow` does not.
const MACHINE_DEPENDENT: [&str; 6] = [
    "LocalNow",
    "ToLocal",
    "LocalZone",
    "type datetimezone",
    "NOW (",
    "TODAY (",
];

fn model_faults(files: &Files, model: &Model) -> Vec<String> {
    let mut faults = Vec::new();
    let listed = files.text(&format!("{MODEL}/definition/model.tmdl"));
    for table in &model.tables {
        let name = &table.name;
        if !listed.contains(&format!("ref table {name}\n")) {
            faults.push(format!("model.tmdl does not list the table {name}"));
        }
        let mut names = BTreeSet::new();
        for item in table.columns.iter().chain(&table.measures) {
            if !names.insert(item.name.to_lowercase()) {
                faults.push(format!("there twice: {name}[{}]", item.name));
            }
            let sorted_by = unquoted(item.property("sortByColumn"));
            if !sorted_by.is_empty() && !has(model, false, name, sorted_by) {
                faults.push(format!("no column {name}[{sorted_by}]"));
            }
        }
        let silent = table
            .measures
            .iter()
            .filter(|measure| measure.description.is_empty());
        faults.extend(silent.map(|measure| format!("no description: {}", measure.name)));
        for dax in table.dax() {
            faults.extend(references(dax).filter_map(|(table, name)| {
                let found = match table {
                    "" => model
                        .tables
                        .iter()
                        .any(|table| has(model, true, &table.name, name)),
                    _ => has(model, false, table, name),
                };
                let what = if table.is_empty() {
                    "measure "
                } else {
                    "column "
                };
                (!found).then(|| format!("no {what}{table}[{name}]"))
            }));
        }
        let expressions = table.dax().chain([table.source.as_str()]);
        let expressions = expressions.flat_map(|text| {
            MACHINE_DEPENDENT
                .iter()
                .filter(|word| text.contains(**word))
        });
        faults.extend(expressions.map(|word| format!("the time of the machine: {word}")));
        if !table.is_calculated {
            faults.extend(m_faults(table));
        }
    }
    for ends in &model.relationships {
        for end in [&ends.0, &ends.1] {
            let (table, column) = end.split_once('.').unwrap_or_default();
            if !has(model, false, table, unquoted(column)) {
                faults.push(format!("no column {table}[{}]", unquoted(column)));
            }
        }
    }
    for (name, value) in &model.parameters {
        if !model
            .tables
            .iter()
            .any(|table| table.source.contains(name.as_str()))
        {
            faults.push(format!("M does not use {name}"));
        }
        if name == "StorageAccount" && value != "\"youraccount\"" {
            faults.push("StorageAccount names an account".to_owned());
        }
    }
    faults
}

/// Differences between what M loads and the columns with their types.
fn m_faults(table: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    let aliases: Vec<&str> = table
        .columns
        .iter()
        .map(|c| c.property("sourceColumn"))
        .collect();
    for source in aliases.iter().filter(|source| !source.is_empty()) {
        if !table.source.contains(&format!("\"{source}\"")) {
            faults.push(format!("M does not make {source}"));
        }
    }
    // The filter runs before rows are expanded, and again on the time of the request.
    let at = |step: &str| table.source.find(step);
    let steps = [
        "each [Timestamp] >=",
        "ExpandRecordColumn",
        "[RequestTimestamp] = null and RangeStart <= Start and Start < RangeEnd or",
        "[RequestTimestamp] >= Start",
        "[RequestTimestamp] >= RangeStart",
        "[RequestTimestamp] < RangeEnd",
    ]
    .map(at);
    if steps[1].is_some() && (steps.contains(&None) || !steps.is_sorted()) {
        faults.push("M loads more than since Since".to_owned());
    }
    for (list, kind) in [
        ("Times", "dateTime"),
        ("Flags", "boolean"),
        ("Texts", "string"),
    ] {
        for field in table
            .list(list)
            .into_iter()
            .filter(|field| !field.is_empty())
        {
            let column = table
                .columns
                .iter()
                .find(|c| c.property("sourceColumn") == field);
            match column {
                None => faults.push(format!("M loads {field} for nothing")),
                Some(column) if column.property("dataType") != kind => {
                    faults.push(format!(
                        "{field} is {list} in M, and no {kind} in the model"
                    ));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

/// Each `Table[Column]` and `[Measure]` in DAX.
fn references(dax: &str) -> impl Iterator<Item = (&str, &str)> {
    // Every second piece is a quoted text.
    let code = dax.split('"').step_by(2);
    code.flat_map(|code| {
        code.match_indices('[').filter_map(move |(at, _)| {
            let name = code[at + 1..].split_once(']')?.0;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let table = &code[code[..at].trim_end_matches(is_name).len()..at];
            Some((table, name))
        })
    })
}
