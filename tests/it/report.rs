//! The Power BI report in report/, checked without Power BI: `faults` are our own checks, `microsofts_faults`
//! those of Microsoft's tools, `contract` compares the report with the gate, and `measures` computes every
//! measure over rows that a gate wrote.

mod contract;
mod dataflow;
mod engine;
mod faults;
mod measures;
mod mistakes;
mod model;
mod rows;
mod schemas;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::deadline::blocking_within;
use crate::harness::repository;
use faults::faults;
pub(crate) use measures::kinds_in;
use model::Model;

const REPORT: &str = "ApprovalOversight.Report";
const MODEL: &str = "ApprovalOversight.SemanticModel";
const APPROVALS: &str = "ApprovalOversight.SemanticModel/definition/tables/Approvals.tmdl";

/// The files of the project by their paths in report/.
#[derive(Clone)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn read() -> Self {
        Self::read_in(&repository().join("report"))
    }

    fn read_in(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                let project = name.starts_with("ApprovalOversight.") && !name.contains(".pbi/");
                if project && path.is_dir() {
                    folders.push(path);
                } else if project {
                    files.insert(name.to_owned(), std::fs::read(path).unwrap());
                }
            }
        }
        Self(files)
    }

    fn text(&self, path: &str) -> &str {
        let bytes = self.0.get(path).map_or([].as_slice(), Vec::as_slice);
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Null if the file is missing or is not JSON.
    fn json(&self, path: &str) -> Value {
        serde_json::from_str(self.text(path)).unwrap_or_default()
    }

    fn below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let paths = self.0.keys().map(String::as_str);
        paths.filter(move |path| path.starts_with(folder))
    }

    /// The project with one text in one file replaced by another.
    fn with(&self, path: &str, from: &str, to: &str) -> Self {
        let mut files = self.clone();
        let text = files.text(path);
        assert!(text.contains(from), "{from} in {path}");
        let changed = text.replacen(from, to, 1).into_bytes();
        files.0.insert(path.to_owned(), changed);
        files
    }

    fn write(&self, folder: &Path) {
        for (path, bytes) in &self.0 {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

/// The errors and warnings of Microsoft's `powerbi-report-author`, and the errors of Microsoft's M parser.
fn microsofts_faults(files: &Files) -> Vec<String> {
    let tools = repository().join(".tools/report");
    assert!(
        tools.join("installed").is_file(),
        "Microsoft's check of reports is not installed: run scripts/test once"
    );
    let folder = tempfile::tempdir().unwrap();
    files.write(folder.path());
    let mut author = Command::new("node");
    author
        .arg(tools.join("node_modules/.bin/powerbi-report-author"))
        .args(["validate", "--no-schema", "--format", "json"])
        .arg(folder.path().join(REPORT));
    let output = blocking_within(move || author.output()).unwrap();
    let output: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
    assert!(output["data"]["warningCount"].is_u64(), "{output}");
    let report_faults = output["data"]["diagnostics"].as_object();
    let report_faults = report_faults.into_iter().flatten();
    let mut faults: Vec<String> = report_faults
        .map(|(kind, fault)| format!("{kind} {fault}"))
        .collect();
    let model = Model::parse(files);
    let tables = model.tables.iter().filter(|table| !table.is_calculated);
    let sources = tables.map(|table| &table.source);
    let m: Vec<_> = sources.chain(model.parameters.values()).collect();
    faults.extend(m_parser_faults(&m));
    faults
}

/// What Microsoft's M parser says against these texts.
fn m_parser_faults(m: &[&String]) -> Vec<String> {
    let mut node = Command::new("node")
        .arg(repository().join("tests/report/m.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = node.stdin.take().unwrap();
    stdin.write_all(json!(m).to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = blocking_within(|| node.wait_with_output()).unwrap();
    assert!(output.status.success());
    let faults = String::from_utf8(output.stdout).unwrap();
    faults.lines().map(str::to_owned).collect()
}

#[test]
fn the_project_has_no_faults() {
    let files = Files::read();
    assert_eq!(faults(&files), [] as [&str; 0]);
    assert_eq!(microsofts_faults(&files), [] as [&str; 0]);
}

/// The dictionary in report/README.md contains every measure with its description from the model.
#[test]
fn the_readme_explains_every_measure() {
    let readme = std::fs::read_to_string(repository().join("report/README.md")).unwrap();
    for measure in &Model::parse(&Files::read()).approvals().measures {
        let row = format!("| {} | {} |", measure.name, measure.description);
        assert!(readme.contains(&row), "{row}");
    }
}

/// report/preview/ equals the output of `scripts/report-preview`.
#[test]
fn the_preview_is_current() {
    let folder = tempfile::tempdir().unwrap();
    let mut preview = Command::new("python3");
    preview
        .args(["-B", "scripts/report-preview"])
        .arg(folder.path())
        .current_dir(repository());
    let generated = blocking_within(move || preview.status()).unwrap();
    assert!(generated.success());
    let read = |folder: &Path| -> BTreeMap<_, _> {
        let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        files
            .map(|file| {
                (
                    file.file_name(),
                    std::fs::read_to_string(file.path()).unwrap(),
                )
            })
            .collect()
    };
    let (generated, committed) = (
        read(folder.path()),
        read(&repository().join("report/preview")),
    );
    assert_eq!(generated.len(), 6);
    assert!(generated == committed, "run scripts/report-preview");
}
