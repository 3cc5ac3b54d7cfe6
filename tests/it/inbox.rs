//! The pages of local development: the first one, and the inbox.

use std::time::Duration;

use human_oversight_client::types::Withdrawal;
use serde_json::json;

use crate::browser::Browser;
use crate::harness::{ALICE, BOB, TestGate, object, repository, request};

#[tokio::test]
async fn the_first_page_of_local_development_leads_to_the_inbox_and_the_documentation() {
    let gate = TestGate::alone().await;
    let page = gate.get(&gate.direct("/")).await;
    assert_eq!(page.status, 200);
    for part in [
        "<html lang=\"en\">",
        "<title>Human Oversight</title>",
        "href=\"/inbox\"",
        "href=\"/api/openapi.json\"",
        "docs/README.md",
    ] {
        assert!(page.body.contains(part), "{part} in {}", page.body);
    }
}

#[tokio::test]
async fn the_inbox_shows_what_is_open_and_what_was_decided() {
    let gate = TestGate::start().await;
    let inbox = async || gate.get(&gate.direct("/inbox")).await.body;
    assert!(inbox().await.contains("No request yet"));
    let ask = async |action: &str| {
        let mut new = request();
        new.action_description = action.to_owned();
        gate.client.submit(&new).await.unwrap()
    };
    let names = ["Open<1>", "Approved<2>", "Rejected<3>", "Withdrawn<4>"];
    let [_, approved, rejected, withdrawn] = [
        ask(names[0]).await,
        ask(names[1]).await,
        ask(names[2]).await,
        ask(names[3]).await,
    ];
    gate.approve(&approved, ALICE).await;
    gate.reject(&rejected, BOB, "no").await;
    gate.client
        .withdraw(&withdrawn.id, &Withdrawal::default())
        .await
        .unwrap();
    let page = inbox().await;
    let cards: Vec<&str> = page.split("<section").skip(1).collect();
    assert_eq!(cards.len(), 4, "{page}");
    let card = |name: &str| {
        let shown = name.replace('<', "&#60;").replace('>', "&#62;");
        let found: Vec<&&str> = cards.iter().filter(|card| card.contains(&shown)).collect();
        assert_eq!(found.len(), 1, "{name}: {page}");
        assert_eq!(found[0].matches("href=\"/inbox/").count(), 2, "{name}");
        *found[0]
    };
    assert!(
        card(names[0]).contains("Open: alice@example.com or bob@example.com can decide until ")
    );
    assert_eq!(card(names[0]), cards[0], "what is open comes first");
    let ending = card(names[1]);
    assert!(
        ending.contains("Approved by alice@example.com on "),
        "{ending}"
    );
    assert!(ending.contains("Waiting for the agent to start; it has until "));
    assert!(card(names[2]).contains("Rejected by bob@example.com on "));
    assert!(card(names[3]).contains("The agent withdrew this request on "));
    // A deadline that has passed counts before the sweep has stored it.
    gate.pass(Duration::from_secs(3_600));
    assert!(
        inbox()
            .await
            .contains("Expired: no decision was made before ")
    );
    // The emails outlive the requests.
    std::fs::rename(gate.mail_folder(), gate.dir.path().join("kept")).unwrap();
    let other = TestGate::start().await;
    std::fs::rename(gate.dir.path().join("kept"), other.mail_folder()).unwrap();
    let page = other.get(&other.direct("/inbox")).await.body;
    assert!(page.contains("Emails about other requests"), "{page}");
    assert_eq!(page.matches("href=\"/inbox/").count(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_refreshes_itself() {
    let Some(browser) = Browser::open(375, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    browser.window.goto(&gate.direct("/inbox")).await.unwrap();
    gate.ask().await;
    browser.has("ul.mails a").await;
    browser.fits_a_phone().await;
    browser.window.goto(&gate.direct("/")).await.unwrap();
    browser.fits_a_phone().await;
    browser.window.close().await.unwrap();
}

/// The pictures of the README show the real email and page. `HO_UPDATE_PICTURES=1` makes them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pictures_of_the_readme_are_made_of_the_real_email_and_page() {
    let Some(browser) = Browser::open(480, false).await else {
        return;
    };
    let gate = TestGate::start().await;
    let mut new = request();
    new.agent_name = "InvoiceAgent".to_owned();
    new.action_description = "Pay a supplier's invoice".to_owned();
    new.parameters = object(json!({
        "supplier": "Example Print Ltd.", "invoice": "2026-1187", "amount": 1840, "currency": "EUR",
    }));
    new.reason = Some("Due on 30 November; the goods arrived.".to_owned());
    new.approver_emails = vec![ALICE.to_owned()];
    let approval = gate.client.submit(&new).await.unwrap();
    let link = gate.question(&approval, ALICE).link;
    let mails = gate.mails();
    let name = mails[0].message_id.split('@').next().unwrap();
    let mail = gate.direct(&format!("/inbox/{name}/html"));
    let update = std::env::var_os("HO_UPDATE_PICTURES").is_some();
    for (url, name, part) in [(&mail, "mail", "table"), (&link, "page", "main")] {
        browser.window.goto(url).await.unwrap();
        let made = browser.picture_of(part, 0.75, 60).await;
        let path = repository().join(format!("docs/pictures/{name}.webp"));
        if update {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read(&path).unwrap();
        assert!(
            [&kept, &made].iter().all(|it| &it[8..12] == b"WEBP"),
            "{name}"
        );
        assert!(kept.len() < 60_000, "{name}: {} bytes", kept.len());
        let readme = include_str!("../../README.md");
        assert!(
            readme.contains(&format!("docs/pictures/{name}.webp")),
            "{name}"
        );
    }
    browser.window.close().await.unwrap();
}
