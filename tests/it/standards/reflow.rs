//! Any width, any zoom, any spacing of the text, and no style at all.

use serde_json::{Value, json};

use super::documents::documents;
use super::view::View;
use crate::harness::{ALICE, TestGate, for_alice, object};

/// Elements that are wider than the window, or than the part of them that shows.
const TOO_WIDE: &str = "
    const wide = [...document.querySelectorAll('body *')].filter(it => {
        if (getComputedStyle(it).display === 'none' || it.tagName === 'IFRAME') return false;
        // Spaces at the end of a line hang over its edge.
        const area = getComputedStyle(it).display === 'inline' ? new DOMRect() : it.getBoundingClientRect();
        const cut = getComputedStyle(it).overflowX !== 'visible' && it.scrollWidth > it.clientWidth + 1;
        return area.height > 0 && area.right > innerWidth + 1 || cut;
    });
    const over = document.documentElement.scrollWidth - innerWidth;
    return wide.slice(0, 2).map(it => it.outerHTML.slice(0, 120)).concat(over > 0 ? [`by ${over} pixels`] : [])";

/// WCAG 1.4.12.
const SPACING: &str = "
    const spacing = document.createElement('style');
    spacing.id = 'spacing';
    spacing.textContent = '* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }'
        + 'p { margin-bottom: 2em !important }';
    document.head.append(spacing);";

/// WCAG 1.4.4.
const LARGER_TEXT: &str = "
    document.getElementById('spacing').remove();
    document.documentElement.style.fontSize = '200%';";

/// 320 pixels are a window of 1,280 at 400 %, and 640 one at 200 %.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_document_scrolls_sideways() {
    let Some(view) = View::open().await else {
        return;
    };
    let mut faults = Vec::new();
    for (number, document) in documents().await.iter().enumerate() {
        view.show(number).await;
        for (name, width, change) in [
            ("320", 320, ""),
            ("320, spaced text", 320, SPACING),
            ("640, larger text", 640, LARGER_TEXT),
        ] {
            view.resize(width, 800).await;
            let found = view.browser.js(&format!("{change}{TOO_WIDE}")).await;
            if found != json!([]) {
                faults.push(format!("{}, {name}: {found}", document.name));
            }
        }
    }
    view.close().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Parameters of unusual shapes, each as large as a request may be or nearly.
fn shapes() -> Vec<(&'static str, Value)> {
    let nested =
        |depth, wrap: &dyn Fn(Value) -> Value| (0..depth).fold(json!("end"), |it, _| wrap(it));
    let row = |text: &str| json!({"W": text, "WW": text, "WWW": text, "WWWW": text, "WWWWW": text});
    let rows = |text: &str, count| Value::from_iter((0..count).map(|_| row(text)));
    let name = "W".repeat(16);
    // Two columns of that many digits in all, and others that are broken.
    let columns = |digits: usize, others: usize| {
        let narrow = json!({"0": "W".repeat(3), "1": "0".repeat(digits - 6)});
        let mut row = object(narrow);
        row.extend((2..2 + others).map(|it| (it.to_string(), json!(name))));
        json!({"rows": vec![row; 20]})
    };
    // A long name beside a number that stays whole.
    let named = |wrap: &dyn Fn(Value) -> Value| {
        let row = |amount| json!({"amount_to_be_refunded_to_the_customer": amount, "order": "A-1"});
        wrap(json!([row(1_250_000), row(1_250)]))
    };
    vec![
        ("long names of columns", json!({"refunds": named(&|it| it)})),
        (
            "long names of columns, deeper",
            json!({"batch": {"refunds": named(&|it| json!({"of": it}))}}),
        ),
        (
            "long names of columns in a list",
            json!({"batches": [named(&|it| json!({"refunds": it})), {"of": [{"iban_of_the_receiver": "DE89370400440532013000"}]}]}),
        ),
        (
            "deep objects",
            nested(60, &|it| json!({"level_of_many": it})),
        ),
        ("deep arrays", json!({"a": nested(60, &|it| json!([it]))})),
        (
            "a deep table",
            nested(
                20,
                &|it| json!({"WWWWWWWWWWWWWWWW": it, "rows": [row("WWW"), row("WWW")]}),
            ),
        ),
        (
            "long words",
            json!({"n".repeat(5_000): "v".repeat(5_000), "lines": format!("{0}\n{0}", "w".repeat(500))}),
        ),
        (
            "wide names",
            json!({name.clone(): {name.clone(): {name.clone(): {name.clone(): "W".repeat(40)}}}}),
        ),
        ("narrow columns", json!({"rows": rows("WWW", 100)})),
        ("wide columns", json!({"rows": rows("WWWWWWWWWWWW", 50)})),
        ("two whole columns of five", columns(16, 3)),
        ("two whole columns of four", columns(18, 2)),
        ("two whole columns of three", columns(20, 1)),
        ("two whole columns", columns(22, 0)),
        (
            "a long list",
            json!({"list": (0..2_000).collect::<Vec<_>>()}),
        ),
        (
            "empty lines",
            json!({"text": format!("a{}b", "\n".repeat(1_000))}),
        ),
        (
            "a diff",
            json!({"diff": format!("--- a\n+++ b\n@@ -1 +1 @@\n-{0}\n+{0}b\n", "x".repeat(300))}),
        ),
        (
            "right to left",
            json!({"text": "حساب 12 ".repeat(500), "حساب".repeat(20): "شركة".repeat(300)}),
        ),
        ("emoji", json!({"text": "👩\u{200d}💻".repeat(500)})),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_of_any_shape_fit_a_phone() {
    let Some(view) = View::open().await else {
        return;
    };
    let gate = TestGate::start().await;
    let mut faults = Vec::new();
    for (name, parameters) in shapes() {
        let mut new = for_alice();
        new.parameters = object(parameters);
        let approval = gate.client.submit(&new).await.unwrap();
        let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
        let mails = gate.mails();
        let mail = mails.iter().find(|mail| mail.text.contains(&approval.id));
        for (kind, html) in [("page", &page), ("email", &mail.unwrap().html)] {
            view.show_html(html).await;
            for (width, change) in [(375, ""), (620, ""), (320, ""), (320, SPACING)] {
                view.resize(width, 800).await;
                let found = view.browser.js(&format!("{change}{TOO_WIDE}")).await;
                if found != json!([]) {
                    faults.push(format!("{name}, {kind}, {width}{change:.3}: {found}"));
                }
            }
        }
    }
    view.close().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// As a screen reader reads it, or a browser that has lost the style.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_style_each_request_is_read_in_order() {
    let Some(view) = View::open().await else {
        return;
    };
    for (number, document) in documents().await.iter().enumerate() {
        let Some(name) = document.name.strip_prefix("page of ") else {
            continue;
        };
        view.show(number).await;
        view.browser
            .js(
                "document.querySelectorAll('style').forEach(it => it.remove());
                 document.querySelectorAll('[style]').forEach(it => it.removeAttribute('style'))",
            )
            .await;
        let text = view.browser.text().await;
        let mut parts = vec!["Your decision is needed", "Agent", "Deadline"];
        if name == "deception" {
            parts.push("Check carefully before you decide.");
        }
        parts.extend(["Exactly what will run", "Code from the email", "Approve"]);
        let mut rest = text.as_str();
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                panic!("{name}: {part} in {text}");
            };
            rest = after;
        }
    }
    // An email's button is a link that shows on any ground.
    let faults = view
        .faults(
            "document.querySelectorAll('style').forEach(it => it.remove());
             document.querySelectorAll('[style]').forEach(it => it.removeAttribute('style'));
             return [...document.querySelectorAll('[bgcolor] a')].filter(it => !it.querySelector('font[color]')).map(it => it.outerHTML.slice(0, 120))",
        )
        .await;
    view.close().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
