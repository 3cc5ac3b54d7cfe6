//! Wrong codes of a person count over all requests: many requests, or a row that was put back, give no more guesses.

use std::time::Duration;

use futures_util::future::join_all;
use human_oversight::keys::keyring;
use human_oversight::store::StandingKind;
use human_oversight_client::types::{Approval, Status};
use reqwest::StatusCode;

use crate::backing_store::behind_a_proxy;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Page, TestGate, mails, question, request, with_forms};
use crate::host::SignIn;
use crate::process::{Process, decide_at};
use crate::proxy::Fault;
use crate::sign_in::{ON, alice, visit_and_approve};
use crate::tables::operation;

const HELD: &str = "too many wrong codes";

/// A gate where links decide, and people may sign in.
async fn gate() -> TestGate {
    TestGate::with(&[("HO_REQUIRE_ENTRA_FOR", "Never *"), ON[1], ON[2]]).await
}

const LIMITED: &str = r#"
version = 1

[[rule]]
id = "once"
actions = ["Look"]
effect = "approve"
limit = { times = 1, per = "1d" }
"#;

/// Budgets, wrong codes and limits are sealed with the link keys: when a key that had leaked was replaced, none of them
/// counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_leaked_key_was_replaced_codes_budgets_and_limits_count_anew() {
    let dir = tempfile::tempdir().unwrap();
    let keys = [keyring::generate_link_key(), keyring::generate_link_key()];
    let mut answers = Vec::new();
    for key in &keys {
        let settings = [
            ("HO_LINK_KEYS", &**key),
            ("HO_MAIL_BUDGET", "9/60"),
            ("HO_OWNER_BUDGET", "9/60"),
            ("HO_POLICY", LIMITED),
        ];
        let gate = Process::start(dir.path(), &settings).await;
        let asked = gate.client().submit(&request()).await.unwrap();
        let question = question(&mails(&dir.path().join("mail")), &asked.id, ALICE);
        let form = format!("decision=approve&code={}", question.wrong_code());
        answers.push(decide_at(&question.link, &form).await.unwrap());
        let form = format!("decision=approve&code={}", question.code);
        decide_at(&question.link, &form).await.unwrap();
        let status = gate.client().status(&asked.id, Duration::ZERO).await;
        assert_eq!(status.unwrap().0.status, Status::Approved);
        for expected in [Status::Approved, Status::Pending] {
            let mut limited = request();
            limited.action_description = "Look".to_owned();
            limited.parameters.clear();
            let answer = gate.client().submit(&limited).await.unwrap();
            assert_eq!(answer.status, expected);
        }
        gate.kill().await;
    }
    assert_eq!(answers, [403, 403]);
}

async fn enter(gate: &TestGate, approval: &Approval, person: &str, is_right: bool) -> Page {
    let question = gate.question(approval, person);
    let code = if is_right {
        &question.code
    } else {
        question.wrong_code()
    };
    gate.decide(&question, &[("decision", "approve"), ("code", code)])
        .await
}

/// Enters twenty wrong codes with Alice's links: the first ones of two requests, and those of one whose row is put back
/// after each five.
async fn guess_twenty(gate: &TestGate) {
    let approval = gate.ask().await;
    let before = gate.entity(&approval.id).await;
    for round in 0..3 {
        for _ in 0..5 {
            let answer = enter(gate, &approval, ALICE, false).await;
            assert!(
                answer.body.contains("Wrong code"),
                "{round}: {}",
                answer.body
            );
        }
        let locked = enter(gate, &approval, ALICE, true).await;
        assert!(locked.body.contains("locked"), "{}", locked.body);
        gate.tamper(&approval.id, None, |row| *row = before.clone())
            .await;
    }
    let other = gate.ask().await;
    for _ in 0..5 {
        enter(gate, &other, ALICE, false).await;
    }
}

#[tokio::test]
async fn after_twenty_wrong_codes_a_persons_codes_wait_and_nothing_else_does() {
    let gate = gate().await;
    guess_twenty(&gate).await;
    let approval = gate.ask().await;
    let before = gate.entity(&approval.id).await;
    for is_right in [true, false] {
        let held = enter(&gate, &approval, ALICE, is_right).await;
        assert_eq!(held.status, StatusCode::FORBIDDEN);
        assert!(held.body.contains(HELD), "{}", held.body);
    }
    assert_eq!(gate.entity(&approval.id).await, before, "nothing is stored");
    // Another person's code counts, and so does signing in, and rejecting by the link alone.
    enter(&gate, &approval, BOB, true).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
    let signed_in = gate.ask().await;
    let session = SignIn::session(&alice());
    visit_and_approve(&gate, &signed_in.id, &[("cookie", &session)]).await;
    assert_eq!(gate.status(&signed_in.id).await.status, Status::Approved);
    let rejected = gate.ask().await;
    let question = gate.question(&rejected, ALICE);
    let form = [("decision", "reject"), ("code", question.code.as_str())];
    gate.decide(&question, &form).await;
    assert_eq!(gate.status(&rejected.id).await.status, Status::Rejected);
    let row = gate.entity(&rejected.id).await;
    assert_eq!(row["Assurance"], "LinkOnly", "the code was not looked at");

    let late = gate.ask().await;
    gate.pass(Duration::from_secs(61));
    enter(&gate, &late, ALICE, true).await;
    assert_eq!(gate.status(&late.id).await.status, Status::Approved);
}

#[tokio::test]
async fn each_further_wrong_code_waits_longer_but_never_more_than_15_minutes() {
    let gate = gate().await;
    guess_twenty(&gate).await;
    let approval = gate.ask().await;
    for minutes in [1, 2, 4, 8] {
        gate.pass(Duration::from_secs(minutes * 60 - 10));
        let held = enter(&gate, &approval, ALICE, true).await;
        assert!(held.body.contains(HELD), "{minutes}: {}", held.body);
        gate.pass(Duration::from_secs(11));
        let wrong = enter(&gate, &approval, ALICE, false).await;
        assert!(wrong.body.contains("Wrong code"), "{}", wrong.body);
    }
    let approval = gate.ask().await;
    gate.pass(Duration::from_secs(901));
    enter(&gate, &approval, ALICE, true).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
}

#[tokio::test]
async fn wrong_codes_that_come_at_once_all_count() {
    let gate = gate().await;
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.push(gate.ask().await);
    }
    let guesses = asked.iter().map(|it| enter(&gate, it, ALICE, false));
    for answer in join_all(guesses).await {
        assert!(answer.body.contains("Wrong code"), "{}", answer.body);
    }
    let held = enter(&gate, &asked[0], ALICE, true).await;
    assert!(held.body.contains(HELD), "{}", held.body);
}

#[tokio::test]
async fn of_many_codes_sent_at_once_only_twenty_are_looked_at() {
    let gate = gate().await;
    let mut asked = Vec::new();
    for _ in 0..40 {
        asked.push(gate.ask().await);
    }
    let guesses = asked.iter().map(|it| enter(&gate, it, ALICE, false));
    let answers = join_all(guesses).await;
    let count = |words| answers.iter().filter(|it| it.body.contains(words)).count();
    assert_eq!((count("Wrong code"), count(HELD)), (20, 20));
}

#[tokio::test]
async fn a_wrong_code_of_a_rejection_counts_for_each_spelling_of_the_address() {
    let gate = gate().await;
    for _ in 0..20 {
        let approval = gate.ask().await;
        let question = gate.question(&approval, ALICE);
        let form = [("decision", "reject"), ("code", question.wrong_code())];
        gate.decide(&question, &form).await;
        assert_eq!(gate.status(&approval.id).await.status, Status::Rejected);
    }
    let gate = TestGate::at(gate.dir, &[]).await;
    let approval = gate.ask().await;
    let held = enter(&gate, &approval, ALICE, true).await;
    assert!(held.body.contains(HELD), "{}", held.body);
    // Her address in another spelling is hers.
    let mut new = request();
    new.approver_emails = vec!["Alice+work@example.com".to_owned()];
    let approval = gate.client.submit(&new).await.unwrap();
    let held = enter(&gate, &approval, "Alice+work@example.com", true).await;
    assert!(held.body.contains(HELD), "{}", held.body);
}

/// The codes of whom the page was shown to are read before it is known whose link the form has.
#[tokio::test]
async fn a_form_with_the_page_of_another_person_or_request_is_held_as_well() {
    let gate = gate().await;
    guess_twenty(&gate).await;
    let (approval, other) = (gate.ask().await, gate.ask().await);
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await;
    let field = |page: &Page, name| {
        let mut hidden = page.first_form().into_iter();
        hidden.find(|it| it.0 == name).unwrap().1
    };
    let token_of = |page: &Page| field(page, "page");
    let (csrf, own) = (field(&page, "form"), token_of(&page));
    let of_bob = token_of(&gate.get(&gate.question(&approval, BOB).link).await);
    let of_other = token_of(&gate.get(&gate.question(&other, ALICE).link).await);
    let (_, mac) = own.split_once('.').unwrap();
    let forged = format!("{}.{mac}", of_bob.split_once('.').unwrap().0);
    let before = gate.entity(&approval.id).await;
    for token in [own.as_str(), &of_bob, &of_other, &forged, "", "x", "."] {
        let (_, link) = alice.link.split_once("?k=").unwrap();
        let fields = [
            ("k", link),
            ("form", &csrf),
            ("page", token),
            ("decision", "approve"),
            ("code", &alice.code),
        ];
        let url = format!("{}{}", gate.url, page.action());
        let held = gate.post_form(&url, fields).await;
        assert_eq!(held.status, StatusCode::FORBIDDEN, "{token}");
        assert!(held.body.contains(HELD), "{token}: {}", held.body);
    }
    assert_eq!(gate.entity(&approval.id).await, before, "nothing is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_counts_although_its_sender_disconnects() {
    let (gate, proxy) = behind_a_proxy(&[]).await;
    let approval = gate.ask().await;
    gate.store.settle().await;
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&with_forms(&question.link)).await;
    let mut form = page.first_form();
    form.push(("decision".to_owned(), "approve".to_owned()));
    form.push(("code".to_owned(), question.wrong_code().to_owned()));
    let form = form.iter().map(|(name, value)| (&**name, &**value));
    let writes_row = |request: &str| operation(request) == "PUT approvals";
    proxy.clear();
    proxy.fault(writes_row, Fault::Delay(Duration::from_millis(200)));
    let url = format!("{}{}", gate.url, page.action());
    tokio::select! {
        answer = gate.post_fields(&url, form) => panic!("{}", answer.body),
        () = eventually(async || {
            let mut requests = proxy.requests().into_iter();
            requests.any(|it| writes_row(&it)).then_some(())
        }) => {}
    }
    let count = eventually(async || {
        let codes = gate.store.standing_of(StandingKind::Code).await.unwrap();
        codes.first().map(|row| row.columns["WrongCodes"].clone())
    });
    assert_eq!(count.await, "1");
}

/// A policy in which words are needed by this rule.
fn needs_words(rule: &str) -> String {
    format!(
        "version = 1\n[groups]\nall = [\"{ALICE}\", \"{BOB}\"]\n[[rule]]\nid = \"all\"\neffect = \"require\"\n\
         stages = [{{ from = \"all\" }}]\ncomment = \"{rule}\"\n"
    )
}

/// Whatever else a form says: if a right code would decide, wrong ones are counted until the link is locked.
#[tokio::test]
async fn no_form_tells_a_right_code_from_more_than_five_wrong_ones() {
    let mut locked = Vec::new();
    for rule in ["never", "on-reject", "always"] {
        for (verdict, preset, words) in [
            ("approve", None, None),
            ("approve", None, Some("comment")),
            ("reject", None, None),
            ("reject", None, Some("comment")),
            ("reject", None, Some("words")),
            ("reject", None, Some("revise")),
            ("reject", Some("Too risky"), None),
            ("reject", Some("Too risky"), Some("words")),
        ] {
            let gate = TestGate::with(&[("HO_POLICY", &needs_words(rule))]).await;
            let (guessed, known) = (gate.ask().await, gate.ask().await);
            let send = async |approval: &Approval, is_right: bool| {
                let question = gate.question(approval, ALICE);
                let code = if is_right {
                    &question.code
                } else {
                    question.wrong_code()
                };
                let mut form = vec![("decision", verdict), ("code", code)];
                form.extend(preset.map(|it| ("preset", it)));
                form.extend(words.map(|name| (name, "Ask Bern.")));
                gate.decide(&question, &form).await;
                gate.status(&approval.id).await
            };
            let by_code = send(&known, true).await.status;
            let mut found = send(&guessed, false).await;
            if found.status == by_code {
                continue;
            }
            for _ in 0..4 {
                assert!(!found.notifications[0].locked);
                found = send(&guessed, false).await;
            }
            let case = (rule, verdict, words);
            assert!(found.notifications[0].locked, "{case:?}");
            assert_eq!(
                send(&guessed, true).await.status,
                Status::Pending,
                "{case:?}"
            );
            locked.push(case);
        }
    }
    let expected = [
        ("never", "approve", None),
        ("never", "approve", Some("comment")),
        ("on-reject", "approve", None),
        ("on-reject", "approve", Some("comment")),
        ("on-reject", "reject", Some("comment")),
        ("on-reject", "reject", Some("words")),
        ("on-reject", "reject", Some("revise")),
        ("always", "approve", Some("comment")),
        ("always", "reject", Some("comment")),
        ("always", "reject", Some("words")),
        ("always", "reject", Some("revise")),
    ];
    assert_eq!(locked, expected);
}

#[tokio::test]
async fn while_codes_are_held_a_rejection_that_needs_words_says_so() {
    for (reasons, works) in [
        (
            "Too risky",
            "Rejecting with a reason from the list works now",
        ),
        ("off", "codes count again. Signing in works now"),
    ] {
        let policy = needs_words("on-reject");
        let settings = [("HO_POLICY", &*policy), ("HO_REJECT_REASONS", reasons)];
        let gate = TestGate::with(&settings).await;
        guess_twenty(&gate).await;
        let approval = gate.ask().await;
        let question = gate.question(&approval, ALICE);
        let before = gate.entity(&approval.id).await;
        for code in [&*question.code, question.wrong_code()] {
            let form = [
                ("decision", "reject"),
                ("words", "Ask Bern."),
                ("code", code),
            ];
            let held = gate.decide(&question, &form).await;
            assert!(
                held.body.contains(HELD) && held.body.contains(works),
                "{}",
                held.body
            );
        }
        assert_eq!(gate.entity(&approval.id).await, before, "nothing is stored");
    }
}

/// It counts as one by link alone, and whether the code was right stays unknown.
#[tokio::test]
async fn a_rejection_whose_code_is_held_says_so() {
    let gate = TestGate::start().await;
    guess_twenty(&gate).await;
    for is_right in [true, false] {
        let approval = gate.ask().await;
        let question = gate.question(&approval, ALICE);
        let code = if is_right {
            &question.code
        } else {
            question.wrong_code()
        };
        let form = [
            ("decision", "reject"),
            ("words", "Ask Bern."),
            ("code", code),
        ];
        let rejected = gate.decide(&question, &form).await;
        assert_eq!(rejected.status, StatusCode::OK, "{}", rejected.body);
        for words in [
            HELD,
            "right or wrong",
            "codes count again",
            "You rejected this",
        ] {
            assert!(rejected.body.contains(words), "{words}: {}", rejected.body);
        }
        assert!(!rejected.body.contains("Not recorded"), "{}", rejected.body);
        assert_eq!(gate.status(&approval.id).await.status, Status::Rejected);
        // A page says it once.
        let page = gate.get(&question.link).await;
        assert!(!page.body.contains(HELD), "{}", page.body);
    }
    // Nothing is said to who sends no code.
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let form = [("decision", "reject"), ("words", "Ask Bern.")];
    let rejected = gate.decide(&question, &form).await;
    assert_eq!(rejected.status, StatusCode::SEE_OTHER, "{}", rejected.body);
}
