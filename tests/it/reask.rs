//! What was rejected is asked again: the earlier rejection stands on the page and in the mail of the approver
//! who is asked now.

use std::time::Duration;

use human_oversight::domain::State;
use human_oversight::keys::keyring;
use human_oversight::store::{StandingKind, StandingRow};
use human_oversight_client::types::{Approval, Status, Withdrawal};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{AGENT, ALICE, BOB, Mail, Page, TestGate, http};
use crate::host::{OTHER_KEY, SignIn};
use crate::proxy::Fault;
use crate::sign_in::{ON, TENANT, alice, member, send, visit};

const ALARM: &str = "This looks like a request that was rejected.";
const BY_LINK: &str = "By link alone, without sign-in";
const UNREADABLE: &str = "Earlier rejections of such a request could not be read.";
const DAY: u64 = 86_400;

/// A request for Alice.
fn body() -> Value {
    json!({
        "agentName": AGENT,
        "actionDescription": "Pay Supplier Invoice",
        "parameters": {
            "amount": 18_000, "to": {"name": "Contoso Ltd", "Account": "DE 12"}, "lines": ["A1", "B2"],
        },
        "approverEmails": [ALICE],
        "timeoutSeconds": 5 * DAY,
    })
}

fn to(approver: &str) -> Value {
    with(|body| body["approverEmails"] = json!([approver]))
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = body();
    change(&mut body);
    body
}

async fn submit(gate: &TestGate, body: impl ToString) -> Approval {
    let answer = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Submits the request of [`body`], which Alice rejects.
async fn reject_once(gate: &TestGate, comment: &str) -> Approval {
    let approval = submit(gate, body()).await;
    gate.reject(&approval, ALICE, comment).await;
    approval
}

/// The page and the last mail of an approver.
async fn seen(gate: &TestGate, approval: &Approval, approver: &str) -> (Page, Mail) {
    let page = gate.get(&gate.question(approval, approver).link).await;
    (page, mail(gate, approval, approver, ".question@"))
}

fn mail(gate: &TestGate, approval: &Approval, approver: &str, kind: &str) -> Mail {
    let correlation = approval.id.split_once('.').unwrap().1;
    let is_it = |mail: &Mail| {
        mail.to == approver && mail.message_id.contains(kind) && mail.text.contains(correlation)
    };
    gate.mails().into_iter().find(is_it).unwrap()
}

/// Whether page and mail have the alarm; they agree.
async fn has_alarm(gate: &TestGate, approval: &Approval, approver: &str) -> bool {
    let (page, mail) = seen(gate, approval, approver).await;
    let found = page.body.contains(ALARM);
    assert_eq!(mail.html.contains(ALARM), found, "{}", mail.html);
    let text = mail
        .text
        .contains("Take care: this looks like a request that was rejected.");
    assert_eq!(text, found, "{}", mail.text);
    found
}

/// The rows of kept rejections.
async fn kept(gate: &TestGate) -> Vec<StandingRow> {
    gate.store
        .standing_of(StandingKind::Rejection)
        .await
        .unwrap()
}

/// With rows of version 1 nothing says that there was a code.
#[tokio::test]
async fn a_rejection_with_the_code_is_not_one_by_link_alone() {
    for (rows, code, is_marked) in [
        ("2", "right", false),
        ("2", "wrong", true),
        ("2", "", true),
        ("1", "right", true),
    ] {
        let gate = TestGate::with(&[("HO_ROWS", rows)]).await;
        let approval = submit(&gate, body()).await;
        let alice = gate.question(&approval, ALICE);
        let code = match code {
            "right" => alice.code.as_str(),
            "wrong" => alice.wrong_code(),
            none => none,
        };
        let form = [("decision", "reject"), ("code", code), ("words", "Never.")];
        let rejected = gate.decide(&alice, &form).await;
        assert_eq!(rejected.status, StatusCode::SEE_OTHER, "{}", rejected.body);
        let again = submit(&gate, to(BOB)).await;
        assert!(has_alarm(&gate, &again, BOB).await);
        let (page, mail) = seen(&gate, &again, BOB).await;
        for text in [&page.body, &mail.html, &mail.text] {
            assert!(text.contains("Never."), "{text}");
            assert_eq!(text.contains(BY_LINK), is_marked, "{rows}: {text}");
        }
    }
}

#[tokio::test]
async fn what_was_rejected_is_shown_to_the_approver_who_is_asked_next() {
    let gate = TestGate::start().await;
    let parallel = submit(&gate, to(BOB)).await;
    assert!(!has_alarm(&gate, &parallel, BOB).await);
    let rejected = reject_once(
        &gate,
        "Not to <b>this</b> account.\nSee https://evil.example",
    )
    .await;
    let again = submit(&gate, to(BOB)).await;
    assert!(has_alarm(&gate, &again, BOB).await);
    let (page, mail) = seen(&gate, &again, BOB).await;
    let words =
        "Not to &#60;b&#62;this&#60;/b&#62; account.\nSee https://evil.example</blockquote>";
    for text in [&page.body, &mail.html, &mail.text] {
        assert!(text.contains("Rejected by alice@example.com on "), "{text}");
        assert!(!text.contains(BY_LINK), "{text}");
    }
    assert!(page.body.contains(words), "{}", page.body);
    // Above the parameters.
    let place = |text: &str, of: &str| text.find(of).unwrap();
    assert!(place(&page.body, ALARM) < place(&page.body, "Exactly what"));
    assert!(place(&mail.html, ALARM) < place(&mail.html, "Exactly these"));
    assert!(place(&mail.text, "Take care") < place(&mail.text, "Exactly these"));
    // Words of a person are quoted, and no link in a mail.
    let quoted = "\n> Not to <b>this</b> account.\n> See https[:]//evil[.]example\n";
    let text = mail.text.replace("\r\n", "\n");
    assert!(text.contains(quoted), "{text}");
    assert!(mail.html.contains("https[:]//evil[.]example") && !mail.html.contains("evil.example"));

    // A request that was open already shows it from now on.
    let page = gate.get(&gate.question(&parallel, BOB).link).await;
    assert!(page.body.contains(ALARM), "{}", page.body);
    // The rejected request itself, and the agent's answers, have nothing new.
    let (own, _) = seen(&gate, &rejected, ALICE).await;
    assert!(!own.body.contains(ALARM), "{}", own.body);
    let status = gate
        .get(&format!("{}/api/status/{}", gate.url, again.id))
        .await;
    assert!(!status.body.contains("Not to") && !status.body.contains(ALICE));

    // Who approves nevertheless still sees it while the approval can be revoked.
    let bob = gate.question(&again, BOB);
    let approve = [("decision", "approve"), ("code", bob.code.as_str())];
    assert_eq!(
        gate.decide(&bob, &approve).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(gate.get(&bob.link).await.body.contains(ALARM));
}

#[tokio::test]
async fn reminders_show_who_rejected_the_same_before() {
    let gate = TestGate::start().await;
    let again = with(|body| body["timeoutSeconds"] = json!(3_600));
    let again = submit(&gate, again).await;
    reject_once(&gate, "Not this.").await;
    // At half of the time, and at 85 %.
    for (kind, seconds) in [(".reminder@", 1_801), (".lastreminder@", 1_260)] {
        gate.pass(Duration::from_secs(seconds));
        gate.sweep().await;
        let mail = mail(&gate, &again, ALICE, kind);
        assert!(mail.html.contains(ALARM), "{}", mail.html);
        assert!(mail.text.contains("\n> Not this."), "{}", mail.text);
    }
}

#[tokio::test]
async fn the_same_content_in_another_spelling_is_recognised() {
    let gate = TestGate::start().await;
    reject_once(&gate, "No.").await;
    let same = [
        with(|body| body["actionDescription"] = json!("pay  supplier INVOICE")),
        with(|body| body["actionDescription"] = json!("Pay Supplier\u{a0}Invo\u{200b}ice")),
        with(|body| body["parameters"]["to"]["name"] = json!(" CONTOSO\tltd\n")),
        with(|body| {
            body["parameters"]["to"]["Account"] = json!("\u{ff24}\u{ff25} \u{ff11}\u{ff12}")
        }),
        with(|body| {
            let to = body["parameters"]["to"].as_object_mut().unwrap();
            let account = to.remove("Account").unwrap();
            to.insert("\u{ff41}CCOUNT ".to_owned(), account);
        }),
        with(|body| body["correlationId"] = json!("another")),
        // Changes of one key, which a reader does not see or which change nothing.
        with(|body| body["actionDescription"] = json!("Pay Supplier Invoice.")),
        with(|body| body["actionDescription"] = json!("Pay: supplier-invoice!")),
        with(|body| body["actionDescription"] = json!("Pay Suppl\u{456}er Invoice")),
        with(|body| body["actionDescription"] = json!("\u{420}ay Supp1ier Invoice")),
        with(|body| body["actionDescription"] = json!("Pay Supplie\u{332}r Invoice")),
        with(|body| body["actionDescription"] = json!("Pay\u{2800}Supplier Invoice")),
        with(|body| body["parameters"]["amount"] = json!("18000")),
        with(|body| body["parameters"]["amount"] = json!("18000.00 ")),
        with(|body| body["parameters"]["amount"] = json!("1.8e4")),
        with(|body| body["parameters"]["amount"] = json!("\u{661}\u{668}\u{660}\u{660}\u{660}")),
        with(|body| body["parameters"]["to"]["Account"] = json!("DE-12")),
        with(|body| body["parameters"]["to"]["Account"] = json!("DE12")),
        with(|body| body["parameters"]["lines"] = json!(["B2", "A1"])),
        with(|body| body["parameters"]["to"]["bank"] = Value::Null),
        with(|body| body["parameters"]["note"] = json!("")),
        with(|body| body["parameters"]["note"] = json!({"more": [null, " "]})),
        with(|body| body["parameters"][" "] = json!([])),
        with(|body| body["parameters"]["Amount"] = json!(18_000)),
        with(|body| body["reason"] = json!("It is urgent.")),
        with(|body| body["onBehalfOf"] = json!("requester@example.com")),
        with(|body| body["timeoutSeconds"] = json!(60)),
        with(|body| body["approverEmails"] = json!([ALICE, BOB])),
        with(|body| body["agentName"] = json!("Another agent of the same owner")),
    ];
    let mut same: Vec<String> = same.iter().map(ToString::to_string).collect();
    same.push(body().to_string().replace("18000", "1.8e4"));
    same.push(body().to_string().replace("18000", "18000.0"));
    let in_another_order = r#"{"timeoutSeconds":600,"approverEmails":["alice@example.com"],"parameters":
        {"to":{"Account":"DE 12","name":"Contoso Ltd"},"lines":["A1","B2"],"amount":18000},
        "actionDescription":"Pay Supplier Invoice","agentName":"UserManagerAgent"}"#;
    same.push(in_another_order.to_owned());
    for body in same {
        let approval = submit(&gate, &body).await;
        assert!(has_alarm(&gate, &approval, ALICE).await, "{body}");
    }
    assert_eq!(kept(&gate).await.len(), 1);
}

#[tokio::test]
async fn other_content_and_another_owners_rejection_are_not() {
    let gate = TestGate::start().await;
    reject_once(&gate, "No.").await;
    for other in [
        with(|body| body["actionDescription"] = json!("Pay another invoice")),
        with(|body| body["parameters"]["amount"] = json!(18_001)),
        with(|body| body["parameters"]["amount"] = json!(-18_000)),
        with(|body| body["parameters"]["amount"] = json!("1800.0")),
        with(|body| body["parameters"]["lines"] = json!(["A1"])),
        with(|body| body["parameters"]["lines"] = json!(["A1", "B2", "B2"])),
        with(|body| body["parameters"]["to"]["bank"] = json!("Fabrikam")),
    ] {
        let approval = submit(&gate, &other).await;
        assert!(!has_alarm(&gate, &approval, ALICE).await, "{other}");
    }
    let call = http().build().unwrap();
    let call = call.request(Method::POST, gate.direct("/api/submit"));
    let call = call
        .header("x-functions-key", OTHER_KEY)
        .header("content-type", "application/json");
    let answer = Page::of(call.body(to(BOB).to_string()).send().await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let foreign: Approval = serde_json::from_str(&answer.body).unwrap();
    assert!(!has_alarm(&gate, &foreign, BOB).await);
}

#[tokio::test]
async fn a_request_that_was_not_rejected_before_raises_no_alarm() {
    let gate = TestGate::start().await;
    let approved = submit(&gate, body()).await;
    gate.approve(&approved, ALICE).await;
    let withdrawn = submit(&gate, body()).await;
    let withdrawal = Withdrawal { secret: None };
    gate.client
        .withdraw(&withdrawn.id, &withdrawal)
        .await
        .unwrap();
    let expired = submit(&gate, with(|body| body["timeoutSeconds"] = json!(10))).await;
    gate.pass(Duration::from_secs(11));
    gate.sweep().await;
    assert_eq!(gate.status(&expired.id).await.status, Status::Timeout);
    let again = submit(&gate, to(BOB)).await;
    assert!(!has_alarm(&gate, &again, BOB).await);
    assert_eq!(kept(&gate).await, []);
}

#[tokio::test]
async fn a_rejection_is_shown_for_the_time_that_is_set() {
    for (set, seconds) in [(None, DAY), (Some("7200"), 7_200)] {
        let settings: Vec<_> = set
            .map(|time| ("HO_REASK_AFTER", time))
            .into_iter()
            .collect();
        let gate = TestGate::with(&settings).await;
        reject_once(&gate, "No.").await;
        gate.pass(Duration::from_secs(seconds - 600));
        let again = submit(&gate, to(BOB)).await;
        assert!(has_alarm(&gate, &again, BOB).await, "{set:?}");
        gate.pass(Duration::from_secs(600));
        let page = gate.get(&gate.question(&again, BOB).link).await;
        assert!(!page.body.contains(ALARM), "{set:?}");
        let later = submit(&gate, to(BOB)).await;
        assert!(!has_alarm(&gate, &later, BOB).await, "{set:?}");
    }
    for off in ["0", "off"] {
        let gate = TestGate::with(&[("HO_REASK_AFTER", off)]).await;
        reject_once(&gate, "No.").await;
        let again = submit(&gate, to(BOB)).await;
        assert!(!has_alarm(&gate, &again, BOB).await);
        assert_eq!(kept(&gate).await, []);
    }
}

#[tokio::test]
async fn words_of_a_signed_in_person_are_not_marked_and_no_link_displaces_them() {
    const BOB_ID: &str = "3c9e7a10-0000-4000-8000-000000000b0b";
    let mixed = [
        ("HO_REQUIRE_ENTRA_FOR", "Nothing of this test"),
        ("HO_ENTRA_TENANT", TENANT),
        ON[2],
    ];
    for settings in [ON, mixed] {
        let gate = TestGate::with(&settings).await;
        let rejected = submit(&gate, body()).await;
        let session = SignIn::session(&alice());
        let page = visit(&gate, &rejected.id, &[("cookie", &session)]).await;
        let mut form = page.first_form();
        form.push(("decision".to_owned(), "reject".to_owned()));
        form.push(("comment".to_owned(), "A fraud.".to_owned()));
        let decided = send(&gate, &rejected.id, &[("cookie", &session)], &form).await;
        assert_eq!(decided.status, StatusCode::SEE_OTHER, "{}", decided.body);
        let by_links = settings != ON;
        if by_links {
            // By the same person's link, and by another's.
            for person in [ALICE, BOB] {
                let next = submit(&gate, to(person)).await;
                let words = ("comment", "A mistake; approve it.");
                let by_link = gate.question(&next, person);
                let rejected = gate
                    .decide(&by_link, &[("decision", "reject"), words])
                    .await;
                assert_eq!(rejected.status, StatusCode::SEE_OTHER);
            }
        }
        let again = submit(&gate, to(BOB)).await;
        let session = SignIn::session(&member(BOB, BOB_ID));
        let page = visit(&gate, &again.id, &[("cookie", &session)]).await;
        assert!(page.body.contains("A fraud."), "{}", page.body);
        assert_eq!(
            page.body.matches(BY_LINK).count(),
            if by_links { 2 } else { 0 }
        );
        assert_eq!(
            page.body.matches("A mistake").count(),
            if by_links { 2 } else { 0 }
        );
        let first = |text: &str| page.body.find(text).unwrap();
        assert!(!by_links || first("A fraud.") < first(BY_LINK));
    }
}

#[tokio::test]
async fn a_rejection_is_recognised_after_a_rotation_of_the_link_keys() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let gate = TestGate::with(&[("HO_LINK_KEYS", &old)]).await;
    reject_once(&gate, "No.").await;
    let both = format!("{new},{old}");
    let gate = TestGate::at(gate.dir, &[("HO_LINK_KEYS", &both)]).await;
    let again = submit(&gate, to(BOB)).await;
    assert!(has_alarm(&gate, &again, BOB).await);
    gate.reject(&again, BOB, "No again.").await;
    let third = submit(&gate, body()).await;
    let (page, _) = seen(&gate, &third, ALICE).await;
    assert!(
        page.body.contains("No.") && page.body.contains("No again."),
        "{}",
        page.body
    );
    let names: Vec<String> = kept(&gate).await.into_iter().map(|row| row.name).collect();
    assert!(names.len() == 2 && names[0] != names[1], "{names:?}");
}

#[tokio::test]
async fn without_owners_the_scope_is_the_agents_name() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    reject_once(&gate, "No.").await;
    let again = submit(&gate, to(BOB)).await;
    assert!(has_alarm(&gate, &again, BOB).await);
    let another = with(|body| body["agentName"] = json!("Another agent"));
    let another = submit(&gate, another).await;
    assert!(!has_alarm(&gate, &another, ALICE).await);
}

/// Whether page and mail say that rejections could not be read; the request goes on.
async fn is_unreadable(gate: &TestGate, approval: &Approval) -> bool {
    let (page, mail) = seen(gate, approval, BOB).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let found = page.body.contains(UNREADABLE);
    assert_eq!(mail.html.contains(UNREADABLE), found, "{}", mail.html);
    let text = mail.text.replace("\r\n", "\n");
    let in_text = "earlier rejections of such a request could not be read.";
    assert_eq!(text.contains(in_text), found, "{text}");
    found
}

#[tokio::test]
async fn a_row_that_cannot_be_trusted_is_said_and_replaced_by_the_next_rejection() {
    let gate = TestGate::start().await;
    reject_once(&gate, "No.").await;
    for damage in ["", "[{}]", "[{\"id\":\"x\"}]"] {
        let mut row = kept(&gate).await.remove(0);
        row.columns
            .insert("Rejections".to_owned(), damage.to_owned());
        gate.store.put_standing(row, gate.now()).await.unwrap();
        let again = submit(&gate, to(BOB)).await;
        assert!(is_unreadable(&gate, &again).await);
        gate.reject(&again, BOB, "Never.").await;
        let third = submit(&gate, to(BOB)).await;
        assert!(!is_unreadable(&gate, &third).await);
        assert!(has_alarm(&gate, &third, BOB).await);
    }
}

#[tokio::test]
async fn a_rejection_that_was_not_kept_is_kept_by_the_sweep() {
    let gate = TestGate::start().await;
    let rejected = reject_once(&gate, "No.").await;
    // As if the process had died between the two writes.
    let row = kept(&gate).await.remove(0);
    gate.store.delete_standing(&row).await.unwrap();
    gate.sweep().await;
    let repaired = kept(&gate).await;
    assert_eq!(repaired[0].columns, row.columns);
    assert!(row.columns["Rejections"].contains(&rejected.id));
    let again = submit(&gate, to(BOB)).await;
    assert!(has_alarm(&gate, &again, BOB).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_or_kept_stops_neither_a_request_nor_a_rejection() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
    let refuse = |method: &'static str, times: usize| {
        for _ in 0..times {
            let is_it = move |request: &str| {
                request.starts_with(method)
                    && request.contains("rejection")
                    && request.contains("/standing")
            };
            let answer = Fault::Answer {
                status: 403,
                retry_after: None,
                body: "",
            };
            proxy.fault(is_it, answer);
        }
    };
    // Of the mail and of the page.
    refuse("GET ", 2);
    let approval = submit(&gate, to(BOB)).await;
    assert!(is_unreadable(&gate, &approval).await);
    assert!(proxy.all_faults_applied());
    // Of the page again, and of the row in which the rejection would be kept.
    refuse("GET ", 2);
    gate.reject(&approval, BOB, "No.").await;
    assert!(proxy.all_faults_applied());
    let row = gate.store.get(&approval.id.parse().unwrap()).await.unwrap();
    assert!(matches!(row.approval.state, State::Rejected(_)));
    assert_eq!(kept(&gate).await, []);
    // Nor can the first sweep keep it, after whose write nothing else would be due.
    refuse("GET ", 1);
    gate.sweep().await;
    assert!(proxy.all_faults_applied());
    assert_eq!(kept(&gate).await, []);
    gate.pass(Duration::from_secs(DAY / 24));
    gate.sweep().await;
    assert_eq!(kept(&gate).await.len(), 1);
}

/// Of one person, a rejection by link alone is kept besides a surer one.
#[tokio::test]
async fn who_rejected_twice_is_notified_once() {
    let gate = TestGate::with(&[("HO_REASK_AFTER", "864000")]).await;
    let approval = submit(&gate, body()).await;
    let alice = gate.question(&approval, ALICE);
    gate.decide(&alice, &[("decision", "reject")]).await;
    reject_once(&gate, "Not this one.").await;
    assert_eq!(kept(&gate).await.len(), 1);
    submit(&gate, to(BOB)).await;
    let is_news = |mail: &Mail| mail.subject.contains("[Asked again]");
    let look = async || {
        gate.sweep().await;
        gate.mails().iter().any(is_news).then_some(())
    };
    eventually(look).await;
    gate.sweep().await;
    let mut mails = gate.mails();
    mails.retain(is_news);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ALICE);
}

/// Those whom the new request does not ask learn of it, once a day.
#[tokio::test]
async fn the_rejecter_is_notified_once_a_day_that_others_are_asked_the_same() {
    let gate = TestGate::with(&[("HO_REASK_AFTER", "864000")]).await;
    let rejected = reject_once(&gate, "Not this one.").await;
    let again = || {
        let mails = gate.mails();
        let mails = mails
            .into_iter()
            .filter(|it| it.subject.contains("[Asked again]"));
        mails.collect::<Vec<Mail>>()
    };
    submit(&gate, to(BOB)).await;
    let look = async || {
        gate.sweep().await;
        (again().len() == 1).then_some(())
    };
    eventually(look).await;
    let mail = again().remove(0);
    assert_eq!(mail.to, ALICE);
    assert!(
        mail.text
            .contains("An agent asks others for what you rejected."),
        "{}",
        mail.text
    );
    submit(&gate, to(BOB)).await;
    // Who is asked sees it in the email that asks.
    submit(&gate, to(ALICE)).await;
    gate.pass(Duration::from_secs(DAY + 1));
    submit(&gate, to(BOB)).await;
    // Its index entry is written before the row that names it. By the gate's clock, which is a day ahead of the
    // store's, a sweep in between would take it for an old one that no row names.
    let queued = async || {
        let row = gate.entity(&rejected.id).await;
        let is_queued = row["Notifications"].as_str().unwrap().contains("Queued");
        is_queued.then_some(())
    };
    eventually(queued).await;
    let look = async || {
        gate.sweep().await;
        (again().len() >= 2).then_some(())
    };
    eventually(look).await;
    gate.sweep().await;
    let ids: Vec<String> = again().into_iter().map(|it| it.message_id).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}
