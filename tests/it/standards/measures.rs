//! What the requests of 17 kinds of agents measure, as docs/approvers.md states it.

use std::collections::BTreeMap;

use super::documents::documents;
use super::samples::samples;
use super::view::View;
use crate::harness::repository;

/// A phone of 2016, whose screen is small.
const PHONE: (u32, u32) = (375, 667);
/// Bytes of an email's HTML, and of all of it.
const EMAIL: (usize, usize) = (60_000, 100_000);
const BEGIN: &str = "<!-- measures -->\n";
const END: &str = "<!-- end of measures -->";

/// The alarms, and where code and button end on the phone.
const MEASURE: &str = "
    // It stands on pages of local development alone.
    document.querySelector('header.local')?.remove();
    const end = it => Math.round(document.querySelector(it).getBoundingClientRect().bottom + scrollY);
    const check = [...document.querySelectorAll('.warn')].find(it => it.textContent.includes('Check carefully'));
    return [check ? check.querySelectorAll('p').length : 0, end('#code'), end('button[value=approve]')]";

/// The numbers of one row: alarms, code, button, page, HTML of the email, all of the email.
type Row = [u64; 6];

async fn measure(view: &View) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    view.resize(PHONE.0, PHONE.1).await;
    for (number, document) in documents().await.iter().enumerate() {
        if let Some(name) = document.name.strip_prefix("page of ") {
            view.show(number).await;
            let found = view.browser.js(MEASURE).await;
            let [alarms, code, approve] = [0, 1, 2].map(|it| found[it].as_u64().unwrap());
            let page = document.html.len() as u64;
            rows.insert(name.to_owned(), [alarms, code, approve, page, 0, 0]);
        } else if let Some(row) = document
            .name
            .strip_prefix("mail of ")
            .and_then(|name| rows.get_mut(name))
        {
            row[4] = document.html.len() as u64;
            row[5] = document.bytes as u64;
        }
    }
    rows
}

/// The table, in the order of the samples. Sizes are in kB.
fn table(rows: &BTreeMap<String, Row>) -> String {
    let mut table = "| request | alarms | code ends at | Approve ends at | page | email's HTML | email |\n|---|---|---|---|---|---|---|\n".to_owned();
    for sample in samples() {
        let [alarms, code, approve, sizes @ ..] = rows[sample.name];
        let sizes = sizes
            .map(|size| format!("{:.1} kB", size as f64 / 1_000.0))
            .join(" | ");
        table.push_str(&format!(
            "| {} | {alarms} | {code} px | {approve} px | {sizes} |\n",
            sample.name
        ));
    }
    table
}

/// Whether two tables agree: words and alarms exactly, positions and sizes within a tenth or 24, since fonts and dates differ.
fn agree(kept: &str, made: &str) -> bool {
    let cells = |table: &str| -> Vec<String> {
        table
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let (kept, made) = (cells(kept), cells(made));
    kept.len() == made.len()
        && kept.iter().zip(&made).all(|(kept, made)| {
            let number = |cell: &str| {
                cell.split_once(' ')
                    .and_then(|(number, _)| number.parse::<f64>().ok())
            };
            match (number(kept), number(made)) {
                (Some(a), Some(b)) => {
                    (a - b).abs()
                        <= f64::max(b / 10.0, if kept.ends_with("px") { 24.0 } else { 0.5 })
                }
                _ => kept == made,
            }
        })
}

/// `HO_UPDATE_MEASURES=1` writes the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_measures_of_17_kinds_of_requests_are_those_of_the_documentation() {
    let Some(view) = View::open().await else {
        return;
    };
    let rows = measure(&view).await;
    view.close().await;
    let made = table(&rows);
    let path = repository().join("docs/approvers.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once(END).unwrap();
    if std::env::var_os("HO_UPDATE_MEASURES").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else {
        assert!(
            agree(kept, &made),
            "docs/approvers.md has\n{kept}and measured is\n{made}"
        );
    }
    assert_eq!(rows.len(), 17);
    for sample in samples() {
        let name = sample.name;
        let [alarms, _, approve, _, html, all] = rows[name];
        assert_eq!(alarms, sample.alarms, "{name}");
        if sample.is_usual {
            assert!(
                approve <= u64::from(PHONE.1),
                "{name}: Approve ends at {approve}"
            );
        }
        assert!(
            html < EMAIL.0 as u64 && all < EMAIL.1 as u64,
            "{name}: {html} and {all} bytes"
        );
    }
}

/// What the policy names comes first, in large type, and still leaves room for code and button.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_policy_names_is_large_and_above_code_and_button_on_the_first_screen() {
    let Some(view) = View::open().await else {
        return;
    };
    view.resize(PHONE.0, PHONE.1).await;
    for (name, is_page) in [
        ("payment by policy", true),
        ("mail of payment by policy", false),
    ] {
        let all = documents().await;
        let number = all.iter().position(|it| it.name == name).unwrap();
        view.show(number).await;
        // Each value with its size and its place.
        let values = view
            .browser
            .js("return ['\"18000.50\"', 'EUR', 'DE89 3704 0044 0532 0130 00', '2026-1187'].map(value => {
                     const cell = [...document.querySelectorAll('td')].find(it => it.textContent === value);
                     const inner = cell.querySelector('.value') ?? cell;
                     return [parseFloat(getComputedStyle(inner).fontSize), cell.getBoundingClientRect().bottom + scrollY];
                 })")
            .await;
        let values: Vec<[f64; 2]> = serde_json::from_value(values).unwrap();
        for [size, _] in &values[..3] {
            assert!(*size >= 20.0, "{name}: {values:?}");
        }
        assert!(values[3][0] < 20.0, "{name}: {values:?}");
        let places: Vec<f64> = values.iter().map(|it| it[1]).collect();
        assert!(places.is_sorted(), "{name}: {values:?}");
        assert!(places[2] <= f64::from(PHONE.1), "{name}: {values:?}");
        if is_page {
            let found = view.browser.js(MEASURE).await;
            let approve = found[2].as_u64().unwrap();
            assert!(approve <= u64::from(PHONE.1), "Approve ends at {approve}");
            assert!(found[1].as_f64().unwrap() > places[2], "{found} {values:?}");
        }
    }
    view.close().await;
}

/// What is long has a link to the decision within the first screen, which leads there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_request_has_a_link_to_the_decision_within_the_first_screen() {
    let Some(view) = View::open().await else {
        return;
    };
    view.resize(PHONE.0, PHONE.1).await;
    let mut linked = 0;
    for (number, document) in documents().await.iter().enumerate() {
        let Some(name) = document.name.strip_prefix("page of ") else {
            continue;
        };
        view.show(number).await;
        let approve = view.browser.js(MEASURE).await[2].as_u64().unwrap();
        let link = view
            .browser
            .js("const link = document.querySelector('a[href=\"#decision\"]');
                 if (!link) return null;
                 const end = link.getBoundingClientRect().bottom;
                 link.click();
                 return [end, document.querySelector('#decision').getBoundingClientRect().top, document.querySelector('button[value=approve]').getBoundingClientRect().bottom]")
            .await;
        // Half as much again is one movement of the thumb.
        if approve > u64::from(PHONE.1) * 3 / 2 {
            assert!(
                !link.is_null(),
                "{name}: Approve ends at {approve}, without a link to it"
            );
        }
        if let Some(places) = link.as_array() {
            let places: Vec<f64> = places.iter().map(|it| it.as_f64().unwrap()).collect();
            let height = f64::from(PHONE.1);
            assert!(places[0] < height, "{name}: the link ends at {}", places[0]);
            assert!(
                places[1] >= -1.0 && places[2] < height,
                "{name}: {places:?}"
            );
            linked += 1;
        }
    }
    view.close().await;
    assert!(linked >= 4, "{linked}");
}
