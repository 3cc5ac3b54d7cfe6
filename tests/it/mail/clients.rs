//! What mail clients make of the emails: the HTML and CSS that they use, and their size.

use std::collections::{BTreeMap, BTreeSet};

use human_oversight_client::types::NewApproval;
use serde_json::{Value, json};

use crate::harness::{ALICE, BOB, TestGate, object, repository, request};

/// Elements older than the data, which has no feature for them.
const BASIC: [&str; 11] = [
    "html", "head", "meta", "title", "a", "br", "em", "font", "tr", "td", "th",
];

/// The feature of each other element.
const ELEMENTS: [(&str, &str); 9] = [
    ("style", "html-style"),
    ("body", "html-body"),
    ("div", "html-div"),
    ("table", "html-table"),
    ("p", "html-p"),
    ("h1", "html-h1-h6"),
    ("h2", "html-h1-h6"),
    ("strong", "html-strong"),
    ("span", "html-span"),
];

/// The feature of each property that is not named as its feature is.
const PROPERTIES: [(&str, &str); 6] = [
    ("font-family", "css-font"),
    ("border-left", "css-border"),
    ("border-top", "css-border"),
    ("border-color", "css-border"),
    ("padding-left", "css-padding"),
    ("text-decoration", "css-text-decoration"),
];

/// Properties older than the data, and those of the Word engine, which others skip.
const BASIC_PROPERTIES: [&str; 3] = ["color", "mso-hide", "mso-padding-alt"];

/// What a client may lack, and what is then lost.
const EXTRAS: [(&str, &str); 11] = [
    ("html-style", "dark colours"),
    ("css-at-media-prefers-color-scheme", "dark colours"),
    ("css-selector-class", "dark colours"),
    (
        "html-semantics",
        "the machine's form of a time; its words show",
    ),
    ("html-target", "the new tab"),
    ("css-border-radius", "round corners"),
    ("css-display-none", "the preheader shows, as a line above"),
    ("css-max-height", "as with the preheader"),
    ("css-overflow", "as with the preheader"),
    ("css-overflow-wrap", "nothing: word-break does it too"),
    (
        "css-white-space",
        "spaces within a line; indentation is of no-break spaces, and lines end with <br>",
    ),
];

/// A request with each kind of block in it.
fn of_every_kind() -> NewApproval {
    let diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-old\n+new\n same\n";
    NewApproval {
        parameters: object(json!({
            "text": "حساب 111-222 zero\u{200b}width", "lines": "one\n    two\nthree", "diff": diff, "yes": true,
            "rows": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], "items": ["a", {"b": [1, [2]]}], "api_key": "s-1",
            "long": (0..200).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n"),
        })),
        reason: Some("First line.\nSecond line.".to_owned()),
        on_behalf_of: Some("requester@example.com".to_owned()),
        ..request()
    }
}

/// The names of elements, and the properties of styles.
fn used(html: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = |text: &str| -> String {
        let name = text.chars().take_while(|c| c.is_ascii_alphanumeric());
        name.collect::<String>().to_ascii_lowercase()
    };
    let elements = html.split('<').skip(1).map(name);
    let elements = elements.filter(|name| !name.is_empty()).collect();
    let attributes = html.split("style=\"").skip(1);
    let attributes = attributes.map(|rest| rest.split_once('"').unwrap().0);
    let (_, sheet) = html.split_once("<style>").unwrap();
    let (sheet, _) = sheet.split_once("</style>").unwrap();
    let rules = sheet
        .split('{')
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap());
    let declarations = attributes.chain(rules).flat_map(|text| text.split(';'));
    let properties = declarations.filter_map(|one| one.split_once(':'));
    let properties = properties.map(|(name, _)| name.trim().to_owned());
    let properties = properties.filter(|name| !name.starts_with(['.', '@']));
    (elements, properties.collect())
}

#[tokio::test]
async fn mail_clients_support_what_the_emails_use() {
    let gate = TestGate::start().await;
    gate.client.submit(&of_every_kind()).await.unwrap();
    let mut emails: Vec<String> = gate.mails().into_iter().map(|mail| mail.html).collect();
    for file in std::fs::read_dir(repository().join("tests/mails")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|it| it == "html") {
            emails.push(std::fs::read_to_string(path).unwrap());
        }
    }
    let features = include_str!("../../caniemail/features.json");
    let features: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(features).unwrap();
    let mut unsupported = BTreeSet::new();
    let mut unneeded: BTreeSet<&str> = EXTRAS.iter().map(|(name, _)| *name).collect();
    let mut check = |feature: &str| {
        let support = features.get(feature);
        let support = support.unwrap_or_else(|| panic!("no feature {feature}"));
        let lacks = support.iter().filter(|(_, word)| *word == "n");
        for (client, _) in lacks {
            unneeded.remove(feature);
            if !EXTRAS.iter().any(|(name, _)| *name == feature) {
                unsupported.insert(format!("{feature} in {client}"));
            }
        }
    };
    for html in &emails {
        assert!(html.contains("<!--[if mso]><table role=\"presentation\" width=\"600\""));
        assert_eq!(
            html.matches("<!--[if mso]>").count(),
            html.matches("<![endif]-->").count()
        );
        let (elements, properties) = used(html);
        for element in elements.iter().filter(|it| !BASIC.contains(&it.as_str())) {
            let known = ELEMENTS.iter().find(|(name, _)| name == element);
            match known {
                Some((_, feature)) => check(feature),
                None if element == "time" => check("html-semantics"),
                None => panic!("<{element}> has no feature in this test"),
            }
        }
        for property in properties
            .iter()
            .filter(|it| !BASIC_PROPERTIES.contains(&it.as_str()))
        {
            let known = PROPERTIES.iter().find(|(name, _)| name == property);
            let named = format!("css-{property}");
            check(known.map_or(named.as_str(), |(_, feature)| feature));
        }
        for (words, feature) in [
            (" dir=\"", "html-dir"),
            (" align=\"", "html-align"),
            (" cellpadding=\"", "html-cellpadding"),
            (" cellspacing=\"", "html-cellspacing"),
            (" role=\"", "html-role"),
            (" target=\"", "html-target"),
            (" width=\"", "html-width"),
            (" lang=\"", "html-lang"),
            ("<!--", "html-comments"),
            ("!important", "css-important"),
            ("display:none", "css-display-none"),
            (
                "@media (prefers-color-scheme",
                "css-at-media-prefers-color-scheme",
            ),
            ("\n.ground", "css-selector-class"),
        ] {
            if html.contains(words) {
                check(feature);
            }
        }
    }
    assert_eq!(unsupported, BTreeSet::new());
    assert_eq!(unneeded, BTreeSet::new(), "extras that are none");
}

/// Without styles, too: the attribute of the cell is then all that the button has.
#[tokio::test]
async fn the_button_has_its_colours_without_styles() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let html = gate.mails().remove(0).html;
    let (_, button) = html.split_once("<td bgcolor=\"#0050b8\"").unwrap();
    let (button, _) = button.split_once("</a>").unwrap();
    assert!(
        button.contains("<font color=\"#ffffff\">Review and decide</font>"),
        "{button}"
    );
}

#[tokio::test]
async fn no_request_makes_a_large_email() {
    let text = |words: &str| words.repeat(29_000 / json!(words).to_string().len());
    let nested = (0..60).fold(json!("x"), |inner, _| json!({"a": inner, "b": [1]}));
    let many = |n: usize, value: Value| -> Value {
        (0..n)
            .map(|i| (format!("n{i}"), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let shapes = [
        ("one text", json!({"x": text("ab ")})),
        ("right-to-left beside digits", json!({"x": text("ا1 ")})),
        ("what does not show", json!({"x": text("a\u{200b}")})),
        ("what is escaped", json!({"x": text("<&\">'")})),
        ("lines", json!({"x": text("<a\n")})),
        (
            "a diff",
            json!({"x": format!("--- a\n+++ b\n@@ -1 +1 @@\n{}", text("+<\n-&\n"))}),
        ),
        ("members", many(1_900, json!(1))),
        (
            "rows",
            json!({"x": vec![json!({"a": 1, "b": "<", "c": null}); 1_000]}),
        ),
        ("items", json!({"x": vec!["<"; 6_000]})),
        ("deep", nested),
        ("look-alikes", json!({"x": text("pаypal ")})),
        ("domains", json!({"x": text("a.example ")})),
        ("emoji", json!({"x": text("👩\u{200d}💻")})),
    ];
    let gate = TestGate::with(&[("HO_MAIL_BUDGET", "off"), ("HO_OWNER_BUDGET", "off")]).await;
    let longest = |n: usize| {
        "<&\"'>.a "
            .repeat(n)
            .trim()
            .chars()
            .take(n)
            .collect::<String>()
    };
    for (shape, parameters) in shapes {
        let new = NewApproval {
            action_description: format!("{shape} {}", longest(200)).trim().to_owned(),
            parameters: object(parameters),
            reason: Some(longest(1_990).trim().to_owned()),
            on_behalf_of: Some("requester@example.com".to_owned()),
            approver_emails: (0..5)
                .map(|n| format!("{n}{}@example.com", "a".repeat(60)))
                .chain([ALICE.to_owned(), BOB.to_owned()])
                .collect(),
            ..request()
        };
        // Rejected and asked again, so that the email shows the rejection too.
        let first = gate.client.submit(&new).await.unwrap();
        gate.reject(&first, ALICE, &longest(1_990)).await;
        gate.client.submit(&new).await.unwrap();
    }
    gate.sweep().await;
    let emails = gate.mails();
    assert!(emails.len() > 13 * 7);
    let largest = emails.iter().max_by_key(|mail| mail.html.len()).unwrap();
    assert!(
        largest.html.len() < 60_000,
        "{}: {}",
        largest.subject,
        largest.html.len()
    );
    let largest = emails.iter().max_by_key(|mail| mail.source.len()).unwrap();
    assert!(
        largest.source.len() < 100_000,
        "{}: {}",
        largest.subject,
        largest.source.len()
    );
}
