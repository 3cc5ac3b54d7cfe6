//! A keyboard alone.

use human_oversight_client::types::Status;
use serde_json::json;

use super::documents::documents;
use super::view::View;
use crate::browser::Browser;
use crate::deadline::eventually;
use crate::grants::{POLICY, list, submit};
use crate::harness::{ALICE, TestGate};

/// The tab key, as often as there are elements and then some.
const STEPS: usize = 40;

const FOCUSED: &str = "
    const it = document.activeElement;
    if (!it || it === document.body) return null;
    const style = getComputedStyle(it);
    const area = it.getBoundingClientRect();
    const label = it.labels?.[0]?.textContent ?? it.textContent;
    return {
        name: it.id || it.value || label.trim().slice(0, 40),
        top: area.top + scrollY, height: area.height,
        shown: it.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    }";

async fn press(browser: &Browser, key: &str) {
    let (code, text) = match key {
        "Tab" => (9, ""),
        "Enter" => (13, "\r"),
        "ArrowDown" => (40, ""),
        "ArrowUp" => (38, ""),
        _ => panic!("{key}"),
    };
    for kind in ["keyDown", "keyUp"] {
        let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
        browser.devtools("Input.dispatchKeyEvent", event).await;
    }
}

/// Presses the tab key until this element has the focus.
async fn tab_to(browser: &Browser, selector: &str) {
    for _ in 0..STEPS {
        press(browser, "Tab").await;
        let is_reached = format!("return document.activeElement.matches('{selector}')");
        if browser.js(&is_reached).await == true {
            return;
        }
    }
    panic!("the tab key does not reach {selector}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_rejects_with_a_reason_from_the_list_and_words() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let link = gate.question(&approval, ALICE).link;
    browser.window.goto(&link).await.unwrap();
    tab_to(&browser, "details.reject > summary").await;
    press(&browser, "Enter").await;
    // The choice of no reason is the last of the group; the arrow leads on to the first.
    tab_to(&browser, "[name=preset]").await;
    for _ in 0..2 {
        press(&browser, "ArrowDown").await;
    }
    let chosen = browser
        .js("return document.querySelector('[name=preset]:checked').value")
        .await;
    assert_eq!(chosen, "The details are wrong");
    tab_to(&browser, "#words").await;
    let words = json!({"text": "Ask in Bern."});
    browser.devtools("Input.insertText", words).await;
    tab_to(&browser, "[value=reject]").await;
    press(&browser, "Enter").await;
    browser.has("[role=status]").await;
    let rejected = eventually(async || {
        let status = gate.status(&approval.id).await;
        (status.status == Status::Rejected).then_some(status)
    });
    let rejected = rejected.await;
    // Words without the code are for people only.
    assert_eq!(rejected.comment.as_deref(), Some("The details are wrong"));
    assert!(
        browser
            .text()
            .await
            .contains("The details are wrong: Ask in Bern.")
    );
    browser.window.close().await.unwrap();
}

/// Though the code for the approval is typed, and no reason chosen yet. What approves is out of reach as long as *Reject…*
/// is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enter_on_a_reason_for_a_rejection_rejects() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    browser.window.goto(&question.link).await.unwrap();
    tab_to(&browser, "#code").await;
    let code = json!({"text": question.code});
    browser.devtools("Input.insertText", code).await;
    tab_to(&browser, "details.reject > summary").await;
    let can_approve = "return document.querySelector('[value=approve]').checkVisibility()";
    for is_rejecting in [true, false, true] {
        press(&browser, "Enter").await;
        assert_eq!(browser.js(can_approve).await, !is_rejecting);
    }
    tab_to(&browser, "[name=preset]").await;
    press(&browser, "Enter").await;
    browser.has("[role=status]").await;
    let ended = eventually(async || {
        let status = gate.status(&approval.id).await.status;
        (status != Status::Pending).then_some(status)
    });
    assert_eq!(ended.await, Status::Rejected);
    browser.window.close().await.unwrap();
}

/// What is chosen in a section counts also while it is closed, and on the page that is opened anew after a wrong code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_grant_that_is_chosen_shows_above_the_button_that_gives_it() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
    let approval = submit(&gate).await;
    let question = gate.question(&approval, ALICE);
    browser.window.goto(&question.link).await.unwrap();
    let shows = "return document.querySelector('.granting').checkVisibility()";
    assert_eq!(browser.js(shows).await, false);
    tab_to(&browser, ".approve summary").await;
    let choose = async |key| {
        press(&browser, "Enter").await;
        tab_to(&browser, "#grant").await;
        press(&browser, key).await;
    };
    for (key, is_granting) in [("ArrowDown", true), ("ArrowUp", false)] {
        choose(key).await;
        assert_eq!(browser.js(shows).await, is_granting, "{key}");
        let close = "const it = document.querySelector('.approve details'); it.open = false; it.firstChild.focus()";
        browser.js(close).await;
        assert_eq!(browser.js(shows).await, is_granting, "{key}");
    }
    let type_code = async |code: &str| {
        tab_to(&browser, "#code").await;
        let text = json!({"text": code});
        browser.devtools("Input.insertText", text).await;
    };
    browser.window.goto(&question.link).await.unwrap();
    type_code(question.wrong_code()).await;
    tab_to(&browser, ".approve summary").await;
    choose("ArrowDown").await;
    tab_to(&browser, "[value=approve]").await;
    press(&browser, "Enter").await;
    browser.has("[role=alert]").await;
    browser.window.goto(&question.link).await.unwrap();
    assert_eq!(browser.js(shows).await, true);
    let described = "const ids = document.querySelector('#code').getAttribute('aria-describedby');
        const section = document.querySelector('.approve details');
        return [ids.split(' ').includes('granting'), section.open]";
    assert_eq!(browser.js(described).await, json!([true, true]));
    type_code(&question.code).await;
    press(&browser, "Enter").await;
    browser.has("[role=status]").await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
    assert_eq!(list(&gate).await.len(), 1);
    browser.window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tab_key_reaches_everything_in_the_order_of_the_page_and_shows_where_it_is() {
    let Some(view) = View::open().await else {
        return;
    };
    view.resize(375, 667).await;
    let names = [
        "page of payment",
        "page of deception",
        "page of secret",
        "wrong code",
        "approved",
        "signed in",
        "sign in",
        "home",
        "inbox",
        "list",
    ];
    for (number, document) in documents().await.iter().enumerate() {
        if !names.contains(&document.name.as_str()) {
            continue;
        }
        view.show(number).await;
        // Some pages put the focus where an error is.
        view.browser
            .js("document.activeElement?.blur(); getSelection().setPosition(document.body, 0)")
            .await;
        let mut reached = Vec::new();
        for _ in 0..STEPS {
            press(&view.browser, "Tab").await;
            let focused = view.browser.js(FOCUSED).await;
            if focused.is_null() || reached.first() == Some(&focused) {
                break;
            }
            reached.push(focused);
        }
        let name = &document.name;
        assert!(
            !reached.is_empty() && reached.len() < STEPS,
            "{name}: {reached:?}"
        );
        let unseen: Vec<_> = reached.iter().filter(|it| it["shown"] != true).collect();
        assert!(unseen.is_empty(), "{name}: {unseen:?}");
        let tops: Vec<f64> = reached
            .iter()
            .map(|it| it["top"].as_f64().unwrap())
            .collect();
        assert!(tops.is_sorted(), "{name}: {reached:?}");
        let at = |name: &str| reached.iter().position(|it| it["name"] == name);
        if name.starts_with("page of ") {
            let [code, approve] = [at("code"), at("approve")].map(Option::unwrap);
            assert_eq!(code + 1, approve, "{name}: {reached:?}");
            assert!(
                at("reject").is_none_or(|reject| approve < reject),
                "{name}: {reached:?}"
            );
        }
    }
    view.close().await;
}

/// The words of an error belong to the field that they are about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_with_an_error_says_so_and_is_described_by_it() {
    let Some(view) = View::open().await else {
        return;
    };
    for (number, document) in documents().await.iter().enumerate() {
        if !["wrong code", "no code"].contains(&document.name.as_str()) {
            continue;
        }
        view.show(number).await;
        let described = view
            .browser
            .js("const code = document.getElementById('code');
                 const ids = (code.getAttribute('aria-describedby') ?? '').split(' ').filter(id => id);
                 return [code.getAttribute('aria-invalid'), ids.map(id => document.getElementById(id)?.textContent ?? '').join(' ')]")
            .await;
        assert_eq!(described[0], "true", "{}: {described}", document.name);
        let words = described[1].as_str().unwrap();
        assert!(words.contains("code"), "{}: {described}", document.name);
    }
    view.close().await;
}
