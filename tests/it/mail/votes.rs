//! What emails say of several people's votes: who decided what, in whose words, and all of that within the size.

use human_oversight_client::types::{Approval, NewApproval, Status};
use serde_json::json;

use crate::harness::{ALICE, BOB, Mail, TestGate, for_alice, object, question, request};
use crate::quorum::payment;

const DAVE: &str = "dave@example.com";
const BY_LINK: &str = "Rejected without the right code: anyone with the link can have rejected it.";

/// It takes two to reject, as it takes two to approve.
const TWO: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com", "dave@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
rejections = 2
"#;

/// Sends a form of a person's, with the code if `has_code`.
async fn vote(gate: &TestGate, asked: &Approval, person: &str, has_code: bool, form: [&str; 3]) {
    let question = gate.question(asked, person);
    let [decision, field, words] = form;
    let mut form = vec![("decision", decision)];
    if !words.is_empty() {
        form.push((field, words));
    }
    if has_code {
        form.push(("code", question.code.as_str()));
    }
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status.as_u16(), 303, "{}", answer.body);
}

fn outcomes(gate: &TestGate) -> Vec<Mail> {
    let mut mails = gate.mails();
    mails.retain(|mail| mail.message_id.contains(".outcome@"));
    mails
}

#[tokio::test]
async fn the_outcome_of_several_votes_says_who_decided_what_in_their_words() {
    let gate = TestGate::with(&[("HO_POLICY", TWO)]).await;
    let asked = gate.client.submit(&payment(60)).await.unwrap();
    vote(&gate, &asked, ALICE, false, ["reject", "words", ""]).await;
    vote(
        &gate,
        &asked,
        BOB,
        true,
        ["approve", "comment", "Fine.\nPaid before."],
    )
    .await;
    vote(
        &gate,
        &asked,
        DAVE,
        true,
        ["reject", "words", "Wrong account."],
    )
    .await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Rejected);
    gate.sweep().await;
    let mails = outcomes(&gate);
    assert_eq!(mails.len(), 3);
    for mail in &mails {
        for part in [&mail.text, &mail.html] {
            assert!(part.contains("Rejected by dave@example.com on "), "{part}");
            let in_order = [
                "alice@example.com rejected on ",
                BY_LINK,
                "bob@example.com approved on ",
                "Fine.",
                "Paid before.",
                "dave@example.com rejected on ",
                "Wrong account.",
            ];
            let places = in_order.map(|words| part.find(words).expect(part));
            assert!(places.is_sorted(), "{part}");
            let times = |words| part.matches(words).count();
            assert_eq!((times("Wrong account."), times(BY_LINK)), (1, 1), "{part}");
        }
        let lines: Vec<&str> = mail.text.lines().collect();
        let is_quoted = |pair: &[&str]| pair == ["> Fine.", "> Paid before."];
        assert!(lines.windows(2).any(is_quoted), "{}", mail.text);
    }
}

/// An approval that came to nothing is among what people decided.
#[tokio::test]
async fn what_ended_without_a_decision_says_who_had_voted() {
    let gate = TestGate::with(&[("HO_POLICY", TWO)]).await;
    let asked = gate.client.submit(&payment(60)).await.unwrap();
    vote(&gate, &asked, BOB, true, ["approve", "comment", "Fine."]).await;
    gate.pass(std::time::Duration::from_secs(3_600));
    gate.sweep().await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Timeout);
    for mail in outcomes(&gate) {
        assert!(mail.subject.starts_with("[Expired]"), "{}", mail.subject);
        for part in [&mail.text, &mail.html] {
            assert!(part.contains("bob@example.com approved on "), "{part}");
            assert!(part.contains("Fine."), "{part}");
        }
    }
}

/// Mail scanners press buttons, and links are forwarded.
#[tokio::test]
async fn a_rejection_by_link_alone_is_marked_without_words_too() {
    for field in ["preset", ""] {
        let gate = TestGate::with(&[("HO_REJECT_REASONS", "Too risky")]).await;
        let asked = gate.client.submit(&for_alice()).await.unwrap();
        let words = if field.is_empty() { "" } else { "Too risky" };
        vote(&gate, &asked, ALICE, false, ["reject", field, words]).await;
        gate.sweep().await;
        let [mail] = &outcomes(&gate)[..] else {
            panic!("{:?}", gate.mails());
        };
        assert_eq!(mail.text.contains("Too risky"), !words.is_empty());
        for part in [&mail.text, &mail.html] {
            assert!(part.contains(BY_LINK), "{part}");
        }
        // With the code it is the person's own.
        let asked = gate.client.submit(&for_alice()).await.unwrap();
        vote(&gate, &asked, ALICE, true, ["reject", "words", ""]).await;
        gate.sweep().await;
        let mails = outcomes(&gate);
        let marked = mails.iter().filter(|mail| mail.text.contains(BY_LINK));
        assert_eq!((mails.len(), marked.count()), (2, 1));
    }
}

/// As many votes as there can be, in words that take the most bytes to show.
#[tokio::test]
async fn no_words_of_people_make_a_large_email() {
    let people: Vec<String> = (0..11).map(|n| format!("m{n}@example.com")).collect();
    let policy = format!(
        "version = 1\n[groups]\nall = {people:?}\nlast = [\"alice@example.com\"]\n[[rule]]\nid = \"all\"\n\
         actions = [\"*\"]\neffect = \"require\"\nstages = [{{ from = \"all\", approvals = 11 }}, {{ from = \"last\" }}]\n"
    );
    for words in ["1\u{5d1}", "<&\"'>.a ", "承認しました。", "a\n"] {
        let longest = |chars: usize| -> String {
            let text: String = words.chars().cycle().take(chars).collect();
            text.trim().to_owned()
        };
        let dir = tempfile::tempdir().unwrap();
        // Azurite breaks characters of several bytes in rows of more than 64 KiB.
        let store = format!("embedded:{}", dir.path().display());
        let settings = [
            ("HO_STORE", store.as_str()),
            ("HO_POLICY", policy.as_str()),
            ("HO_MAIL_BUDGET", "off"),
            ("HO_OWNER_BUDGET", "off"),
        ];
        let gate = TestGate::at(dir, &settings).await;
        let new = NewApproval {
            parameters: object(json!({"x": longest(7_000)})),
            reason: Some(longest(1_990)),
            approver_emails: Vec::new(),
            ..request()
        };
        let asked = gate.client.submit(&new).await.unwrap();
        for person in &people {
            vote(
                &gate,
                &asked,
                person,
                true,
                ["approve", "comment", &longest(999)],
            )
            .await;
        }
        gate.sweep().await;
        let last = question(&gate.mails(), &asked.id, ALICE);
        vote(
            &gate,
            &asked,
            ALICE,
            true,
            ["reject", "words", &longest(900)],
        )
        .await;
        gate.sweep().await;
        let mails = gate.mails();
        assert_eq!(outcomes(&gate).len(), 12);
        for mail in &mails {
            let (html, source) = (mail.html.len(), mail.source.len());
            assert!(
                html < 60_000 && source < 100_000,
                "{words}: {html} {source}"
            );
        }
        let is_last = |mail: &&Mail| mail.to == ALICE && mail.answers.is_none();
        let asks = mails.iter().find(is_last).unwrap();
        assert!(asks.html.contains(&last.code));
        for part in [&asks.text, &asks.html] {
            assert_eq!(part.matches(" approved on ").count(), 11, "{part}");
            // The sentence has one itself.
            let says_cut = part.contains("are cut here: “…” ends them.");
            assert_eq!(says_cut, part.matches('…').count() > 1, "{part}");
        }
    }
}
