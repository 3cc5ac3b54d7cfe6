//! A request that takes the place of an earlier one: what may be superseded, and what its approvers see.

use std::time::Duration;

use human_oversight_client::types::{Approval, Status, Withdrawal};
use human_oversight_client::{Outcome, Reason};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{AGENT, ALICE, BOB, Mail, Page, TestGate, http};
use crate::host::{KEY, OTHER_KEY};

const QUESTION: &str = "In two parts, and not to this account: see http://evil.example/x";

fn body(parameters: Value, supersedes: Option<&str>) -> Value {
    json!({
        "agentName": AGENT, "actionDescription": "Pay an invoice", "parameters": parameters,
        "approverEmails": [ALICE], "supersedes": supersedes,
    })
}

async fn submit(gate: &TestGate, body: &Value) -> Approval {
    let answer = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Submits a request that Alice rejects, asking for changes.
async fn asked_back(gate: &TestGate, parameters: Value) -> Approval {
    let approval = submit(gate, &body(parameters, None)).await;
    let question = gate.question(&approval, ALICE);
    let form = [
        ("decision", "reject"),
        ("code", question.code.as_str()),
        ("words", "Too much."),
        ("revise", QUESTION),
    ];
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    approval
}

/// The page and the mail of a request that supersedes another.
async fn seen(gate: &TestGate, approval: &Approval) -> (Page, Mail) {
    let page = gate.get(&gate.question(approval, ALICE).link).await;
    let correlation = approval.correlation_id.as_str();
    let is_it =
        |mail: &Mail| mail.text.contains(correlation) && mail.subject.contains("[Approve?]");
    let mail = gate.mails().into_iter().rfind(is_it).unwrap();
    (page, mail)
}

#[tokio::test]
async fn the_agent_changes_what_was_rejected_and_it_is_approved() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let all = json!({"users": ["1", "2", "3"]});
    let pending = action.submit(&all).await.unwrap();
    let question = gate.question(pending.approval().unwrap(), ALICE);
    let form = [
        ("decision", "reject"),
        ("code", question.code.as_str()),
        ("revise", "Leave out user 2."),
    ];
    gate.decide(&question, &form).await;
    let outcome = pending.run(&all, async |_| "deleted").await;
    let Outcome::Refused(refusal) = outcome else {
        panic!("it ran");
    };
    assert_eq!(refusal.reason, Reason::Rejected);
    assert!(
        refusal.to_string().contains("try again: Leave out user 2."),
        "{refusal}"
    );
    assert_eq!(refusal.question(), Some("Leave out user 2."));

    let some = json!({"users": ["1", "3"]});
    let action = action.supersedes(refusal.id().unwrap());
    let pending = action.submit(&some).await.unwrap();
    let page = gate
        .get(&gate.question(pending.approval().unwrap(), ALICE).link)
        .await;
    for part in ["What changed", "Leave out user 2.", "item 2", "removed"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let outcome = pending.run(&some, async |_| "deleted").await;
    assert_eq!(outcome, Outcome::Executed("deleted"));
}

#[tokio::test]
async fn page_and_mail_say_that_the_agent_acts_for_another_person_now() {
    let gate = TestGate::start().await;
    let words =
        |from: &str, to: &str| format!("It was on behalf of {from}, and is on behalf of {to} now.");
    let (alex, kim, none) = ("alex@example.com", "kim@example.com", "no person");
    for (from, to) in [
        (alex, kim),
        (alex, none),
        (none, kim),
        (kim, kim),
        (none, none),
    ] {
        let submit_for = async |person: &str, supersedes: Option<&str>| {
            let mut body = body(json!({"role": "admin", "from": from, "to": to}), supersedes);
            if person != none {
                body["onBehalfOf"] = json!(person);
            }
            submit(&gate, &body).await
        };
        let earlier = submit_for(from, None).await;
        gate.reject(&earlier, ALICE, "").await;
        let approval = submit_for(to, Some(&earlier.id)).await;
        let (page, mail) = seen(&gate, &approval).await;
        for text in [&page.body, &mail.html, &mail.text] {
            let text = text.replace("[.]", ".").replace("\r\n", " ");
            assert_eq!(text.contains(&words(from, to)), from != to, "{text}");
            assert_eq!(text.contains("It was on behalf of"), from != to, "{text}");
        }
    }
}

#[tokio::test]
async fn page_and_mail_show_what_changed_above_the_parameters() {
    let gate = TestGate::start().await;
    let script = "set -e\nbackup\ndrop table orders\nnotify\n";
    let before = json!({
        "amount": 18_000, "to": {"iban": "DE12", "name": "Contoso"}, "note": "old", "script": script,
        "password": "hunter2-example", "http://evil.example": 1,
    });
    let earlier = asked_back(&gate, before).await;
    let now = json!({
        "amount": 9_000, "to": {"iban": "DE\u{200b}34", "name": "Contoso"}, "parts": [1, 2],
        "script": script.replace("drop", "truncate"), "password": "hunter3-example",
    });
    let approval = submit(&gate, &body(now, Some(&earlier.id))).await;
    let (page, mail) = seen(&gate, &approval).await;
    let (changes, parameters) = page.body.split_once("Exactly what will run").unwrap();
    let (_, changes) = changes.split_once("What changed").unwrap();
    assert!(parameters.contains("18000") || parameters.contains("9000"));
    for part in [
        earlier.correlation_id.as_str(),
        "That one was rejected by alice@example.com",
        "Too much.",
        "In two parts, and not to this account",
        "amount",
        "before",
        "18000",
        "now",
        "9000",
        "iban",
        "DE<mark>\\u{200b}</mark>34",
        "note",
        "removed",
        "old",
        "parts",
        "added",
        "changed, and withheld",
        "<del>-drop table orders</del>",
        "<ins>+truncate table orders</ins>",
    ] {
        assert!(changes.contains(part), "{part}: {changes}");
    }
    assert!(
        !changes.contains("Contoso") && !page.body.contains("hunter"),
        "{changes}"
    );
    assert!(!changes.contains("<a "), "{changes}");
    for (text, arrow) in [
        (&mail.text, "+truncate table orders"),
        (&mail.html, "+truncate table orders"),
    ] {
        let (before, after) = text.split_once("What changed").unwrap();
        let (changes, _) = after
            .split_once("xactly these parameters")
            .or_else(|| after.split_once("Parameters"))
            .unwrap();
        assert!(before.contains("Pay an invoice"));
        for part in [
            "Too much.",
            "18000",
            "9000",
            "removed",
            "changed, and withheld",
            arrow,
        ] {
            assert!(changes.contains(part), "{part}: {changes}");
        }
        assert!(
            !changes.contains("http://evil.example") && !text.contains("hunter"),
            "{changes}"
        );
    }
}

#[tokio::test]
async fn the_same_again_is_still_asked_again() {
    let gate = TestGate::start().await;
    let earlier = asked_back(&gate, json!({"amount": 1})).await;
    let approval = submit(&gate, &body(json!({"amount": 1}), Some(&earlier.id))).await;
    let (page, mail) = seen(&gate, &approval).await;
    for text in [&page.body, &mail.html] {
        assert!(
            text.contains("This looks like a request that was rejected."),
            "{text}"
        );
        assert!(text.contains("The parameters are the same."), "{text}");
    }
}

#[tokio::test]
async fn only_a_request_that_ended_without_an_approval_can_be_superseded() {
    let gate = TestGate::start().await;
    let first = submit(&gate, &body(json!({"n": 1}), None)).await;
    let refused = async |id: &str| {
        let answer = gate
            .post("/api/submit", body(json!({"n": 2}), Some(id)).to_string())
            .await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            answer.body
        );
        let problem = answer.problem();
        assert_eq!(problem["errors"][0]["pointer"], "/supersedes");
        problem["detail"].as_str().unwrap().to_owned()
    };
    let detail = refused(&first.id).await;
    assert!(
        detail.contains("that is Pending") && detail.contains("rejected or withdrawn"),
        "{detail}"
    );
    gate.approve(&first, ALICE).await;
    assert!(refused(&first.id).await.contains("that is Approved"));
    for no_id in ["", "x", "no id", "YQ.../x"] {
        assert!(
            refused(no_id).await.contains("must be the id of a request"),
            "{no_id}"
        );
    }
    let rows = gate.stored().await.len();

    let withdrawn = submit(&gate, &body(json!({"n": 3}), None)).await;
    gate.client
        .withdraw(&withdrawn.id, &Withdrawal::default())
        .await
        .unwrap();
    let expired = submit(&gate, &body(json!({"n": 4}), None)).await;
    gate.pass(Duration::from_secs(3_601));
    for (earlier, ending) in [
        (&withdrawn, "The agent withdrew that one"),
        (&expired, "That one was not decided before"),
    ] {
        let approval = submit(&gate, &body(json!({"n": 5}), Some(&earlier.id))).await;
        let (page, mail) = seen(&gate, &approval).await;
        assert!(
            page.body.contains(ending) && mail.text.contains(ending),
            "{}",
            page.body
        );
    }
    assert_eq!(gate.stored().await.len(), rows + 4);
}

#[tokio::test]
async fn another_owners_request_looks_like_none() {
    let gate = TestGate::start().await;
    let earlier = asked_back(&gate, json!({"n": 1})).await;
    let submit_as = async |key: &str, id: &str| {
        let call = http()
            .build()
            .unwrap()
            .request(Method::POST, gate.direct("/api/submit"));
        let call = call
            .header("x-functions-key", key)
            .header("content-type", "application/json");
        let call = call.body(body(json!({"n": 2}), Some(id)).to_string());
        Page::of(call.send().await.unwrap()).await
    };
    let absent = format!("{}.absent", earlier.id.split_once('.').unwrap().0);
    let rows = gate.stored().await;
    let mut learned = Vec::new();
    for id in [&earlier.id, &absent] {
        let mut problem = submit_as(OTHER_KEY, id).await.problem();
        assert_eq!(
            problem["detail"],
            "/supersedes names no earlier request of this caller."
        );
        problem["invocationId"] = Value::Null;
        learned.push(problem);
    }
    assert_eq!(learned[0], learned[1]);
    assert_eq!(gate.stored().await, rows);
    assert_eq!(
        submit_as(KEY, &earlier.id).await.status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn where_the_earlier_row_is_gone_or_damaged_page_and_mail_say_so() {
    let gate = TestGate::start().await;
    let mut body = body(json!({"n": 1}), None);
    body["approverEmails"] = json!([ALICE, BOB]);
    let earlier = submit(&gate, &body).await;
    gate.reject(&earlier, BOB, "No.").await;
    body["parameters"] = json!({"n": 2});
    body["supersedes"] = json!(earlier.id);
    body["correlationId"] = json!("later");
    let approval = submit(&gate, &body).await;
    let link = gate.question(&approval, ALICE).link;
    assert!(gate.get(&link).await.body.contains("before"));
    gate.tamper(&earlier.id, None, |row| row["Comment"] = json!("Yes."))
        .await;
    let page = gate.get(&link).await.body;
    assert!(
        page.contains("which could not be read. What changed cannot be shown."),
        "{page}"
    );
    assert!(page.contains("Exactly what will run"), "{page}");
    let (rows, _) = gate.store.all(None).await.unwrap();
    let row = rows
        .iter()
        .find(|row| row.keys.1 == earlier.correlation_id)
        .unwrap();
    gate.store.delete(row).await.unwrap();
    let page = gate.get(&link).await.body;
    assert!(
        page.contains("which is no longer stored. What changed cannot be shown."),
        "{page}"
    );
    // A repeat is answered as stored, whatever became of the earlier row.
    let again = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
}

/// The instance that stored the earlier request was ahead, and the one that stores the later is behind.
#[tokio::test]
async fn an_earlier_request_by_a_clock_that_is_ahead_is_still_the_earlier_one() {
    let gate = TestGate::start().await;
    let earlier = asked_back(&gate, json!({"n": 1})).await;
    gate.back(Duration::from_secs(590));
    let approval = submit(&gate, &body(json!({"n": 2}), Some(&earlier.id))).await;
    let (page, _) = seen(&gate, &approval).await;
    let gone = "which is no longer stored";
    assert!(!page.body.contains(gone), "{}", page.body);
    assert!(page.body.contains("What changed"), "{}", page.body);
}

#[tokio::test]
async fn without_parameters_in_emails_what_changed_is_on_the_page_alone() {
    let gate = TestGate::with(&[("HO_MAIL_PARAMETERS", "none")]).await;
    let earlier = asked_back(&gate, json!({"amount": "18000 EUR"})).await;
    let approval = submit(
        &gate,
        &body(json!({"amount": "9000 EUR"}), Some(&earlier.id)),
    )
    .await;
    let (page, mail) = seen(&gate, &approval).await;
    assert!(page.body.contains("18000 EUR"));
    for text in [&mail.text, &mail.html] {
        assert!(
            text.contains("Too much.") && !text.contains("18000 EUR"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_email_says_that_dots_are_marked_only_where_it_shows_one() {
    for (setting, is_shown) in [("none", false), ("redacted", true)] {
        let gate = TestGate::with(&[("HO_MAIL_PARAMETERS", setting)]).await;
        let earlier = submit(&gate, &body(json!({"to": "paypal.com"}), None)).await;
        gate.reject(&earlier, ALICE, "Not there").await;
        let changed = body(json!({"to": "paypal.org"}), Some(&earlier.id));
        let (_, mail) = seen(&gate, &submit(&gate, &changed).await).await;
        for text in [&mail.text, &mail.html] {
            assert_eq!(text.contains("paypal[.]com"), is_shown, "{text}");
            assert_eq!(text.contains("are written as [.]"), is_shown, "{text}");
        }
    }
}

/// Whatever it takes to mark what the agent and the people wrote.
#[tokio::test]
async fn no_change_makes_a_large_email() {
    let gate = TestGate::with(&[("HO_MAIL_BUDGET", "off"), ("HO_OWNER_BUDGET", "off")]).await;
    let people: Vec<String> = (0..19)
        .map(|n| format!("{n}.{}@{}example.com", "a".repeat(55), "long.".repeat(30)))
        .chain([ALICE.to_owned()])
        .collect();
    for piece in [
        "א1 ",
        "\u{202e}a",
        "\"\u{202e}",
        "&",
        "а.b ",
        "'",
        "e\u{301} ",
        "&\n",
        "😀.",
    ] {
        let text = |chars: usize| -> String { piece.chars().cycle().take(chars).collect() };
        let hostile = |end: &str, supersedes: Option<&str>| {
            let member = |n: usize| {
                (
                    format!("{}{n}", text(9)),
                    json!(format!("{}{end}", text(80))),
                )
            };
            let size = json!(text(90)).to_string().len() + 30;
            let members = (0..26_000 / size).map(member);
            let mut body = body(Value::Object(members.collect()), supersedes);
            body["reason"] = text(2_000).into();
            body["actionDescription"] = "&".repeat(256).into();
            body["approverEmails"] = json!(people);
            body
        };
        let earlier = submit(&gate, &hostile("", None)).await;
        let question = gate.question(&earlier, ALICE);
        let (words, revise) = (text(1_000), text(999));
        let form = [
            ("decision", "reject"),
            ("code", question.code.as_str()),
            ("words", words.as_str()),
            ("revise", revise.as_str()),
        ];
        gate.decide(&question, &form).await;
        let approval = submit(&gate, &hostile("z", Some(&earlier.id))).await;
        let (_, mail) = seen(&gate, &approval).await;
        let (html, whole) = (mail.html.len(), mail.source.len());
        assert!(
            html < 60_000 && whole < 100_000,
            "{piece:?}: {html}, {whole}"
        );
        assert!(mail.text.contains("more on the page"), "{}", mail.text);
        gate.reject(&approval, ALICE, "").await;
    }
}

#[tokio::test]
async fn a_large_change_stays_readable() {
    let gate = TestGate::start().await;
    let lines = |word: &str| -> String {
        (0..1_400)
            .map(|n| format!("{word} line {n:04}\n"))
            .collect()
    };
    let earlier = asked_back(&gate, json!({"script": lines("old")})).await;
    let approval = submit(
        &gate,
        &body(json!({"script": lines("new")}), Some(&earlier.id)),
    )
    .await;
    let (page, mail) = seen(&gate, &approval).await;
    assert!(page.body.contains("Go to the decision"));
    assert!(
        page.body.contains("1400 lines added, 1400 removed"),
        "{}",
        &page.body[..4_000]
    );
    assert!(
        mail.text.contains("more lines on the page"),
        "{}",
        mail.text
    );
    assert!(mail.html.len() < 60_000, "{}", mail.html.len());
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
}
