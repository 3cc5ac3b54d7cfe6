//! A form that was refused: the person is at the message, with and without sight, and the field says that it is at fault.

use human_oversight_client::types::Status;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::deadline::eventually;
use crate::grants;
use crate::hand_over::LIST;
use crate::harness::{ALICE, Question, TestGate, for_alice, object};

const POLICY: &str = r#"
version = 1

[[rule]]
id = "all"
effect = "require"
stages = [{ from = "requested" }]
comment = "always"
"#;

/// A phone, and one at a zoom of 400 %.
const SIZES: [(u32, u32); 2] = [(375, 667), (320, 256)];

/// Where the message is, whether the focus is on it, and the field at fault with what describes it.
const MESSAGE: &str = "
    const alert = document.querySelector('[role=alert]');
    const area = alert.getBoundingClientRect();
    const field = document.querySelector('[aria-invalid=true]');
    const words = id => document.getElementById(id).textContent.trim();
    return {
        is_seen: area.top >= -1 && area.top < innerHeight / 2,
        is_focused: document.activeElement === alert,
        field: field?.id ?? '',
        is_described: !field || field.getAttribute('aria-describedby').split(' ').map(words).includes(alert.textContent.trim()),
    }";

async fn resize(browser: &Browser, (width, height): (u32, u32)) {
    let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    browser
        .devtools("Emulation.setDeviceMetricsOverride", size)
        .await;
}

/// Opens the link, types with this script, presses the button, and waits for the page that follows.
async fn send(browser: &Browser, question: &Question, typing: &str, button: &str) {
    browser.window.goto(&question.link).await.unwrap();
    let press = format!(
        "const type = (id, text) => {{ document.getElementById(id).value = text }};
         {typing};
         window.isOld = true;
         document.querySelector('[value={button}]').click()"
    );
    browser.js(&press).await;
    let is_new = "return !window.isOld && document.readyState === 'complete'";
    eventually(async || (browser.js(is_new).await == true).then_some(())).await;
}

async fn ask(gate: &TestGate) -> Question {
    let mut new = for_alice();
    let lines: Vec<String> = (0..300).map(|line| format!("echo {line}")).collect();
    new.parameters = object(json!({"script": lines.join("\n")}));
    let approval = gate.client.submit(&new).await.unwrap();
    gate.question(&approval, ALICE)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_whose_form_was_refused_is_at_the_message() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::with(&[("HO_POLICY", POLICY), LIST]).await;
    for size in SIZES {
        let question = ask(&gate).await;
        let (right, wrong) = (question.code.as_str(), question.wrong_code());
        let reject = "document.querySelector('.reject').open = true";
        let hand_over = "document.querySelector('#hand-over details').open = true";
        let chosen = "document.getElementById('hand-over-to').selectedIndex = 1";
        let cases = [
            (format!("type('code', '{right}')"), "approve", "comment"),
            (
                format!(
                    "document.querySelector('[name=form]').value = 'x'; type('code', '{right}')"
                ),
                "approve",
                "",
            ),
            (
                format!("{reject}; type('reject-code', '{right}')"),
                "reject",
                "words",
            ),
            (
                format!("{reject}; type('words', 'No'); type('reject-code', '{wrong}')"),
                "reject",
                "reject-code",
            ),
            (
                format!(
                    "{hand_over}; {chosen}; type('hand-over-reason', ' '); type('hand-over-code', '{right}')"
                ),
                "hand-over",
                "hand-over-reason",
            ),
            (
                format!(
                    "{hand_over}; {chosen}; type('hand-over-reason', 'Leave'); type('hand-over-code', '{wrong}')"
                ),
                "hand-over",
                "hand-over-code",
            ),
            (
                format!("type('code', '{wrong}'); type('comment', 'Yes')"),
                "approve",
                "code",
            ),
            (
                format!("type('code', '{wrong}'); type('comment', 'Yes')"),
                "approve",
                "code",
            ),
            (
                format!("type('code', '{wrong}'); type('comment', 'Yes')"),
                "approve",
                "code",
            ),
            // The fifth, after which there is no field.
            (
                format!("type('code', '{wrong}'); type('comment', 'Yes')"),
                "approve",
                "",
            ),
        ];
        for (typing, button, field) in cases {
            resize(&browser, size).await;
            send(&browser, &question, &typing, button).await;
            let expected =
                json!({"is_seen": true, "is_focused": true, "field": field, "is_described": true});
            assert_eq!(browser.js(MESSAGE).await, expected, "{size:?}: {typing}");
        }
    }
    browser.window.close().await.unwrap();
}

/// A browser does not go to a field in a closed section: it would refuse the form without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_field_of_a_closed_section_keeps_a_button_from_its_answer() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::with(&[("HO_POLICY", grants::POLICY)]).await;
    let asked = grants::submit(&gate).await;
    let question = gate.question(&asked, ALICE);
    let typing = |uses, seconds| {
        format!(
            "type('code', '{}'); type('uses', '{uses}'); type('grant', '{seconds}')",
            question.code
        )
    };
    for uses in ["0", "1001", "2.5", "", "ten"] {
        send(&browser, &question, &typing(uses, "3600"), "approve").await;
        let message = browser.js(MESSAGE).await;
        assert_eq!(message["field"], "uses", "{uses}: {message}");
        assert_eq!(message["is_focused"], true, "{uses}: {message}");
        assert_eq!(gate.status(&asked.id).await.status, Status::Pending);
    }
    // Without a time, nothing is to be given.
    send(&browser, &question, &typing("0", ""), "approve").await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Approved);
    assert_eq!(grants::list(&gate).await.len(), 0);
    browser.window.close().await.unwrap();
}

/// The name of what has the focus, from the tree that screen readers read.
async fn accessible(browser: &Browser, selector: &str) -> Value {
    let find = json!({"expression": format!("document.querySelector('{selector}')")});
    let found = browser.devtools("Runtime.evaluate", find).await;
    let node = json!({"objectId": found["result"]["objectId"], "fetchRelatives": false});
    let tree = browser
        .devtools("Accessibility.getPartialAXTree", node)
        .await;
    let node = &tree["nodes"][0];
    json!([node["name"]["value"], node["description"]["value"]])
}

/// Who hears the page, or goes by the tab key past what is above the form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_approves_is_described_by_the_alarms() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::with(&[("HO_POLICY", grants::POLICY)]).await;
    let mut new = grants::restart();
    new.parameters = object(json!({"service": "\u{440}aypal-prod"}));
    let rejected = gate.client.submit(&new).await.unwrap();
    gate.reject(&rejected, ALICE, "Not this one.").await;
    let asked = gate.client.submit(&new).await.unwrap();
    let question = gate.question(&asked, ALICE);
    browser.window.goto(&question.link).await.unwrap();
    let alarms = "Check carefully before you decide. This looks like a request that was rejected.";
    for (selector, name) in [
        ("#code", "Code from the email, to approve"),
        ("[value=approve]", "Approve: it runs"),
    ] {
        let heard = accessible(&browser, selector).await;
        assert_eq!(heard, json!([name, alarms]), "{selector}");
    }
    let headings = "return [...document.querySelectorAll('.warn h2')].map(it => it.textContent)";
    let headings = browser.js(headings).await;
    let headings: Vec<String> = serde_json::from_value(headings).unwrap();
    assert_eq!(headings.len(), 2);
    assert!(headings.iter().all(|it| alarms.contains(it.as_str())));
    // A wrong code does not hide them.
    let typing = format!("type('code', '{}')", question.wrong_code());
    send(&browser, &question, &typing, "approve").await;
    let heard = accessible(&browser, "#code").await;
    let heard = heard[1].as_str().unwrap();
    assert!(
        heard.starts_with("Wrong code.") && heard.ends_with(alarms),
        "{heard}"
    );
    browser.window.close().await.unwrap();
}
