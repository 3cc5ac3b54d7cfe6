//! Programs that open a mail's links and press what they find, as mail scanners do: they approve
//! nothing. That one of them rejects is allowed, and safe.
//!
//! One that understood the mail's words, and typed the code where it belongs, would be a reader like
//! any other. Against that only signing in helps.

use std::collections::BTreeSet;

use human_oversight_client::types::{Approval, Status};
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{ALICE, Page, TestGate, http};

/// What a program would type without knowing anything.
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

/// One that has a mail of Alice's, and behaves like a browser as far as the gate can tell.
struct Robot<'a> {
    gate: &'a TestGate,
    http: reqwest::Client,
    approval: Approval,
    links: Vec<String>,
    /// It does not read this.
    code: String,
}

impl<'a> Robot<'a> {
    async fn with_a_mail_of(gate: &'a TestGate) -> Self {
        let approval = gate.ask().await;
        let code = gate.question(&approval, ALICE).code;
        let mails = gate.mails().into_iter();
        let mut mails = mails.filter(|mail| mail.to == ALICE && mail.text.contains(&approval.id));
        let mail = mails.next().unwrap();
        let html = mail.html.replace("&#38;", "&").replace("&amp;", "&");
        let words = mail
            .text
            .split_whitespace()
            .chain(html.split(['"', '\'', '<', '>', ' ']));
        let links: BTreeSet<_> = words
            .filter(|word| word.starts_with("http"))
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

    /// Sends the form of a page with a button, and the same in every field that it can fill.
    async fn press(&self, page: &Page, button: &str, typed: &str) -> Page {
        let fields = page.hidden_fields();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .extend_pairs([("comment", typed), ("code", typed), ("decision", button)])
            .finish();
        let url = format!("{}{}", self.gate.url, page.action());
        self.send(Method::POST, &url, Some(form)).await
    }

    /// All words of the address and the form, rubbish, and all words of the page. The code is not
    /// among them.
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

    /// Fills and presses until the page has nothing left to press.
    async fn press_all(&self, link: &str, buttons: &[&str]) {
        let page = self.open(link).await;
        for typed in self.words(&page, link) {
            for button in buttons {
                let answer = self.press(&page, button, &typed).await;
                if !answer.body.contains("<form") {
                    return;
                }
                // What comes back has its buttons pressed, too.
                self.press(&answer, button, &typed).await;
            }
        }
    }

    /// How the request stands afterwards.
    async fn ends(self) -> Status {
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
    let robot = Robot::with_a_mail_of(&gate).await;
    let before = gate.stored().await;
    for link in &robot.links {
        // Through the host, and past it: a handler must not need the host's narrow routes.
        for link in [link, &link.replace(&gate.url, &gate.direct(""))] {
            for method in methods() {
                robot.send(method, link, None).await;
            }
        }
        for more in RUBBISH {
            for name in ["decision", "code", "d", "a", "confirm"] {
                robot.open(&format!("{link}&{name}={more}")).await;
            }
        }
        let page = robot.open(link).await;
        assert!(page.body.contains("<form"));
        robot.open(&format!("{}{}", gate.url, page.action())).await;
        // As a form that is sent by GET would ask.
        let fields = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(page.hidden_fields())
            .extend_pairs([("decision", "reject"), ("code", "")])
            .finish();
        robot
            .open(&format!("{}{}?{fields}", gate.url, page.action()))
            .await;
    }
    assert_eq!(gate.stored().await, before);
    assert_eq!(robot.ends().await, Status::Pending);
}

#[tokio::test]
async fn posting_to_every_link_decides_nothing() {
    let gate = TestGate::start().await;
    let robot = Robot::with_a_mail_of(&gate).await;
    let before = gate.stored().await;
    for link in &robot.links {
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
                    let answer = robot.send(Method::POST, url, Some(body)).await;
                    assert!(answer.status.is_client_error(), "{}", answer.status);
                }
            }
            robot.send(Method::POST, url, None).await;
        }
    }
    assert_eq!(gate.stored().await, before);
    assert_eq!(robot.ends().await, Status::Pending);
}

#[tokio::test]
async fn approving_with_every_word_found_approves_nothing() {
    let gate = TestGate::start().await;
    // After five wrong codes nothing more is looked at, so each has others to begin with.
    for tried in (0..60).step_by(5) {
        let robot = Robot::with_a_mail_of(&gate).await;
        for link in &robot.links {
            let page = robot.open(link).await;
            let words = robot.words(&page, link).into_iter().skip(tried);
            for typed in words.take(5) {
                robot.press(&page, "approve", &typed).await;
            }
        }
        assert_eq!(robot.ends().await, Status::Pending);
    }
    let robot = Robot::with_a_mail_of(&gate).await;
    for link in &robot.links {
        robot.press_all(link, &["approve"]).await;
    }
    assert!(gate.status(&robot.approval.id).await.notifications[0].locked);
    assert_eq!(robot.ends().await, Status::Pending);
}

#[tokio::test]
async fn pressing_every_button_can_only_reject() {
    let gate = TestGate::start().await;
    for buttons in [["approve", "reject"], ["reject", "approve"]] {
        let robot = Robot::with_a_mail_of(&gate).await;
        for link in &robot.links {
            robot.press_all(link, &buttons).await;
        }
        assert_eq!(robot.ends().await, Status::Rejected);
    }
}

#[tokio::test]
async fn approving_with_empty_fields_decides_nothing() {
    let gate = TestGate::start().await;
    let robot = Robot::with_a_mail_of(&gate).await;
    let before = gate.stored().await;
    for link in &robot.links {
        for _ in 0..20 {
            let page = robot.open(link).await;
            robot.press(&page, "approve", "").await;
            robot.press(&page, "approve", "  ").await;
        }
    }
    assert_eq!(gate.stored().await, before, "no code is no wrong code");
    assert_eq!(robot.ends().await, Status::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_scanners_approve_nothing() {
    let gate = TestGate::start().await;
    let robot = Robot::with_a_mail_of(&gate).await;
    let link = &robot.links[0];
    let twice = (0..16).map(|number| {
        let typed = RUBBISH[number % RUBBISH.len()];
        let robot = &robot;
        async move {
            let (one, other) = tokio::join!(robot.open(link), robot.open(link));
            tokio::join!(
                robot.press(&one, "approve", typed),
                robot.press(&other, "approve", typed)
            )
        }
    });
    futures_util::future::join_all(twice).await;
    assert_eq!(robot.ends().await, Status::Pending);
}

#[tokio::test]
async fn a_rewritten_link_opens_nothing_or_the_same_page() {
    let gate = TestGate::start().await;
    let robot = Robot::with_a_mail_of(&gate).await;
    let before = gate.stored().await;
    let link = robot.links[0].clone();
    let (address, query) = link.split_once('?').unwrap();
    let token = query.strip_prefix("k=").unwrap();
    let (start, end) = token.split_at(token.len() / 2);
    // Those that only add something leave the link what it is.
    for more in [
        "&utm_source=mail",
        "&amp;x=1",
        "#top",
        "&code=123456&decision=approve",
    ] {
        let page = robot.open(&format!("{link}{more}")).await;
        assert!(page.body.contains("<form"), "{more}");
    }
    for query in [
        String::new(),
        format!("url={address}?k={token}"),
        format!("k={}", token.to_uppercase()),
        format!("k={}", token.to_lowercase()),
        format!("k={token}."),
        format!("k={token}%20"),
        format!("k={token}{token}"),
        format!("k=3D{token}"),
        format!("k={start}=%0d%0a{end}"),
        format!("k={start}%AD{end}"),
        format!("k={end}{start}"),
        format!("k={start}"),
        format!("k=&k={token}"),
        format!("K={token}"),
        format!("amp;k={token}"),
    ] {
        let page = robot.open(&format!("{address}?{query}")).await;
        assert_eq!(page.status, 404, "{query}");
        assert!(!page.body.contains("<form") && !page.body.contains("Delete User"));
    }
    assert_eq!(gate.stored().await, before);
    assert_eq!(robot.ends().await, Status::Pending);
}

/// Fills every field with `arguments[0]`, takes away whatever holds the form back, and presses the
/// button `arguments[1]`.
const PRESS: &str = "
    for (const field of document.querySelectorAll('input:not([type=hidden]), textarea, select')) {
        field.removeAttribute('required'); field.removeAttribute('maxlength');
        field.value = arguments[0];
    }
    const button = [...document.querySelectorAll('button, input[type=submit]')]
        .find(button => button.value === arguments[1]);
    if (button) { button.form.noValidate = true; document.body.dataset.pressed = 1; button.click(); }
    return !!button;";

/// In a real browser, with everything that one runs.
async fn in_a_browser(browser: &Browser, robot: &Robot<'_>, buttons: &[&str]) {
    let window = &browser.window;
    for link in &robot.links {
        window.goto(link).await.unwrap();
        let page = robot.open(link).await;
        // Nothing first, then some of all it found, until there is nothing left to press.
        let words = robot.words(&page, link).into_iter().step_by(23);
        for typed in ["".to_owned()].into_iter().chain(words) {
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
    let robot = Robot::with_a_mail_of(&gate).await;
    in_a_browser(&browser, &robot, &["approve"]).await;
    assert!(gate.status(&robot.approval.id).await.notifications[0].locked);
    assert_eq!(robot.ends().await, Status::Pending);
    browser.window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pressing_every_button_in_a_browser_can_only_reject() {
    let Some(browser) = Browser::open(720, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    for buttons in [["approve", "reject"], ["reject", "approve"]] {
        let robot = Robot::with_a_mail_of(&gate).await;
        in_a_browser(&browser, &robot, &buttons).await;
        assert_eq!(robot.ends().await, Status::Rejected);
    }
    browser.window.close().await.unwrap();
}
