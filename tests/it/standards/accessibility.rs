//! The rules of axe-core, and those that it has none for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::documents::documents;
use super::view::{View, tool};

/// WCAG 2.2 at levels A and AA, and axe's own advice.
const RULES: &str =
    r#"{"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}"#;
/// What depends on colours and sizes.
const SIGHT: &str = r#"{"runOnly": {"type": "rule", "values": ["color-contrast", "target-size", "link-in-text-block"]}}"#;

/// The violations, each with its first elements.
async fn violations(view: &View, rules: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         axe.run(document, {rules}).then(
             found => done(found.violations.map(it => [it.id, it.help, it.nodes.slice(0, 3).map(node => node.html)])),
             error => done([String(error)]))"
    );
    let found = view.browser.window.execute_async(&script, Vec::new());
    found.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_document_violates_a_rule_of_axe() {
    let Some(view) = View::open().await else {
        return;
    };
    let axe = std::fs::read_to_string(tool("axe-core/axe.min.js")).unwrap();
    let axe = json!({"source": axe});
    view.browser
        .devtools("Page.addScriptToEvaluateOnNewDocument", axe)
        .await;
    // Each violation with what has it.
    let mut faults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (number, document) in documents().await.iter().enumerate() {
        view.show(number).await;
        for (width, scheme, rules) in [
            (375, "light", RULES),
            (375, "dark", SIGHT),
            (1_280, "dark", RULES),
            (1_280, "light", SIGHT),
        ] {
            view.resize(width, 800).await;
            view.prefer(&[("prefers-color-scheme", scheme)]).await;
            for violation in violations(&view, rules).await.as_array().unwrap() {
                let place = format!("{}, {width}, {scheme}: {}", document.name, violation[2]);
                let fault = violation[1].to_string();
                faults.entry(fault).or_default().push(place);
            }
        }
    }
    view.close().await;
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_forced_colours_each_control_has_a_border_and_nothing_ever_moves() {
    let Some(view) = View::open().await else {
        return;
    };
    view.prefer(&[
        ("forced-colors", "active"),
        ("prefers-reduced-motion", "reduce"),
    ])
    .await;
    let faults = view
        .faults(
            "if (!matchMedia('(forced-colors: active)').matches) return 'no forced colours';
             const faults = [];
             for (const it of document.querySelectorAll('button, a.button, input:not([type=hidden]):not([type=radio]), textarea, select, .warn, .card, .state.yes, .state.no')) {
                 if (it.closest('table[role=presentation]')) continue;
                 const style = getComputedStyle(it);
                 if (style.borderTopStyle === 'none' || parseFloat(style.borderTopWidth) < 1
                     || style.borderTopColor === style.backgroundColor) faults.push(it.outerHTML.slice(0, 120));
             }
             for (const it of document.querySelectorAll('*')) {
                 const style = getComputedStyle(it);
                 if (style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0) faults.push('moves: ' + it.tagName);
             }
             return faults",
        )
        .await;
    view.close().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The title says what a tab is about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_document_names_its_language_and_its_tab() {
    let mut titles: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for document in documents().await {
        assert!(
            document.html.contains("<html lang=\"en\">"),
            "{}",
            document.name
        );
        let (_, rest) = document.html.split_once("<title>").unwrap();
        let (title, _) = rest.split_once("</title>").unwrap();
        assert!(!title.trim().is_empty(), "{}", document.name);
        let is_sample = document.name.starts_with("page of ");
        let is_ended = [
            "rejected",
            "withdrawn",
            "expired",
            "approved",
            "revoked",
            "lapsed",
            "wrong code",
            "inbox",
        ];
        if is_sample || is_ended.contains(&document.name.as_str()) {
            titles.entry(title).or_default().push(&document.name);
        }
    }
    let shared: Vec<_> = titles.iter().filter(|(_, names)| names.len() > 1).collect();
    assert!(titles.len() > 20 && shared.is_empty(), "{shared:?}");
}

/// WCAG 2.2.1: a page that loads itself again takes the focus, and closes what its reader has opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_refreshes_itself_but_the_inbox_of_local_development() {
    let all = documents().await.iter();
    let refreshing = all.filter(|it| it.html.contains("http-equiv=\"refresh\""));
    let names: Vec<&str> = refreshing.map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["empty inbox", "inbox"]);
    let offering = documents().await.iter();
    let offering = offering.filter(|it| it.html.contains(">Refresh</a>"));
    assert!(offering.count() > 1);
}

/// What a program that translates pages does: values are what runs, and the words around them are to be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_stay_as_they_are_in_a_translation() {
    let Some(view) = View::open().await else {
        return;
    };
    let mut seen = 0;
    for (number, document) in documents().await.iter().enumerate() {
        let name = &document.name;
        let is_asked = ["page of ", "mail of "]
            .iter()
            .any(|it| name.starts_with(it))
            || ["changed", "asked again", "list"].contains(&name.as_str());
        if !is_asked {
            continue;
        }
        view.show(number).await;
        let found = view
            .browser
            .js("const all = selector => [...document.querySelectorAll(selector)];
                 const exact = all('h1 bdi, h1 span, .value, pre, ol.lines li, .card th, .box, dd bdi, .warn > p > span, ul.mails bdi');
                 const words = all('h2, blockquote, em[translate], .state, button, label, p.dim, dt, summary');
                 const text = it => it.outerHTML.slice(0, 100);
                 return [exact.length, exact.filter(it => it.translate).map(text), words.filter(it => !it.translate).map(text)]")
            .await;
        seen += found[0].as_u64().unwrap();
        assert_eq!((&found[1], &found[2]), (&json!([]), &json!([])), "{name}");
    }
    view.close().await;
    assert!(seen > 500, "{seen}");
}
