//! The Power BI report in report/: a whole, and one with the gate. Power BI itself runs nowhere here, so
//! what can be known without it is checked: `faults` are ours, `microsofts_faults` those of Microsoft's
//! own check, and `measures` computes every measure over rows that a gate wrote.

mod contract;
mod faults;
mod lives;
mod measures;
mod mistakes;
mod model;
mod schemas;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::deadline::blocking_within;
use crate::harness::repository;
use faults::faults;
use model::Model;

const REPORT: &str = "ApprovalOversight.Report";
const MODEL: &str = "ApprovalOversight.SemanticModel";
const APPROVALS: &str = "ApprovalOversight.SemanticModel/definition/tables/Approvals.tmdl";

/// The files of the project by their paths in report/.
#[derive(Clone)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn read() -> Self {
        let root = repository().join("report");
        let mut files = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
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

    /// Null if there is no such file, or no JSON in it.
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

/// What Microsoft's `powerbi-report-author` says, warnings too, and Microsoft's parser of M.
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
    let said = blocking_within(move || author.output()).unwrap();
    let said: Value = serde_json::from_slice(&said.stdout).expect("it says JSON");
    assert!(said["data"]["warningCount"].is_u64(), "{said}");
    let of_report = said["data"]["diagnostics"].as_object();
    let of_report = of_report.into_iter().flatten();
    let mut faults: Vec<String> = of_report
        .map(|(kind, fault)| format!("{kind} {fault}"))
        .collect();
    let model = Model::of(files);
    let tables = model.tables.iter().filter(|table| !table.is_calculated);
    let sources = tables.map(|table| &table.source);
    let m: Vec<_> = sources.chain(model.parameters.values()).collect();
    let mut node = Command::new("node")
        .arg(repository().join("tests/report/m.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = node.stdin.take().unwrap();
    stdin.write_all(json!(m).to_string().as_bytes()).unwrap();
    drop(stdin);
    let said = blocking_within(|| node.wait_with_output()).unwrap();
    assert!(said.status.success());
    let of_m = String::from_utf8(said.stdout).unwrap();
    faults.extend(of_m.lines().map(str::to_owned));
    faults
}

#[test]
fn the_project_is_whole() {
    let files = Files::read();
    assert_eq!(faults(&files), [] as [&str; 0]);
    assert_eq!(microsofts_faults(&files), [] as [&str; 0]);
}

/// The dictionary in report/README.md has every measure, with the words of the model.
#[test]
fn the_readme_explains_every_measure() {
    let readme = std::fs::read_to_string(repository().join("report/README.md")).unwrap();
    for measure in &Model::of(&Files::read()).approvals().measures {
        let row = format!("| {} | {} |", measure.name, measure.description);
        assert!(readme.contains(&row), "{row}");
    }
}

/// report/preview/ is what `scripts/report-preview` makes of the project as it stands.
#[test]
fn the_preview_is_current() {
    let folder = tempfile::tempdir().unwrap();
    let mut preview = Command::new("python3");
    preview
        .args(["-B", "scripts/report-preview"])
        .arg(folder.path())
        .current_dir(repository());
    let made = blocking_within(move || preview.status()).unwrap();
    assert!(made.success());
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
    let (made, kept) = (
        read(folder.path()),
        read(&repository().join("report/preview")),
    );
    assert_eq!(made.len(), 3);
    assert!(made == kept, "run scripts/report-preview");
}
