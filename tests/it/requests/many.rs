//! A list of 500 open requests: what it costs, and how it reads on a phone.

use std::time::Duration;

use futures_util::future::join_all;
use human_oversight::domain::Approval;
use human_oversight::values::{Address, ApprovalId};
use serde_json::json;
use tokio::time::Instant;

use super::{bob, carol, ids, list, submit, waiting};
use crate::backing_store;
use crate::browser::Browser;
use crate::harness::{ALICE, BOB, TestGate, for_alice};
use crate::quorum::{CAROL, POLICY, payment};
use crate::sign_in::{ON, alice};
use crate::store::approval;
use crate::tables::operations;

/// Stores this number of open requests for a person.
async fn fill(gate: &TestGate, person: &str, count: usize) {
    let now = gate.now();
    let requests: Vec<Approval> = (0..count)
        .map(|number| {
            let agent = format!("Agent{}", number % 40);
            let mut approval = approval(&agent, &format!("{}-{number:04}", &person[..3]));
            approval.request.action = format!("Delete the account of customer {number:04}");
            approval.request.requested_at = now;
            let deadline =
                Duration::from_secs(3_600 + 60 * u64::try_from(number * 7 % count).unwrap());
            approval.request.expires_at = now + deadline;
            approval.approvers[0].address = Address::parse(person).unwrap();
            Approval::new(approval.request, approval.approvers)
        })
        .collect();
    insert(gate, &requests).await;
}

async fn insert(gate: &TestGate, requests: &[Approval]) {
    // Few at once: on a busy machine each must be stored within the time limit of one operation.
    for some in requests.chunks(8) {
        let inserting = some.iter().map(|approval| {
            let due = approval.request.expires_at;
            gate.store.insert(approval.clone(), Some(due))
        });
        for inserted in join_all(inserting).await {
            inserted.unwrap();
        }
    }
}

/// One query for each shard of the due index, one read for each row that is shown, and one query for the decisions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_500_costs_one_query_per_shard_and_one_read_per_row() {
    let (gate, proxy) = backing_store::behind_a_proxy(&ON).await;
    fill(&gate, BOB, 100).await;
    fill(&gate, ALICE, 500).await;
    proxy.clear();
    let begun = Instant::now();
    let page = list(&gate, &alice()).await;
    let took = begun.elapsed();
    assert_eq!(ids(&page, "Waiting for your decision: 500<").len(), 500);
    assert!(!page.body.contains("More requests wait"));
    let done = operations(&proxy);
    let count = |name: &str| done.iter().filter(|it| *it == name).count();
    assert_eq!(
        (
            done.len(),
            count("GET open"),
            count("GET approvals"),
            count("GET decided")
        ),
        (517, 16, 500, 1),
        "{:?}",
        &done[..20]
    );
    eprintln!(
        "500 open requests: {} ms, {} operations, {} bytes",
        took.as_millis(),
        done.len(),
        page.body.len()
    );
    // One more is beyond what is shown, and the page says so.
    gate.client.submit(&for_alice()).await.unwrap();
    let page = list(&gate, &alice()).await;
    assert_eq!(
        ids(&page, "Waiting for your decision: 500 and more<").len(),
        500
    );
    assert!(
        page.body
            .contains("More requests wait than this page shows")
    );
    assert_eq!(waiting(&gate, &bob()).await.len(), 100);
}

/// Requests whose first stage is open name the people of the second, and do not ask them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_is_listed_however_many_earlier_ones_do_not_ask_yet() {
    let gate = TestGate::with(&[&ON[..], &[("HO_POLICY", POLICY)]].concat()).await;
    let first = submit(&gate, &payment(900)).await.id.parse().unwrap();
    let first = gate.store.read(&first).await.unwrap().approval;
    let requests: Vec<Approval> = (0..1_010)
        .map(|number| {
            let mut approval = first.clone();
            let agent = format!("Agent{}", number % 40);
            approval.request.id = ApprovalId::new(&agent, &number.to_string()).unwrap();
            approval
        })
        .collect();
    insert(&gate, &requests).await;
    let page = list(&gate, &carol()).await;
    assert!(ids(&page, "Waiting for your decision: 0<").is_empty());
    assert!(page.body.contains("Nothing waits for your decision now."));
    // Its deadline is later than theirs.
    fill(&gate, CAROL, 1).await;
    let page = list(&gate, &carol()).await;
    assert_eq!(ids(&page, "Waiting for your decision: 1<").len(), 1);
    for words in ["More requests wait", "Nothing waits"] {
        assert!(!page.body.contains(words), "{words}: {}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_500_is_read_on_a_phone() {
    for dark in [false, true] {
        let Some(browser) = Browser::open(375, dark).await else {
            return;
        };
        let gate = TestGate::with(&ON).await;
        fill(&gate, ALICE, 500).await;
        *gate.sign_in.account.lock().unwrap() = alice();
        let url = format!("{}/api/requests", gate.url);
        browser.window.goto(&url).await.unwrap();
        browser.fits_a_phone().await;
        let begun = Instant::now();
        browser.click("a.button").await;
        browser.has("ul.mails").await;
        eprintln!("in the browser: {} ms", begun.elapsed().as_millis());
        browser.fits_a_phone().await;
        let seen = browser
            .js("const links = [...document.querySelectorAll('ul.mails a')];
                 const deadlines = links.map(it => it.querySelector('time').dateTime);
                 return [links.length, String(deadlines) === String([...deadlines].sort()),
                         links.every(it => it.getBoundingClientRect().height >= 44),
                         document.querySelectorAll('script').length]")
            .await;
        assert_eq!(seen, json!([500, true, true, 0]));
        // A link opens the page of its request.
        browser.click("ul.mails a").await;
        browser.has("main > dl").await;
        let text = browser.text().await;
        assert!(text.contains("Delete the account of customer"), "{text}");
        browser.fits_a_phone().await;
        browser.window.close().await.unwrap();
    }
}
