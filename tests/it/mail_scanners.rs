//! Mail scanners open an email's links and press buttons. They approve nothing; that one rejects is allowed,
//! and safe.
//!
//! A scanner that reads the text and enters the code is indistinguishable from the approver. Only sign-in
//! prevents that.

use std::collections::BTreeSet;

use human_oversight_client::types::{Approval, Status};
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{ALICE, Page, TestGate, http};

/// Values that a scanner might enter without reading the email.
const RUBBISH: [&str; 8] = [
    "",
    "000000",
    "123456",
    "approve",
    "yes",
    "test",
    "scanner@example.com",
    "' OR 1=1 --",
];

/// A scanner of Alice's mailbox, whose calls have the headers of a browser.
struct Scanner<'a> {
    gate: &'a TestGate,
    http: reqwest::Client,
    approval: Approval,
    links: Vec<String>,
    /// The code in the email, which a scanner does not use.
    code: String,
}

impl<'a> Scanner<'a> {
    async fn new(gate: &'a TestGate) -> Self {
        let approval = gate.ask().await;
        let code = gate.question(&approval, ALICE).code;
        let emails = gate.mails().into_iter();
        let mut emails = emails.filter(|mail| mail.to == ALICE && mail.text.contains(&approval.id));
        let mail = emails.next().unwrap();
        let html = mail.html.replace("&#38;", "&").replace("&amp;", "&");
        let words = mail
            .text
            .split_whitespace()
            .chain(html.split(['"', '\'', '<', '>', ' ']));
        let links: BTreeSet<_> = words
            .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
            .map(str::to_owned)
            .collect();
        assert!(!links.is_empty());
        let http = http().build().unwrap();
        Self {
            gate,
            http,
            approval,
            links: links.into_iter().collect(),
            code,
        }
    }

    async fn send(&self, method: Method, url: &str, form: Option<String>) -> Page {
        let mut request = self
            .http
            .request(method, url)
            .header("origin", &self.gate.url)
            .header("sec-fetch-site", "same-origin");
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        Page::of(request.send().await.unwrap()).await
    }

    async fn open(&self, url: &str) -> Page {
        self.send(Method::GET, url, None).await
    }

    /// Sends the form of a page with this button, and `typed` in every text field.
    async fn press(&self, page: &Page, button: &str, typed: &str) -> Page {
        let fields = page.first_form();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .extend_pairs([("comment", typed), ("code", typed), ("decision", button)])
            .finish();
        let url = format!("{}{}", self.gate.url, page.action());
        self.send(Method::POST, &url, Some(form)).await
    }

    /// All words of the URL, the form and the page, and rubbish. The code is not among them.
    fn words(&self, page: &Page, url: &str) -> Vec<String> {
        let fields = page.hidden_fields().into_iter().map(|(_, value)| value);
        let texts = [url.to_owned()].into_iter().chain(fields);
        let texts = texts
            .chain(RUBBISH.map(str::to_owned))
            .chain([page.body.clone()]);
        let mut words: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for text in texts {
            let plain = text.split(|c: char| !c.is_ascii_alphanumeric());
            let long = text.split(|c: char| c.is_whitespace() || "\"'<>=?&/".contains(c));
            let new = long.chain(plain).chain(text.lines().take(1));
            words.extend(
                new.filter(|word| seen.insert(word.to_string()))
                    .map(str::to_owned),
            );
        }
        assert!(!words.contains(&self.code), "the page shows the code");
        words
    }

    /// Presses the buttons with each word until the page has no form.
    async fn press_all(&self, link: &str, buttons: &[&str]) {
        let page = self.open(link).await;
        for typed in self.words(&page, link) {
            for button in buttons {
                let answer = self.press(&page, button, &typed).await;
                if !answer.body.contains("<form") {
                    return;
                }
                // The buttons of the response are pressed, too.
                self.press(&answer, button, &typed).await;
            }
        }
    }

    /// Checks that nothing is approved; returns the status of the request.
    async fn final_status(self) -> Status {
        for (_, _, row) in self.gate.stored().await {
            let row: Value = serde_json::from_str(&row).unwrap();
            assert_ne!(row["Status"], "Approved");
            assert!(row["Receipt"].is_null() || row["Status"] == "Rejected");
        }
        self.gate.status(&self.approval.id).await.status
    }
}

fn methods() -> [Method; 3] {
    [Method::HEAD, Method::OPTIONS, Method::GET]
}

#[tokio::test]
async fn opening_every_link_decides_nothing() {
    let gate = TestGate::start().await;
    let scanner = Scanner::new(&gate).await;
    let before = gate.stored().await;
    for link in &scanner.links {
        // Through the host and directly: the handler must not rely on the host's routes.
        for link in [link, &link.replace(&gate.url, &gate.direct(""))] {
            for method in methods() {
                scanner.send(method, link, None).await;
            }
        }
        for more in RUBBISH {
            for name in ["decision", "code", "d", "a", "confirm"] {
                scanner.open(&format!("{link}&{name}={more}")).await;
            }
        }
        let page = scanner.open(link).await;
        assert!(page.body.contains("<form"));
        scanner
            .open(&format!("{}{}", gate.url, page.action()))
            .await;
        // The form, sent by GET.
        let fields = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(page.first_form())
            .extend_pairs([("decision", "reject"), ("code", "")])
            .finish();
        scanner
            .open(&format!("{}{}?{fields}", gate.url, page.action()))
            .await;
    }
    assert_eq!(gate.stored().await, before);
    assert_eq!(scanner.final_status().await, Status::Pending);
}

#[tokio::test]
async fn posting_to_every_link_decides_nothing() {
    let gate = TestGate::start().await;
    let scanner = Scanner::new(&gate).await;
    let before = gate.stored().await;
    for link in &scanner.links {
        let (address, query) = link.split_once('?').unwrap();
        for url in [link.as_str(), address] {
            for body in [
                "",
                query,
                "List-Unsubscribe=One-Click",
                "decision=approve",
                "decision=reject",
            ] {
                for body in [body.to_owned(), format!("{query}&{body}")] {
                    let answer = scanner.send(Method::POST, url, Some(body)).await;
                    assert!(answer.status.is_client_error(), "{}", answer.status);
                }
            }
            scanner.send(Method::POST, url, None).await;
        }
    }
    assert_eq!(gate.stored().await, before);
    assert_eq!(scanner.final_status().await, Status::Pending);
}

#[tokio::test]
async fn approving_with_every_word_found_approves_nothing() {
    let gate = TestGate::start().await;
    // A link locks after five wrong codes, so each scanner starts with other words.
    for tried in (0..60).step_by(5) {
        let scanner = Scanner::new(&gate).await;
        for link in &scanner.links {
            let page = scanner.open(link).await;
            let words = scanner.words(&page, link).into_iter().skip(tried);
            for typed in words.take(5) {
                scanner.press(&page, "approve", &typed).await;
            }
        }
        assert_eq!(scanner.final_status().await, Status::Pending);
    }
    let scanner = Scanner::new(&gate).await;
    for link in &scanner.links {
        scanner.press_all(link, &["approve"]).await;
    }
    assert!(gate.status(&scanner.approval.id).await.notifications[0].locked);
    assert_eq!(scanner.final_status().await, Status::Pending);
}

#[tokio::test]
async fn pressing_every_button_can_only_reject() {
    let gate = TestGate::start().await;
    for buttons in [["approve", "reject"], ["reject", "approve"]] {
        let scanner = Scanner::new(&gate).await;
        for link in &scanner.links {
            scanner.press_all(link, &buttons).await;
        }
        assert_eq!(scanner.final_status().await, Status::Rejected);
    }
}

#[tokio::test]
async fn approving_with_empty_fields_decides_nothing() {
    let gate = TestGate::start().await;
    let scanner = Scanner::new(&gate).await;
    let before = gate.stored().await;
    for link in &scanner.links {
        for _ in 0..20 {
            let page = scanner.open(link).await;
            scanner.press(&page, "approve", "").await;
            scanner.press(&page, "approve", "  ").await;
        }
    }
    assert_eq!(
        gate.stored().await,
        before,
        "an empty code is not counted as wrong"
    );
    assert_eq!(scanner.final_status().await, Status::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_scanners_approve_nothing() {
    let gate = TestGate::start().await;
    let scanner = Scanner::new(&gate).await;
    let link = &scanner.links[0];
    let twice = (0..16).map(|number| {
        let typed = RUBBISH[number % RUBBISH.len()];
        let scanner = &scanner;
        async move {
            let (one, other) = tokio::join!(scanner.open(link), scanner.open(link));
            tokio::join!(
                scanner.press(&one, "approve", typed),
                scanner.press(&other, "approve", typed)
            )
        }
    });
    futures_util::future::join_all(twice).await;
    assert_eq!(scanner.final_status().await, Status::Pending);
}

#[tokio::test]
async fn a_rewritten_link_opens_nothing_or_the_same_page() {
    let gate = TestGate::start().await;
    let scanner = Scanner::new(&gate).await;
    let before = gate.stored().await;
    let link = scanner.links[0].clone();
    let (address, query) = link.split_once('?').unwrap();
    let token = query.strip_prefix("k=").unwrap();
    let (start, end) = token.split_at(token.len() / 2);
    // Additions leave the link valid.
    for more in [
        "&utm_source=mail",
        "&amp;x=1",
        "#top",
        "&code=123456&decision=approve",
    ] {
        let page = scanner.open(&format!("{link}{more}")).await;
        assert!(page.body.contains("<form"), "{more}");
    }
    // So do those whose damage only changes the spelling.
    for query in [
        format!("url={address}?k={token}"),
        format!("k={token}."),
        format!("k={token}%20"),
        format!("k={token}{token}"),
        format!("k=3D{token}"),
        format!("k={start}=%0d%0a{end}"),
        format!("k={start}%AD{end}"),
        format!("k=&k={token}"),
        format!("K={token}"),
        format!("amp;k={token}"),
    ] {
        let page = scanner.open(&format!("{address}?{query}")).await;
        assert!(page.body.contains("<form"), "{query}");
    }
    for query in [
        String::new(),
        format!("k={}", token.to_uppercase()),
        format!("k={}", token.to_lowercase()),
        format!("k={end}{start}"),
        format!("k={start}"),
    ] {
        let page = scanner.open(&format!("{address}?{query}")).await;
        assert_eq!(page.status, 404, "{query}");
        assert!(!page.body.contains("<form") && !page.body.contains("Delete User"));
    }
    assert_eq!(gate.stored().await, before);
    assert_eq!(scanner.final_status().await, Status::Pending);
}

/// Fills every field with `arguments[0]`, removes the form's validation, and presses the button `arguments[1]`. To
/// approve it leaves out what belongs to a rejection, with which no code counts.
const PRESS: &str = "
    for (const field of document.querySelectorAll('input:not([type=hidden]):not([type=radio]), textarea, select')) {
        if (['words', 'revise'].includes(field.name) && arguments[1] === 'approve') continue;
        field.removeAttribute('required'); field.removeAttribute('maxlength');
        field.value = arguments[0];
    }
    const button = [...document.querySelectorAll('button, input[type=submit]')]
        .find(button => button.value === arguments[1]);
    if (button) { button.form.noValidate = true; document.body.dataset.pressed = 1; button.click(); }
    return !!button;";

/// Presses the buttons in a real browser.
async fn press_in_browser(browser: &Browser, scanner: &Scanner<'_>, buttons: &[&str]) {
    let window = &browser.window;
    for link in &scanner.links {
        window.goto(link).await.unwrap();
        let page = scanner.open(link).await;
        // First with empty fields, then with some of the words and with guesses, until the page has no button.
        let words = scanner.words(&page, link).into_iter().step_by(23);
        let guesses = (0..5).map(|number| format!("{number:06}"));
        for typed in ["".to_owned()].into_iter().chain(words).chain(guesses) {
            let mut pressed = false;
            for button in buttons {
                let arguments = vec![json!(typed), json!(button)];
                pressed |= window.execute(PRESS, arguments).await.unwrap() == json!(true);
                browser.has("body:not([data-pressed])").await;
            }
            if !pressed {
                break;
            }
            window.back().await.unwrap();
            window.refresh().await.unwrap();
            window.goto(link).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approving_in_a_browser_approves_nothing() {
    let Some(browser) = Browser::open(720, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    let scanner = Scanner::new(&gate).await;
    press_in_browser(&browser, &scanner, &["approve"]).await;
    assert!(gate.status(&scanner.approval.id).await.notifications[0].locked);
    assert_eq!(scanner.final_status().await, Status::Pending);
    browser.window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pressing_every_button_in_a_browser_can_only_reject() {
    let Some(browser) = Browser::open(720, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    for buttons in [["approve", "reject"], ["reject", "approve"]] {
        let scanner = Scanner::new(&gate).await;
        press_in_browser(&browser, &scanner, &buttons).await;
        assert_eq!(scanner.final_status().await, Status::Rejected);
    }
    browser.window.close().await.unwrap();
}
