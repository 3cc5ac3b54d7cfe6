//! The inbox and the page in a real browser (Chromium, through chromedriver).
//!
//! Without chromedriver these tests are skipped, loudly; in CI they fail instead.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::error::NewSessionError;
use fantoccini::{Client, ClientBuilder, Locator};
use human_oversight_client::types::Status;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::deadline::{DEADLINE, TestDeadline, eventually, within};
use crate::harness::{ALICE, TestGate, http, object, request};
use crate::sign_in;

/// A window of a separate browser process.
pub(crate) struct Browser {
    pub(crate) window: Client,
    url: String,
    _driver: Child,
    _profile: tempfile::TempDir,
    _deadline: TestDeadline,
}

/// Starts chromedriver. Returns it with its port; `None` if it is not installed.
async fn start_driver() -> Option<(Child, String)> {
    for _ in 0..5 {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut driver = driver.ok()?;
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        // It ends if the port that it chose for one protocol is in use for the other.
        while let Some(line) = within(lines.next_line()).await.unwrap() {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let port = port.trim_end_matches('.').to_owned();
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Some((driver, port));
            }
        }
    }
    panic!("chromedriver says its port");
}

impl Browser {
    /// `None` if chromedriver is not installed.
    pub(crate) async fn open(width: u32, dark: bool) -> Option<Self> {
        let Some((driver, port)) = start_driver().await else {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI must have chromedriver"
            );
            eprintln!("\n!! SKIPPED, as there is no chromedriver: a test in a real browser\n");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let capabilities = object(json!({
            "goog:chromeOptions": {
                "args": arguments,
                "mobileEmulation": {"deviceMetrics": {"width": width, "height": 800, "pixelRatio": 2.0}},
            },
            "goog:loggingPrefs": {"browser": "ALL"},
        }));
        let url = format!("http://127.0.0.1:{port}");
        let mut window = ClientBuilder::new(HttpConnector::new());
        window.capabilities(capabilities);
        // The driver fails a browser that has not started within a minute.
        let window = eventually(async || match window.connect(&url).await {
            Err(NewSessionError::SessionNotCreated(_)) => None,
            connected => Some(connected),
        });
        let window = window.await.unwrap();
        Some(Self {
            window,
            url,
            _driver: driver,
            _profile: profile,
            _deadline: TestDeadline::start(),
        })
    }

    pub(crate) async fn js(&self, script: &str) -> Value {
        self.window.execute(script, Vec::new()).await.unwrap()
    }

    pub(crate) async fn text(&self) -> String {
        self.window
            .find(Locator::Css("body"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.window
            .find(Locator::Css(selector))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    pub(crate) async fn has(&self, selector: &str) {
        self.window
            .wait()
            .at_most(DEADLINE)
            .for_element(Locator::Css(selector))
            .await
            .unwrap();
    }

    /// Saves a screenshot of the whole page, for review by a person.
    async fn picture(&self, name: &str) {
        let png = self
            .screenshot(json!({"captureBeyondViewport": true}))
            .await;
        let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/pictures");
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(format!("{folder}/{name}.png"), png).unwrap();
    }

    /// A small picture of one element of the page, in WebP.
    pub(crate) async fn picture_of(&self, selector: &str, scale: f64, quality: u8) -> Vec<u8> {
        let area = self
            .js(&format!(
                "const area = document.querySelector('{selector}').getBoundingClientRect();
                 return {{x: area.x, y: area.y, width: area.width, height: area.height, scale: {scale}}}"
            ))
            .await;
        self.screenshot(json!({
            "captureBeyondViewport": true, "clip": area, "format": "webp", "quality": quality,
        }))
        .await
    }

    async fn screenshot(&self, params: Value) -> Vec<u8> {
        let picture = self.devtools("Page.captureScreenshot", params).await;
        BASE64.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Runs a command of the browser's DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, params: Value) -> Value {
        let session = self.window.session_id().await.unwrap().unwrap();
        let command = json!({"cmd": command, "params": params});
        let answer = http()
            .build()
            .unwrap()
            .post(format!("{}/session/{session}/goog/cdp/execute", self.url))
            .header("content-type", "application/json")
            .body(command.to_string());
        let answer = answer.send().await.unwrap().bytes().await.unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["value"]["error"].is_null(), "{command}: {answer}");
        answer["value"].take()
    }

    /// Checks the rules for every page on a phone.
    pub(crate) async fn fits_a_phone(&self) {
        let wide = self
            .js("return document.documentElement.scrollWidth - window.innerWidth")
            .await;
        assert!(
            wide.as_i64().unwrap() <= 0,
            "the page must not scroll sideways: {wide}"
        );
        let small = self
            .js("return [...document.querySelectorAll('button, input:not([type=hidden]):not([type=radio]), label:has(input[type=radio]), textarea')]
                 .filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)")
            .await;
        assert_eq!(small, json!([]), "targets of 44 px at least");
        let styled = self
            .js("return getComputedStyle(document.querySelector('main')).maxWidth")
            .await;
        assert_ne!(
            styled, "none",
            "the page's own style is allowed by its policy"
        );
    }
}

/// The lowest contrast (WCAG 2) between a text and its background, and the element.
const CONTRAST: &str = r#"
    const rgb = c => c.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] !== 0) return c; } return [255, 255, 255]; };
    let worst = [99, ''];
    for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
        const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < worst[0]) worst = [ratio, e.outerHTML];
    }
    return worst;
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_follows_the_link_in_the_email_and_approves() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    let mut new = request();
    new.reason = Some("The contract ended last month.".to_owned());
    let approval = gate.client.submit(&new).await.unwrap();
    let code = gate.question(&approval, ALICE).code;

    browser.window.goto(&gate.direct("/inbox")).await.unwrap();
    browser.fits_a_phone().await;
    browser.picture("inbox-phone").await;
    let mails = browser
        .window
        .find_all(Locator::Css("ul.mails a"))
        .await
        .unwrap();
    for mail in mails {
        if mail.text().await.unwrap().contains(ALICE) {
            mail.click().await.unwrap();
            break;
        }
    }
    browser.has("iframe").await;
    browser.picture("mail-phone").await;
    browser
        .window
        .find(Locator::Css("iframe"))
        .await
        .unwrap()
        .enter_frame()
        .await
        .unwrap();
    assert!(
        browser.text().await.contains(&code),
        "the code is in the email"
    );
    browser.click("a[href*='/api/decision/']").await;
    // The link opens outside the email's frame.
    let windows = eventually(async || {
        let windows = browser.window.windows().await.unwrap();
        (windows.len() == 2).then_some(windows)
    })
    .await;
    browser
        .window
        .switch_to_window(windows[1].clone())
        .await
        .unwrap();

    browser.has("form").await;
    browser.fits_a_phone().await;
    browser.picture("page-phone").await;
    // Enter in the code field approves, with the code and not without.
    let field = browser.window.find(Locator::Id("code")).await.unwrap();
    field.send_keys("\u{e007}").await.unwrap();
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    browser.click("details:has(#comment) > summary").await;
    browser
        .window
        .find(Locator::Id("comment"))
        .await
        .unwrap()
        .send_keys("Go on")
        .await
        .unwrap();
    field
        .send_keys(&format!("{} {}", &code[..3], &code[3..]))
        .await
        .unwrap();
    field.send_keys("\u{e007}").await.unwrap();
    browser.has("[role=status]").await;
    assert!(
        browser
            .text()
            .await
            .contains("Approved by alice@example.com")
    );
    browser.picture("approved-phone").await;
    assert_eq!(
        gate.status(&approval.id).await.comment.as_deref(),
        Some("Go on")
    );
    browser.window.refresh().await.unwrap();
    assert!(
        browser
            .text()
            .await
            .contains("Approved by alice@example.com")
    );
    browser.window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_presses_every_button_approves_nothing() {
    let Some(browser) = Browser::open(720, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let link = gate.question(&approval, ALICE).link;
    // A scanner loads the page, runs its scripts, and waits.
    browser.window.goto(&link).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    browser.click("button[value=approve]").await;
    assert_eq!(
        gate.status(&approval.id).await.status,
        Status::Pending,
        "the browser asks for the code"
    );
    // The scanner bypasses the browser's validation.
    browser
        .js("document.querySelector('#code').removeAttribute('required')")
        .await;
    browser.click("button[value=approve]").await;
    browser.has("[role=alert]").await;
    assert!(
        browser
            .text()
            .await
            .contains("Type the code from the email")
    );
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    // The worst that a scanner can do is to reject.
    browser.click("details:has([value=reject]) > summary").await;
    browser.click("button[value=reject]").await;
    browser.has("[role=status]").await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Rejected);
    browser.window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_signs_in_and_approves_without_a_code() {
    let Some(browser) = Browser::open(375, true).await else {
        return;
    };
    let gate = TestGate::with(&sign_in::ON).await;
    let account = |name: &str, id: &str| {
        *gate.sign_in.account.lock().unwrap() = sign_in::member(name, id);
    };
    let approval = gate.ask().await;
    let link = format!("{}/api/decision/{}", gate.url, approval.id);

    browser.window.goto(&link).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        browser.text().await.contains("Please sign in"),
        "the page does not redirect to the sign-in by itself"
    );
    browser.fits_a_phone().await;
    browser.picture("sign-in-phone").await;
    account("carol@example.com", "3c9e7a10-0000-4000-8000-00000000ca01");
    browser.click("a.button").await;
    browser.has("a[href*='logout']").await;
    assert!(
        browser
            .text()
            .await
            .contains("You are signed in as carol@example.com")
    );
    let worst = browser.js(CONTRAST).await;
    assert!(worst[0].as_f64().unwrap() >= 4.5, "{worst}");
    browser.picture("another-account-phone").await;
    browser.click("a[href*='logout']").await;
    browser.has("a[href*='login']").await;
    account(ALICE, "3c9e7a10-0000-4000-8000-00000000a11c");
    browser.click("a.button").await;
    browser.has("form").await;
    browser.fits_a_phone().await;
    browser.picture("signed-in-phone").await;
    browser.click("button[value=approve]").await;
    browser.has("[role=status]").await;
    assert!(
        browser
            .text()
            .await
            .contains("Approved by alice@example.com")
    );
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
    browser.window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_emails_are_readable_in_light_and_dark_mode() {
    for (dark, name) in [(false, "light"), (true, "dark")] {
        let Some(browser) = Browser::open(375, dark).await else {
            return;
        };
        let gate = TestGate::start().await;
        let mut hostile = request();
        hostile.parameters = object(json!({
            "path": "invoice\u{202e}fdp.exe", "to": "\u{440}aypal-prod", "long": "x".repeat(400),
            "query": "DELETE FROM accounts WHERE last_login < '2025-01-01' AND region IN ('EMEA', 'APAC')",
        }));
        hostile.reason = Some("Quarterly clean-up.\nLegal agreed on Monday.".to_owned());
        hostile.on_behalf_of = Some("requester@example.com".to_owned());
        let approval = gate.client.submit(&hostile).await.unwrap();
        let question = gate.question(&approval, ALICE);
        let mail = gate
            .mails()
            .into_iter()
            .find(|mail| mail.to == ALICE)
            .unwrap();
        let mail = format!(
            "{}/inbox/{}/html",
            gate.direct(""),
            mail.message_id.split('@').next().unwrap()
        );
        for (url, picture) in [(&question.link, "page"), (&mail, "mail")] {
            browser.window.goto(url).await.unwrap();
            let is_dark = browser
                .js("return matchMedia('(prefers-color-scheme: dark)').matches")
                .await;
            assert_eq!(is_dark, json!(dark));
            let worst = browser.js(CONTRAST).await;
            assert!(
                worst[0].as_f64().unwrap() >= 4.5,
                "{picture} {name}: {worst}"
            );
            browser.picture(&format!("{picture}-{name}")).await;
        }
        browser.window.goto(&question.link).await.unwrap();
        browser.fits_a_phone().await;
        let code = browser.window.find(Locator::Id("code")).await.unwrap();
        code.send_keys("not the code").await.unwrap();
        browser.click("button[value=approve]").await;
        browser.has("[role=alert]").await;
        let worst = browser.js(CONTRAST).await;
        assert!(
            worst[0].as_f64().unwrap() >= 4.5,
            "wrong code {name}: {worst}"
        );
        browser.picture(&format!("wrong-code-{name}")).await;
        browser.click("details:has([value=reject]) > summary").await;
        browser.click("button[value=reject]").await;
        browser.has("[role=status]").await;
        browser.picture(&format!("rejected-{name}")).await;
        browser.window.close().await.unwrap();
    }
}
