//! Right-to-left text reorders nothing around it, measured: where each character stands in the browser.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::view::View;
use crate::harness::{ALICE, TestGate, request};

/// Parts of the mixtures: right-to-left words, and what they must not reorder.
const WORDS: [&str; 4] = ["حساب", "شركة", "שלום", "ا"];
const OTHERS: [&str; 8] = [
    "111-222-333",
    "2026-11-30",
    "10-20",
    "+49 30/12",
    "1,5%",
    "EUR",
    "(a-1)",
    "acct 7",
];

/// One text of parts that are separated by spaces.
type Mixture = Vec<&'static str>;

/// Right-to-left words beside everything, in all orders of two, and longer ones.
fn mixtures() -> Vec<Mixture> {
    let mut mixtures = vec![vec!["حساب", "111-222-333"], vec!["يوم", "2026-11-30"]];
    for (number, word) in WORDS.into_iter().enumerate() {
        for (place, other) in OTHERS.into_iter().enumerate() {
            let next = OTHERS[(place + number + 1) % OTHERS.len()];
            let last = WORDS[(number + 1) % WORDS.len()];
            mixtures.push(match (place + number) % 4 {
                0 => vec![word, other],
                1 => vec![other, word],
                2 => vec![other, word, next],
                _ => vec![word, other, last, next],
            });
        }
    }
    mixtures.sort();
    mixtures.dedup();
    mixtures
}

fn is_right_to_left(part: &str) -> bool {
    part.chars()
        .next()
        .is_some_and(|c| ('\u{590}'..'\u{700}').contains(&c))
}

/// For each text, the characters of the smallest elements that contain exactly it: the edges of each. On one
/// line, where a wrapped text has no order from left to right.
const PLACES: &str = "
    const style = document.createElement('style');
    style.textContent = '* { white-space: nowrap !important }';
    document.head.append(style);
    const places = {};
    for (const it of document.querySelectorAll('body *')) {
        const text = it.textContent;
        if (!arguments[0].includes(text) || [...it.children].some(child => child.textContent === text)) continue;
        if (it.closest('details, title')) continue;
        const walker = document.createTreeWalker(it, NodeFilter.SHOW_TEXT);
        const characters = [];
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            for (let at = 0; at < node.data.length; at++) {
                const range = document.createRange();
                range.setStart(node, at);
                range.setEnd(node, at + 1);
                const area = range.getBoundingClientRect();
                characters.push([area.left, area.right]);
            }
        }
        (places[text] ??= []).push({element: it.tagName, characters, left: it.getBoundingClientRect().left});
    }
    return places";

/// Panics unless the parts stand from left to right, and the characters of each in its own direction.
fn assert_in_order(mixture: &Mixture, place: &Value) {
    let text = mixture.join(" ");
    let all: Vec<[f64; 2]> = place["characters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| [it[0].as_f64().unwrap(), it[1].as_f64().unwrap()])
        .collect();
    assert_eq!(all.len(), text.chars().count(), "{text}: {place}");
    let (mut at, mut edge) = (0, f64::MIN);
    for part in mixture {
        let characters = &all[at..at + part.chars().count()];
        let [left, right] = [f64::min, f64::max].map(|pick| {
            let edges = characters.iter().flatten().copied();
            edges.reduce(pick).unwrap()
        });
        assert!(
            left > edge - 1.0,
            "{part} is not right of what precedes it in {text}: {place}"
        );
        edge = right;
        let lefts = characters.iter().map(|it| it[0]);
        let ordered = if is_right_to_left(part) {
            lefts.rev().is_sorted()
        } else {
            lefts.is_sorted()
        };
        assert!(ordered, "{part} in {text}: {place}");
        at += part.chars().count() + 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_right_to_left_run_is_isolated_on_page_and_in_the_email() {
    let Some(view) = View::open().await else {
        return;
    };
    view.resize(1_280, 800).await;
    let mixtures = mixtures();
    let texts: BTreeMap<String, &Mixture> = mixtures.iter().map(|it| (it.join(" "), it)).collect();
    let names: Vec<&String> = texts.keys().collect();
    // Each text as a name and as a value, in a table, and as a line of several.
    let mut members = Map::new();
    for (number, name) in names.iter().enumerate() {
        members.insert((*name).clone(), json!(names[(number + 1) % names.len()]));
    }
    let rows = names
        .iter()
        .take(6)
        .map(|name| json!({"item": name, "count": 1}));
    members.insert("rows".to_owned(), Value::from_iter(rows));
    members.insert(
        "lines".to_owned(),
        json!(
            names[..12]
                .iter()
                .map(|it| it.as_str())
                .collect::<Vec<_>>()
                .join("\n")
        ),
    );
    let gate = TestGate::start().await;
    let mut new = request();
    new.parameters = members;
    new.approver_emails = vec![ALICE.to_owned()];
    let approval = gate.client.submit(&new).await.unwrap();
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    let mail = gate.mails().remove(0).html;
    for (html, least) in [(page, names.len()), (mail, 20)] {
        view.show_html(&html).await;
        let places = view
            .browser
            .window
            .execute(PLACES, vec![json!(names)])
            .await
            .unwrap();
        let places = places.as_object().unwrap();
        assert!(places.len() >= least, "{} of {least}", places.len());
        for (text, found) in places {
            let found = found.as_array().unwrap();
            for place in found {
                assert_in_order(texts[text], place);
            }
            // A name is left of its value.
            let edge = |element: &str| found.iter().find(|it| it["element"] == element);
            if let (Some(name), Some(value)) = (edge("TH"), edge("TD")) {
                assert!(name["left"].as_f64() < value["left"].as_f64(), "{text}");
            }
        }
    }
    view.close().await;
}

/// Texts in sentences have the direction of their language; the numbers in them keep their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_keep_their_order_in_right_to_left_headings_and_reasons() {
    let Some(view) = View::open().await else {
        return;
    };
    view.resize(1_280, 800).await;
    let gate = TestGate::start().await;
    let mut new = request();
    new.action_description = "تحويل إلى حساب 111-222-333".to_owned();
    new.agent_name = "وكيل 10-20".to_owned();
    new.reason = Some("مستحقة يوم 2026-11-30 الاثنين".to_owned());
    new.approver_emails = vec![ALICE.to_owned()];
    let approval = gate.client.submit(&new).await.unwrap();
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    let mail = gate.mails().remove(0).html;
    for html in [page, mail] {
        view.show_html(&html).await;
        for number in ["111-222-333", "10-20", "2026-11-30"] {
            let lefts = view
                .browser
                .window
                .execute(
                    "const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                     const found = [];
                     for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                         const at = node.data.indexOf(arguments[0]);
                         if (at < 0 || node.parentElement.closest('details') || !node.parentElement.checkVisibility()) continue;
                         found.push([...arguments[0]].map((_, step) => {
                             const range = document.createRange();
                             range.setStart(node, at + step);
                             range.setEnd(node, at + step + 1);
                             return range.getBoundingClientRect().left;
                         }));
                     }
                     return found",
                    vec![json!(number)],
                )
                .await
                .unwrap();
            let found = lefts.as_array().unwrap();
            assert!(!found.is_empty(), "{number}");
            for lefts in found {
                let lefts: Vec<f64> = lefts
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| it.as_f64().unwrap())
                    .collect();
                assert!(lefts.is_sorted(), "{number}: {lefts:?}");
            }
        }
    }
    view.close().await;
}
