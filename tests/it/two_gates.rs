//! One request, two gates on one table: votes through either, and the emails of one that dies.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use human_oversight_client::receipt::verify;
use human_oversight_client::types::{Approval, Progress, Status};
use serde_json::Value;

use crate::azurite::{Table, azurite};
use crate::backing_store::{borrowed, tables};
use crate::claim::claim;
use crate::deadline::within;
use crate::harness::{ALICE, BOB, Question, TestGate, mails, question};
use crate::process::{OpenForm, Process};
use crate::quorum::{CAROL, POLICY, payment};
use crate::smtp::{Smtp, SmtpFault};

const DAVE: &str = "dave@example.com";

/// The settings of gates on one new table.
fn shared() -> Vec<(&'static str, String)> {
    let mut settings = tables(azurite().port).to_vec();
    settings.push(("HO_POLICY", POLICY.to_owned()));
    settings
}

/// The form of a link, opened through the gate at `url`.
async fn open(question: &Question, url: &str) -> OpenForm {
    let (_, path) = question.link.split_once("/api/").unwrap();
    let opened = OpenForm::at(&format!("{url}/api/{path}")).await.unwrap();
    opened.expect("the page takes a decision")
}

async fn approve(form: &OpenForm, question: &Question) -> u16 {
    let approving = format!("decision=approve&code={}", question.code);
    within(form.send(&approving)).await.unwrap()
}

async fn votes_in(table: &str) -> Vec<Value> {
    let rows = Table::of(azurite().port, table).rows().await;
    let votes = rows[0]["Votes"].as_str().unwrap_or("[]");
    serde_json::from_str(votes).unwrap()
}

fn given(approval: &Approval) -> (usize, usize) {
    let progress = approval.progress.clone();
    let Progress { stage, given, .. } = progress.expect("votes are missing");
    (stage, given)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_decided_through_two_gates_of_which_one_dies_before_it_mails_the_next_stage() {
    let settings = shared();
    let table = settings[2].1.clone();
    let settings = borrowed(&settings);
    let survivor = TestGate::at(tempfile::tempdir().unwrap(), &settings).await;
    // Its mail server is silent, so no email leaves it before it is killed.
    let smtp = Smtp::plain().await;
    smtp.always(Some(SmtpFault::Silence));
    let url = smtp.url();
    let by_smtp = [
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", url.as_str()),
        ("HO_MAIL_FROM", "gate@example.com"),
        ("HO_SWEEP_SECONDS", "86400"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let dying = Process::start(dir.path(), &[&settings[..], &by_smtp].concat()).await;
    let asked = survivor.client.submit(&payment(18_000)).await.unwrap();
    let [alice, bob] = [ALICE, BOB].map(|person| survivor.question(&asked, person));

    // Alice has the page of both gates open. The second vote is the first one again, or changes nothing.
    let elsewhere = open(&alice, &dying.url).await;
    survivor.approve(&asked, ALICE).await;
    assert_eq!(approve(&elsewhere, &alice).await, 303);
    assert_eq!(elsewhere.send("decision=reject").await.unwrap(), 409);
    assert_eq!(votes_in(&table).await.len(), 1);
    assert_eq!(given(&survivor.status(&asked.id).await), (1, 1));

    let bobs = open(&bob, &dying.url).await;
    assert_eq!(approve(&bobs, &bob).await, 303);
    dying.kill().await;
    assert_eq!(given(&survivor.status(&asked.id).await), (2, 0));
    let to_carol = || survivor.mails().iter().filter(|it| it.to == CAROL).count();
    survivor.sweep().await;
    assert_eq!(to_carol(), 0, "the lease of the dead gate has not ended");
    survivor.pass(Duration::from_secs(61));
    for _ in 0..2 {
        survivor.sweep().await;
        assert_eq!(to_carol(), 1, "the sweep mails the next stage, once");
    }
    assert!(smtp.received().is_empty());

    survivor.approve(&asked, CAROL).await;
    let approved = survivor.status(&asked.id).await;
    assert_eq!(approved.status, Status::Approved);
    let keys = survivor.client.keys().await.unwrap();
    let claims = verify(approved.receipt.as_ref().unwrap(), &keys).unwrap();
    let voters: Vec<&str> = claims.votes.iter().map(|it| &*it.approver).collect();
    assert_eq!(voters, [ALICE, BOB, CAROL]);
    let nonce = claim("a-nonce-of-the-agent");
    survivor.client.claim(&asked.id, &nonce).await.unwrap();
}

/// Two processes of the gate, which mail into one folder.
async fn two_processes(dir: &Path) -> ([Process; 2], String) {
    let settings = shared();
    let table = settings[2].1.clone();
    let settings = borrowed(&settings);
    let (one, other) = tokio::join!(
        Process::start(dir, &settings),
        Process::start(dir, &settings)
    );
    ([one, other], table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_votes_through_two_gates_count_once_each_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (gates, table) = two_processes(dir.path()).await;
    let client = gates[0].client();
    let mail = dir.path().join("mail");
    for round in 0..3 {
        let asked = client.submit(&payment(60)).await.unwrap();
        let people = [ALICE, BOB, DAVE].map(|person| question(&mails(&mail), &asked.id, person));
        let mut waiting: Vec<_> = people.iter().collect();
        for expected in [&[303, 409, 409][..], &[303, 409]] {
            let mut forms = Vec::new();
            for (turn, person) in waiting.iter().enumerate() {
                forms.push(open(person, &gates[(turn + round) % 2].url).await);
            }
            let sent = forms.iter().zip(&waiting);
            let mut answers = join_all(sent.map(|(form, it)| approve(form, it))).await;
            let mut is_refused = answers.iter().map(|it| *it == 409);
            waiting.retain(|_| is_refused.next().unwrap());
            answers.sort_unstable();
            assert_eq!(
                answers, expected,
                "one counts, and the others have not seen it"
            );
        }
        for gate in &gates {
            let status = gate.client().status(&asked.id, Duration::ZERO).await;
            assert_eq!(given(&status.unwrap().0), (2, 0));
        }
    }
    let rows = Table::of(azurite().port, &table).rows().await;
    let votes = rows.iter().map(|row| row["Votes"].as_str().unwrap());
    let votes = votes.map(|it| serde_json::from_str::<Vec<Value>>(it).unwrap().len());
    assert_eq!(votes.collect::<Vec<_>>(), [2, 2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_at_two_gates_at_once_votes_once() {
    let dir = tempfile::tempdir().unwrap();
    let (gates, table) = two_processes(dir.path()).await;
    let asked = gates[0].client().submit(&payment(60)).await.unwrap();
    let mails = mails(&dir.path().join("mail"));
    let alice = question(&mails, &asked.id, ALICE);
    let [one, other] = [&gates[0], &gates[1]].map(|gate| open(&alice, &gate.url));
    let (one, other) = tokio::join!(one, other);
    let rejecting = format!("decision=reject&code={}", alice.code);
    let (approved, rejected) = tokio::join!(approve(&one, &alice), within(other.send(&rejecting)));
    let rejected = rejected.unwrap();
    assert!(
        [(303, 409), (409, 303)].contains(&(approved, rejected)),
        "{approved} {rejected}"
    );
    let votes = votes_in(&table).await;
    assert_eq!(votes.len(), 1, "{votes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_two_groups_counts_for_one_of_them_at_either_gate() {
    let dir = tempfile::tempdir().unwrap();
    let (gates, table) = two_processes(dir.path()).await;
    let asked = gates[0].client().submit(&payment(60)).await.unwrap();
    let mails = mails(&dir.path().join("mail"));
    let [bob, dave] = [BOB, DAVE].map(|person| question(&mails, &asked.id, person));
    let mut forms = Vec::new();
    for gate in &gates {
        forms.push(open(&dave, &gate.url).await);
    }
    assert_eq!(approve(&forms[0], &dave).await, 303);
    assert_eq!(approve(&open(&bob, &gates[1].url).await, &bob).await, 303);
    // The second stage is open, and Dave is in its group too.
    for form in &forms {
        assert_eq!(approve(form, &dave).await, 303, "the same vote again");
        assert_eq!(form.send("decision=reject").await.unwrap(), 409);
    }
    for gate in &gates {
        let (_, path) = dave.link.split_once("/api/").unwrap();
        let page = OpenForm::at(&format!("{}/api/{path}", gate.url)).await;
        assert!(page.unwrap().is_none(), "the page takes no second vote");
        let status = gate.client().status(&asked.id, Duration::ZERO).await;
        assert_eq!(given(&status.unwrap().0), (2, 0));
    }
    assert_eq!(votes_in(&table).await.len(), 2);
}
