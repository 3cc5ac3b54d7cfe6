//! The Power BI report in report/: a whole, and one with the gate. Power BI itself runs nowhere here, so
//! what can be known without it is checked: `faults` are ours, `microsofts_faults` those of Microsoft's
//! own check, and `measures` computes every measure over rows that a gate wrote.

mod contract;
mod faults;
mod measures;
mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

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

fn visual(page: &str, name: &str) -> String {
    format!("{REPORT}/definition/pages/{page}/visuals/{name}/visual.json")
}

const OVERSIGHT: &str = "d74101c3eb6f17639a92";
const AUDIT: &str = "1673d96d732f7b060499";

/// What `powerbi-report-author` says, warnings too.
fn microsofts_faults(files: &Files) -> Vec<String> {
    let tools = repository().join(".tools/report");
    assert!(
        tools.join("installed").is_file(),
        "Microsoft's check of reports is not installed: run scripts/test once"
    );
    let folder = tempfile::tempdir().unwrap();
    files.write(folder.path());
    let said = Command::new("node")
        .arg(tools.join("node_modules/.bin/powerbi-report-author"))
        .args(["validate", "--no-schema", "--format", "json"])
        .arg(folder.path().join(REPORT))
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&said.stdout).expect("it says JSON");
    assert!(said["data"]["warningCount"].is_u64(), "{said}");
    let faults = said["data"]["diagnostics"].as_object();
    let faults = faults.into_iter().flatten();
    faults
        .map(|(kind, fault)| format!("{kind} {fault}"))
        .collect()
}

#[test]
fn the_project_is_whole() {
    let files = Files::read();
    assert_eq!(faults(&files), [] as [&str; 0]);
    assert_eq!(microsofts_faults(&files), [] as [&str; 0]);
}

/// One of each kind of mistake, in a copy: what is changed, and who says what of it.
#[test]
fn each_kind_of_mistake_is_found() {
    let files = Files::read();
    let pie = visual(OVERSIGHT, "status");
    let table = visual(AUDIT, "requests");
    let page = format!("{REPORT}/definition/pages/{AUDIT}/page.json");
    let pages = format!("{REPORT}/definition/pages/pages.json");
    let report = format!("{REPORT}/definition/report.json");
    let link = format!("{REPORT}/definition.pbir");
    let relationships = format!("{MODEL}/definition/relationships.tmdl");
    let parameters = format!("{MODEL}/definition/expressions.tmdl");
    let of_model = format!("{MODEL}/definition/model.tmdl");
    for (path, from, to, said) in [
        // Where things are.
        (
            "ApprovalOversight.pbip",
            "Oversight.Report",
            "Report",
            "leads nowhere",
        ),
        (&link, "../Approval", "../Denial", "leads nowhere"),
        (
            &report,
            "BaseThemes/CY26SU10.json",
            "BaseThemes/CY.json",
            "leads nowhere",
        ),
        (
            &pie,
            r#""name": "status""#,
            r#""name": "state""#,
            "not named as its folder",
        ),
        (
            &page,
            r#""name": "1673"#,
            r#""name": "1674"#,
            "not named as its folder",
        ),
        (
            &pages,
            AUDIT,
            "1673d96d732f7b060490",
            "do not list the pages",
        ),
        // What people see.
        (
            &pie,
            "'Pie of the requests by status'",
            "''",
            "no alternative text",
        ),
        (&pie, "'Requests by status'", "''", "no title"),
        (&pie, r#""width": 300"#, r#""width": 400"#, "overlaps"),
        (
            &pie,
            r#""width": 300"#,
            r#""width": 3000"#,
            "leaves the page",
        ),
        // What visuals name.
        (
            &pie,
            r#""Property": "Status""#,
            r#""Property": "State""#,
            "no column Approvals[State]",
        ),
        (
            &pie,
            r#""Property": "Requests""#,
            r#""Property": "Asks""#,
            "no measure Approvals[Asks]",
        ),
        (
            &pie,
            r#""Entity": "Approvals""#,
            r#""Entity": "Rows""#,
            "no column Rows[Status]",
        ),
        (&pie, "Approvals.Status", "Approvals.State", "queryRef"),
        (
            &table,
            r#""Column": {"#,
            r#""Measure": {"#,
            "no measure Approvals[",
        ),
        // The model.
        (
            APPROVALS,
            "sourceColumn: RunBy",
            "sourceColumn: RunUntil",
            "M does not make RunUntil",
        ),
        (
            APPROVALS,
            r#", "RunBy""#,
            r#", "RunBy", "DueTimestamp""#,
            "loads DueTimestamp for nothing",
        ),
        (APPROVALS, r#""RunBy", "#, "", "M does not make RunBy"),
        (
            APPROVALS,
            "measure Executed =",
            "measure Status =",
            "there twice: Approvals[Status]",
        ),
        (
            APPROVALS,
            "sortByColumn: 'Weekday number'",
            "sortByColumn: Number",
            "no column Approvals[Number]",
        ),
        (
            APPROVALS,
            "[Rejected], [Decisions]",
            "[Refused], [Decisions]",
            "no measure [Refused]",
        ),
        (
            APPROVALS,
            "Approvals[Signed] =",
            "Approvals[Sealed] =",
            "no column Approvals[Sealed]",
        ),
        (
            APPROVALS,
            "\t/// Requests in the selection.\n",
            "",
            "no description: Requests",
        ),
        (
            APPROVALS,
            "StorageAccount)",
            "Account)",
            "M does not use StorageAccount",
        ),
        (
            APPROVALS,
            "\t\tdataType: boolean\n",
            "\t\tdataType: string\n",
            "is Flags in M",
        ),
        (
            &relationships,
            "'Requested date'",
            "'Asked date'",
            "no column Approvals[Asked date]",
        ),
        (
            &of_model,
            "ref table Calendar",
            "ref table Days",
            "does not list the table Calendar",
        ),
        (
            &parameters,
            "youraccount",
            "contosodata01",
            "names an account",
        ),
        // What must not be in it.
        (APPROVALS, "table", "\u{feff}table", "byte order mark"),
        (&pie, "Pie of", "alice@example.com:", "an address"),
        (&parameters, "youraccount", "x?sv=1&sig=a%2Fb", "sig="),
        (
            &parameters,
            "youraccount",
            "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsu==",
            "a key",
        ),
        // The schemas.
        (
            &pie,
            r#""visualType": "pieChart""#,
            r#""visualKind": "pieChart""#,
            "schema",
        ),
        (&page, r#""FitToPage""#, r#""FitToWall""#, "schema"),
        (&report, r#""themeCollection""#, r#""themes""#, "schema"),
        (
            &pie,
            "visualContainer/2.4.0",
            "visualContainer/2.4.1",
            "no such schema",
        ),
        (&pie, "\"visual\": {", "\"visual\": ", "not JSON"),
    ] {
        let found = faults(&files.with(path, from, to));
        let is_found = found.iter().any(|fault| fault.contains(said));
        assert!(is_found, "{path}: {from} → {to}: {found:?}");
    }
    let mut lost = files.clone();
    lost.0.remove(&format!("{REPORT}/.platform"));
    for (mistaken, said) in [
        (lost, ".platform"),
        (files.with(&pie, r#""Category""#, r#""Wedges""#), "Wedges"),
        (
            files.with(&visual(AUDIT, "by_agent"), r#""mode""#, r#""modus""#),
            "modus",
        ),
        (files.with(&pie, "pieChart", "pyeChart"), "pyeChart"),
    ] {
        let found = microsofts_faults(&mistaken);
        assert!(
            found.iter().any(|fault| fault.contains(said)),
            "{said}: {found:?}"
        );
    }
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
    let made = Command::new("python3")
        .args(["-B", "scripts/report-preview"])
        .arg(folder.path())
        .current_dir(repository())
        .status()
        .unwrap();
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
