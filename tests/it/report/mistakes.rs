//! Mistakes in copies of the project, which the checks find.

use super::faults::faults;
use super::{APPROVALS, Files, MODEL, REPORT, microsofts_faults};

const COVERAGE: &str = "ApprovalOversight.SemanticModel/definition/tables/Coverage.tmdl";
const OVERSIGHT: &str = "d74101c3eb6f17639a92";
const AUDIT: &str = "1673d96d732f7b060499";

fn visual(page: &str, name: &str) -> String {
    format!("{REPORT}/definition/pages/{page}/visuals/{name}/visual.json")
}

/// One mistake of each kind: the changed text, and a part of the expected fault.
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
    let model = format!("{MODEL}/definition/model.tmdl");
    for (path, from, to, expected) in [
        // Paths and names.
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
        // What readers see.
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
        // Fields of visuals.
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
            " and [RequestTimestamp] < RangeEnd",
            "",
            "more than since",
        ),
        (
            APPROVALS,
            "Approvals[Asked again] =",
            "Approvals[Repeated] =",
            "no column Approvals[Repeated]",
        ),
        (
            APPROVALS,
            "Coverage[Kind] = \"matched\"",
            "Coverage[Sort] = \"matched\"",
            "no column Coverage[Sort]",
        ),
        (
            COVERAGE,
            "sourceColumn: Actions",
            "sourceColumn: Count",
            "M does not make Count",
        ),
        (
            APPROVALS,
            "StorageAccount)",
            "Account)",
            "M does not use StorageAccount",
        ),
        (APPROVALS, "ToUtc(", "ToLocal(", "the time of the machine"),
        (
            APPROVALS,
            "MAX ( Refresh[Refreshed at (UTC)] )",
            "NOW ()",
            "the time of the machine",
        ),
        (
            APPROVALS,
            "each [Timestamp] >= Written",
            "each true",
            "more than since",
        ),
        (
            APPROVALS,
            "or [RequestTimestamp] >= Start",
            "or true",
            "more than since",
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
            &model,
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
        // Forbidden content.
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
        let is_found = found.iter().any(|fault| fault.contains(expected));
        assert!(is_found, "{path}: {from} → {to}: {found:?}");
    }
    let mut incomplete = files.clone();
    incomplete.0.remove(&format!("{REPORT}/.platform"));
    for (mistaken, expected) in [
        (incomplete, ".platform"),
        (files.with(&pie, r#""Category""#, r#""Wedges""#), "Wedges"),
        (
            files.with(&visual(AUDIT, "by_agent"), r#""mode""#, r#""modus""#),
            "modus",
        ),
        (files.with(&pie, "pieChart", "pyeChart"), "pyeChart"),
        (
            files.with(APPROVALS, "(Recent, {", "(Recent {"),
            "Expected to find",
        ),
    ] {
        let found = microsofts_faults(&mistaken);
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{expected}: {found:?}"
        );
    }
}
