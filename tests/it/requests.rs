//! The list of a person who has signed in: what waits for them, what they decided, and their standing grants.

mod many;

use std::time::Duration;

use human_oversight::keys::keyring;
use human_oversight_client::types::{Approval, NewApproval, Status, Withdrawal};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::agent_identity::{AGENT_ID, program, token};
use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::claim::{NONCE, claim};
use crate::deadline::eventually;
use crate::grants;
use crate::harness::{AGENT, ALICE, BOB, Page, TestGate, for_alice, object, request};
use crate::host::{PRINCIPAL, SignIn};
use crate::outcome::report;
use crate::quorum::{CAROL, POLICY, payment};
use crate::sign_in::{ON, TENANT, alice, member, send, visit, with_claim};

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn bob() -> Value {
    member(BOB, "3c9e7a10-0000-4000-8000-000000000b0b")
}

fn carol() -> Value {
    member(CAROL, "3c9e7a10-0000-4000-8000-00000000ca01")
}

async fn open(gate: &TestGate, headers: &[(&str, &str)]) -> Page {
    let call = gate.http.get(format!("{}/api/requests", gate.url));
    let call = headers
        .iter()
        .fold(call, |call, (name, value)| call.header(*name, *value));
    Page::of(call.send().await.unwrap()).await
}

/// The list of a person.
pub(crate) async fn list(gate: &TestGate, person: &Value) -> Page {
    let page = open(gate, &[("cookie", &SignIn::session(person))]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page
}

/// The ids of the requests below a heading of the list, in order.
fn ids(page: &Page, heading: &str) -> Vec<String> {
    let (_, section) = page.body.split_once(heading).expect(&page.body);
    let (section, _) = section.split_once("<h2").unwrap_or((section, ""));
    let links = section.split("<a href=\"/api/decision/").skip(1);
    let ids = links.map(|link| link.split_once('"').unwrap().0.to_owned());
    ids.collect()
}

async fn waiting(gate: &TestGate, person: &Value) -> Vec<String> {
    ids(&list(gate, person).await, "Waiting for your decision")
}

async fn decided(gate: &TestGate, person: &Value) -> Vec<String> {
    ids(&list(gate, person).await, "<h2 id=\"decided\"")
}

/// What a person decided, once this request is in the list, for which no answer waits.
async fn until_decided(gate: &TestGate, person: &Value, id: &str) -> Vec<String> {
    eventually(async || {
        let ids = decided(gate, person).await;
        ids.iter().any(|it| it == id).then_some(ids)
    })
    .await
}

/// Decides as a person who has signed in.
async fn vote(gate: &TestGate, person: &Value, id: &str, verdict: &str) {
    let session = SignIn::session(person);
    let page = visit(gate, id, &[("cookie", &session)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let mut form = page.first_form();
    form.push(("decision".to_owned(), verdict.to_owned()));
    let answer = send(gate, id, &[("cookie", &session)], &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
}

async fn submit(gate: &TestGate, new: &NewApproval) -> Approval {
    gate.client.submit(new).await.unwrap()
}

fn for_bob() -> NewApproval {
    NewApproval {
        approver_emails: vec![BOB.to_owned()],
        action_description: "For Bob alone".to_owned(),
        parameters: object(json!({"summary": "a secret of Bob's"})),
        ..request()
    }
}

/// A gate with sign-in and these settings on each kind of store.
async fn gates(settings: &[(&str, &str)]) -> [TestGate; 2] {
    let tables = backing_store::tables(azurite().port);
    let settings = [&ON[..], settings].concat();
    let on_tables = [&backing_store::borrowed(&tables)[..], &settings].concat();
    [
        TestGate::with(&settings).await,
        TestGate::with(&on_tables).await,
    ]
}

#[tokio::test]
async fn the_list_has_what_asks_its_person_by_deadline_and_nothing_of_others() {
    for gate in gates(&[]).await {
        let hours = |hours: u32| NewApproval {
            timeout_seconds: Some(hours * 3_600),
            ..request()
        };
        let late = submit(&gate, &hours(9)).await;
        let soon = submit(&gate, &hours(2)).await;
        let between = submit(&gate, &hours(5)).await;
        let others = submit(&gate, &for_bob()).await;
        let page = list(&gate, &alice()).await;
        assert_eq!(
            ids(&page, "Waiting for your decision: 3<"),
            [soon.id, between.id, late.id]
        );
        for words in [
            "Delete User Account",
            AGENT,
            "1 approval is missing",
            "<time datetime=",
            "4 hours left when opened",
            "Signed in as <bdi>alice@example.com</bdi>",
        ] {
            assert!(page.body.contains(words), "{words}: {}", page.body);
        }
        for words in [
            &*others.id,
            "For Bob alone",
            "a secret of Bob",
            BOB,
            "name=\"form\"",
            "value=\"approve\"",
            "<script",
        ] {
            assert!(!page.body.contains(words), "{words}: {}", page.body);
        }
        let bobs = waiting(&gate, &bob()).await;
        assert_eq!((bobs.len(), bobs.contains(&others.id)), (4, true));
        let strangers = list(&gate, &carol()).await;
        assert!(strangers.body.contains("Nothing waits for your decision"));
        assert!(!strangers.body.contains(AGENT));
        // The email names the list, a link of which leads to the page that decides, which leads back.
        let mails = gate.mails();
        let mail = mails.iter().find(|mail| mail.to == ALICE).unwrap();
        let address = format!("{}/api/requests", gate.url);
        assert!(mail.text.contains(&address), "{}", mail.text);
        assert!(mail.html.contains(&format!("href=\"{address}\"")));
        let session = SignIn::session(&bob());
        let opened = visit(&gate, &others.id, &[("cookie", &session)]).await;
        assert!(opened.body.contains("value=\"approve\""));
        assert!(opened.body.contains("href=\"/api/requests\""));
    }
}

#[tokio::test]
async fn only_a_member_of_the_directory_who_has_signed_in_with_a_browser_has_a_list() {
    let settings = [&ON[..], &[("HO_AGENT_IDENTITY", "both")]].concat();
    let gate = TestGate::with(&settings).await;
    let asked = submit(&gate, &for_alice()).await;
    let foreign = alice()
        .to_string()
        .replace(TENANT, "00000000-5d3e-4b7a-9c10-2f6e0d8b7a31");
    let foreign: Value = serde_json::from_str(&foreign).unwrap();
    let mut guest = alice();
    let claims = guest["claims"].as_array_mut().unwrap();
    claims.push(json!({"typ": "acct", "val": "1"}));
    let mut with_role = alice();
    let claims = with_role["claims"].as_array_mut().unwrap();
    claims.push(json!({"typ": "idtyp", "val": "app"}));
    let session = |principal: &Value| ("cookie", SignIn::session(principal));
    for (who, headers) in [
        ("anonymous", vec![]),
        ("another directory", vec![session(&foreign)]),
        ("a guest", vec![session(&guest)]),
        ("an app", vec![session(&program(AGENT_ID))]),
        (
            "an app's token",
            vec![(
                "authorization",
                format!("Bearer {}", token(&program(AGENT_ID))),
            )],
        ),
        ("an app that says Alice", vec![session(&with_role)]),
        (
            "Alice's token in a program",
            vec![("authorization", format!("Bearer {}", token(&alice())))],
        ),
        ("a header of their own", vec![(PRINCIPAL, token(&alice()))]),
    ] {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let page = open(&gate, &headers).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{who}: {}", page.body);
        for words in [&*asked.id, AGENT, "Delete User Account", "Waiting for your"] {
            assert!(!page.body.contains(words), "{who}: {}", page.body);
        }
        assert!(page.body.contains("_redirect_uri=/api/requests\""), "{who}");
    }
    assert_eq!(waiting(&gate, &alice()).await, [asked.id]);
}

#[tokio::test]
async fn without_sign_in_there_is_no_list_and_a_link_opens_none() {
    let gate = TestGate::start().await;
    let asked = gate.ask().await;
    let link = gate.question(&asked, ALICE).link;
    let (_, token) = link.split_once('?').unwrap();
    for query in ["", token] {
        let session = SignIn::session(&alice());
        let url = format!("{}/api/requests?{query}", gate.url);
        let call = gate.http.get(url).header("cookie", session);
        let page = Page::of(call.send().await.unwrap()).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.body.contains("This gate has no list of requests"));
        assert!(!page.body.contains("/.auth/") && !page.body.contains(AGENT));
    }
    // Where some actions alone need sign-in, a link decides others, and still opens no list.
    let settings = [("HO_REQUIRE_ENTRA_FOR", "Never *"), ON[1], ON[2]];
    let gate = TestGate::with(&settings).await;
    let asked = gate.ask().await;
    let link = gate.question(&asked, ALICE).link;
    let (_, token) = link.split_once('?').unwrap();
    let page = gate
        .get(&format!("{}/api/requests?{token}", gate.url))
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    assert_eq!(waiting(&gate, &alice()).await, [asked.id]);
}

#[tokio::test]
async fn a_request_that_no_longer_asks_is_not_open_and_what_was_decided_is_below() {
    for gate in gates(&[]).await {
        let ask = async |seconds: u32| {
            let new = NewApproval {
                timeout_seconds: Some(seconds),
                ..request()
            };
            submit(&gate, &new).await.id
        };
        let (approved, rejected) = (ask(3_600).await, ask(3_600).await);
        let (by_bob, withdrawn) = (ask(3_600).await, ask(3_600).await);
        let (expired, open) = (ask(60).await, ask(7_200).await);
        vote(&gate, &alice(), &approved, "approve").await;
        until_decided(&gate, &alice(), &approved).await;
        gate.pass(Duration::from_secs(1));
        vote(&gate, &alice(), &rejected, "reject").await;
        vote(&gate, &bob(), &by_bob, "approve").await;
        gate.client
            .withdraw(&withdrawn, &Withdrawal::default())
            .await
            .unwrap();
        // It is over before a sweep stores that.
        gate.pass(Duration::from_secs(60));
        assert_eq!(waiting(&gate, &alice()).await, [open.as_str()]);
        gate.sweep().await;
        assert_eq!(waiting(&gate, &alice()).await, [open]);
        let newest_first = until_decided(&gate, &alice(), &rejected).await;
        assert_eq!(newest_first, [rejected, approved]);
        assert_eq!(until_decided(&gate, &bob(), &by_bob).await, [by_bob]);
        let page = list(&gate, &alice()).await;
        for words in [
            "You approved on ",
            "You rejected on ",
            "The agent has not started.",
        ] {
            assert!(page.body.contains(words), "{words}: {}", page.body);
        }
        assert!(!page.body.contains(&expired) && !page.body.contains(BOB));
    }
}

#[tokio::test]
async fn the_list_has_the_last_20_decisions() {
    let gate = TestGate::with(&ON).await;
    let mut all = Vec::new();
    for _ in 0..22 {
        let asked = submit(&gate, &for_alice()).await;
        vote(&gate, &alice(), &asked.id, "approve").await;
        until_decided(&gate, &alice(), &asked.id).await;
        gate.pass(Duration::from_secs(1));
        all.insert(0, asked.id);
    }
    assert_eq!(decided(&gate, &alice()).await, all[..20]);
}

/// The process that stored a decision may die before it keeps it for the list.
#[tokio::test]
async fn a_sweep_and_the_operator_restore_decisions_to_the_list() {
    let tables = backing_store::tables(azurite().port);
    let settings = [&backing_store::borrowed(&tables)[..], &ON].concat();
    let gate = TestGate::with(&settings).await;
    let asked = submit(&gate, &for_alice()).await;
    vote(&gate, &alice(), &asked.id, "approve").await;
    let kept = Table::of(azurite().port, &format!("decided{}", tables[2].1));
    let lose = async || {
        until_decided(&gate, &alice(), &asked.id).await;
        for row in kept.rows().await {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            if text("PartitionKey").starts_with("person-") {
                kept.remove(&text("PartitionKey"), &text("RowKey")).await;
            }
        }
        assert!(decided(&gate, &alice()).await.is_empty());
    };
    lose().await;
    gate.sweep().await;
    lose().await;
    let (said, code) = crate::process::run(
        &backing_store::borrowed(&tables),
        &["index", "rebuild-lists"],
    )
    .await;
    assert_eq!(
        (said.as_str(), code),
        (
            "1 decisions are in the lists of the people who made them. Left out: 0 rows that cannot be trusted.\n",
            0
        )
    );
    assert_eq!(decided(&gate, &alice()).await, [asked.id]);
    // The row of the request decides, whatever an entry says.
    let mut forged = kept.rows().await;
    forged.retain(|row| row["PartitionKey"].as_str().unwrap().starts_with("person-"));
    let other = submit(&gate, &for_bob()).await;
    forged[0]["Id"] = json!(other.id);
    kept.put(&forged[0]).await;
    assert!(decided(&gate, &alice()).await.is_empty());
}

#[tokio::test]
async fn a_vote_moves_a_request_to_the_decisions_and_the_next_stage_to_its_people() {
    for gate in gates(&[("HO_POLICY", POLICY)]).await {
        let asked = submit(&gate, &payment(900)).await.id;
        let page = list(&gate, &alice()).await;
        assert!(
            page.body.contains("3 approvals are missing"),
            "{}",
            page.body
        );
        assert!(page.body.contains("900 EUR"), "{}", page.body);
        assert!(waiting(&gate, &carol()).await.is_empty());
        vote(&gate, &alice(), &asked, "approve").await;
        assert!(waiting(&gate, &alice()).await.is_empty());
        assert_eq!(
            until_decided(&gate, &alice(), &asked).await,
            [asked.as_str()]
        );
        let page = list(&gate, &alice()).await;
        let words = "Other votes are missing.";
        assert!(page.body.contains(words), "{}", page.body);
        let bobs = list(&gate, &bob()).await;
        assert!(
            bobs.body.contains("2 approvals are missing"),
            "{}",
            bobs.body
        );
        vote(&gate, &bob(), &asked, "approve").await;
        assert_eq!(waiting(&gate, &carol()).await, [asked]);
    }
}

const ESCALATED: &str = r#"
version = 1
[groups]
finance = ["alice@example.com"]
leads = ["carol@example.com"]
[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance" }]
escalate = { after = "50%", to = "leads" }
summary = ["/to/name", "/amount", "/password"]
"#;

#[tokio::test]
async fn a_person_of_an_escalation_has_the_request_once_they_are_asked() {
    for gate in gates(&[("HO_POLICY", ESCALATED)]).await {
        let new = NewApproval {
            parameters: object(json!({
                "to": {"name": "Evil <b>\u{202e}co"}, "amount": 12, "password": "hunter2",
            })),
            ..payment(900)
        };
        let asked = submit(&gate, &new).await.id;
        assert!(waiting(&gate, &carol()).await.is_empty());
        gate.pass(HOUR / 2);
        gate.sweep().await;
        assert_eq!(waiting(&gate, &carol()).await, [asked.as_str()]);
        assert_eq!(waiting(&gate, &alice()).await, [asked]);
        let page = list(&gate, &carol()).await;
        for words in [
            "<bdi translate=\"no\">to › name</bdi>: <bdi translate=\"no\">Evil &#60;b&#62;<mark>\\u{202e}</mark>co</bdi>",
            "<bdi translate=\"no\">amount</bdi>: <bdi translate=\"no\">12</bdi>",
            "«withheld, 7 characters»",
            "(not verified)",
            "Check carefully: its page says why.",
        ] {
            assert!(page.body.contains(words), "{words}: {}", page.body);
        }
        assert!(!page.body.contains("hunter2") && !page.body.contains("<b>"));
    }
}

#[tokio::test]
async fn who_votes_before_the_email_of_the_escalation_gets_the_emails_about_the_outcome() {
    for gate in gates(&[("HO_POLICY", ESCALATED)]).await {
        let asked = submit(&gate, &payment(900)).await;
        gate.pass(HOUR / 2);
        let now = (gate.now().unix_millis() / 1_000).to_string();
        let carol = with_claim(carol(), "auth_time", Some(&now));
        vote(&gate, &carol, &asked.id, "approve").await;
        // Before the failure, of which the email would take the place of the one about the approval.
        gate.sweep().await;
        gate.client.claim(&asked.id, &claim(NONCE)).await.unwrap();
        let failed = report(Some("half done"));
        gate.client.outcome(&asked.id, &failed).await.unwrap();
        gate.sweep().await;
        let mails = gate.mails();
        let to_carol: Vec<_> = mails.iter().filter(|mail| mail.to == CAROL).collect();
        assert_eq!(to_carol.len(), 2, "{to_carol:?}");
        for kind in ["[Approved]", "[Failed]"] {
            assert!(to_carol.iter().any(|mail| mail.subject.starts_with(kind)));
        }
    }
}

#[tokio::test]
async fn an_approver_who_left_the_list_reads_so_and_the_person_acted_for_has_nothing() {
    let gate = TestGate::with(&ON).await;
    let acted_for = NewApproval {
        approver_emails: vec![ALICE.to_owned(), BOB.to_owned()],
        on_behalf_of: Some(CAROL.to_owned()),
        ..request()
    };
    submit(&gate, &acted_for).await;
    let unlisted = "an address that is no longer on this gate's list of approvers";
    let carols = list(&gate, &carol()).await;
    assert!(ids(&carols, "Waiting for your decision").is_empty());
    assert!(!carols.body.contains(unlisted), "{}", carols.body);
    assert_eq!(waiting(&gate, &alice()).await.len(), 1);
    let settings = [&ON[..], &[("HO_ALLOWED_APPROVERS", BOB)]].concat();
    let gate = TestGate::at(gate.dir, &settings).await;
    let alices = list(&gate, &alice()).await;
    assert!(ids(&alices, "Waiting for your decision").is_empty());
    assert!(alices.body.contains(unlisted), "{}", alices.body);
    let bobs = list(&gate, &bob()).await;
    assert_eq!(ids(&bobs, "Waiting for your decision").len(), 1);
    assert!(!bobs.body.contains(unlisted), "{}", bobs.body);
}

#[tokio::test]
async fn a_person_is_found_by_object_id_under_another_name() {
    let id = "3c9e7a10-0000-4000-8000-00000000a11c";
    let allowed = format!("*@example.com,{ALICE}={id}");
    for gate in gates(&[("HO_ALLOWED_APPROVERS", allowed.as_str())]).await {
        let asked = submit(&gate, &for_alice()).await;
        let renamed = member("alice.new-name@example.com", id);
        assert_eq!(waiting(&gate, &renamed).await, [asked.id]);
        // Another account that now has Alice's address.
        let other = member(ALICE, "3c9e7a10-0000-4000-8000-000000000b0b");
        assert!(waiting(&gate, &other).await.is_empty());
    }
}

#[tokio::test]
async fn entries_of_earlier_gates_are_listed_and_wrong_ones_are_not() {
    let tables = backing_store::tables(azurite().port);
    let settings = [&backing_store::borrowed(&tables)[..], &ON].concat();
    let gate = TestGate::with(&settings).await;
    let index = Table::of(azurite().port, &format!("open{}", tables[2].1));
    let asked = submit(&gate, &for_alice()).await;
    let others = submit(&gate, &for_bob()).await;
    let entries = index.rows().await;
    let hashes = |id: &str| {
        let entry = entries.iter().find(|it| it["Id"] == id).unwrap();
        let people = entry["People"].as_str().unwrap();
        people.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(hashes(&asked.id).len(), 1);
    assert_ne!(hashes(&asked.id), hashes(&others.id));
    assert!(!entries.iter().any(|it| it.to_string().contains(ALICE)));
    // An earlier gate writes no hashes.
    for mut entry in entries {
        entry.as_object_mut().unwrap().remove("People");
        index.put(&entry).await;
    }
    assert_eq!(waiting(&gate, &alice()).await, [asked.id.as_str()]);
    assert_eq!(waiting(&gate, &bob()).await, [others.id.as_str()]);
    // Hashes by another key would hide the requests from the lists.
    let mut foreign = tables.clone();
    foreign[3].1 = keyring::generate_link_key();
    let foreign = backing_store::borrowed(&foreign);
    let before = index.rows().await;
    let (said, code) = crate::process::run(&foreign, &["index", "rebuild-due"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("is sealed with a key that is not in HO_LINK_KEYS"),
        "{said}"
    );
    assert_eq!(index.rows().await, before);
    let (said, code) = crate::process::run(&foreign, &["index", "rebuild-lists"]).await;
    assert_eq!(
        (code, said.matches("HO_LINK_KEYS").count()),
        (1, 2),
        "{said}"
    );
    let settings = backing_store::borrowed(&tables);
    let run = crate::process::run(&settings, &["index", "rebuild-due"]);
    assert_eq!(run.await.1, 0);
    let entries = index.rows().await;
    let with = entries.iter().filter(|it| it.get("People").is_some());
    assert_eq!(with.count(), 2);
    // An entry that names everyone shows no one else's request.
    for mut entry in entries.into_iter().filter(|it| it.get("Id").is_some()) {
        entry.as_object_mut().unwrap().remove("People");
        index.put(&entry).await;
    }
    assert_eq!(waiting(&gate, &alice()).await, [asked.id]);
}

#[tokio::test]
async fn a_list_for_which_the_gates_id_is_damaged_is_the_operators_affair() {
    let dir = tempfile::tempdir().unwrap();
    let store = backing_store::embedded(dir.path());
    let settings = [&ON[..], &backing_store::borrowed(&store)].concat();
    let gate = TestGate::at(dir, &settings).await;
    submit(&gate, &for_alice()).await;
    let file = rusqlite::Connection::open(gate.dir.path().join("approvals.db")).unwrap();
    let damage = "UPDATE standingapprovals SET Entity = replace(Entity, '\"local\"', '\"other\"')
        WHERE PartitionKey = 'gate'";
    assert_eq!(file.execute(damage, []).unwrap(), 1);
    let gate = TestGate::at(gate.dir, &settings).await;
    let page = open(&gate, &[("cookie", &SignIn::session(&alice()))]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.body.contains("Tell the operator of this gate"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn a_request_that_cannot_be_trusted_is_counted_for_its_approvers_alone() {
    let gate = TestGate::with(&ON).await;
    let asked = submit(&gate, &for_alice()).await;
    let sound = submit(&gate, &request()).await;
    gate.tamper(&asked.id, None, |row| row["Reason"] = json!("changed"))
        .await;
    let page = list(&gate, &alice()).await;
    assert_eq!(ids(&page, "Waiting for your decision"), [sound.id]);
    assert!(
        page.body
            .contains("1 request could not be read, or cannot be trusted."),
        "{}",
        page.body
    );
    let bobs = list(&gate, &bob()).await;
    assert!(!bobs.body.contains("could not be read"), "{}", bobs.body);
}

/// Also for who goes from link to link or from button to button, and hears their names alone.
#[tokio::test]
async fn requests_and_grants_of_one_action_have_names_of_their_own() {
    let [gate, _] = gates(&[("HO_POLICY", grants::POLICY)]).await;
    let session = SignIn::session(&alice());
    let cookie = [("cookie", session.as_str())];
    for service in ["billing", "mail", "search", "shop"] {
        let mut new = grants::restart();
        new.parameters["service"] = service.into();
        let asked = submit(&gate, &new).await;
        if !service.starts_with('s') {
            let mut form = visit(&gate, &asked.id, &cookie).await.first_form();
            for (name, value) in [("decision", "approve"), ("grant", "3600")] {
                form.push((name.to_owned(), value.to_owned()));
            }
            send(&gate, &asked.id, &cookie, &form).await;
        }
    }
    let page = list(&gate, &alice()).await.body;
    let (_, grants) = page.split_once("<h2 id=\"grants\"").unwrap();
    for service in ["billing", "mail"] {
        let parameter = format!(
            "<bdi translate=\"no\">service</bdi>: <bdi translate=\"no\">{service}</bdi><br>"
        );
        assert_eq!(grants.matches(&parameter).count(), 1, "{service}: {grants}");
    }
    for (part, element, count) in [(&page[..], "a", 6), (grants, "button", 2)] {
        let opening = format!("<{element} ");
        let closing = format!("</{element}>");
        let named = part.split(&opening).skip(1).map(|it| {
            let (it, _) = it.split_once(&closing).unwrap();
            let (_, it) = it.split_once('>').unwrap();
            it.to_owned()
        });
        let named: Vec<String> = named
            .filter(|it| it.contains(" #") || it.contains("of #"))
            .collect();
        let names: std::collections::BTreeSet<&String> = named.iter().collect();
        assert_eq!((named.len(), names.len()), (count, count), "{named:?}");
    }
}

#[tokio::test]
async fn a_standing_grant_is_listed_while_it_is_in_force_and_ended_from_the_list() {
    for gate in gates(&[("HO_POLICY", grants::POLICY)]).await {
        let asked = submit(&gate, &grants::restart()).await;
        let session = SignIn::session(&alice());
        let cookie = [("cookie", session.as_str())];
        let page = visit(&gate, &asked.id, &cookie).await;
        let mut form = page.first_form();
        form.push(("decision".to_owned(), "approve".to_owned()));
        form.push(("grant".to_owned(), "3600".to_owned()));
        form.push(("uses".to_owned(), "2".to_owned()));
        let given = send(&gate, &asked.id, &cookie, &form).await;
        assert_eq!(given.status, StatusCode::SEE_OTHER, "{}", given.body);
        let used = submit(&gate, &grants::restart()).await;
        assert_eq!(used.status, Status::Approved);

        let page = list(&gate, &alice()).await;
        assert_eq!(ids(&page, "<h2 id=\"grants\""), [asked.id.as_str()]);
        assert!(page.body.contains("once more, until "), "{}", page.body);
        let bobs = list(&gate, &bob()).await;
        assert!(!bobs.body.contains("standing grant"), "{}", bobs.body);
        let form = page.first_form();
        let mut form: Vec<(String, String)> = form.into_iter().collect();
        form.push(("decision".to_owned(), "grant-revoke".to_owned()));
        // The form is Alice's.
        let bobs = SignIn::session(&bob());
        send(&gate, &asked.id, &[("cookie", &bobs)], &form).await;
        assert!(
            list(&gate, &alice())
                .await
                .body
                .contains("<h2 id=\"grants\"")
        );
        let ended = send(&gate, &asked.id, &cookie, &form).await;
        assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.body);
        let page = list(&gate, &alice()).await;
        assert!(!page.body.contains("<h2 id=\"grants\""), "{}", page.body);
        let again = submit(&gate, &grants::restart()).await;
        assert_eq!(again.status, Status::Pending);
    }
}

#[tokio::test]
async fn a_purge_removes_a_request_from_the_lists() {
    let tables = backing_store::tables(azurite().port);
    let settings = [&backing_store::borrowed(&tables)[..], &ON].concat();
    let gate = TestGate::with(&settings).await;
    let asked = submit(&gate, &for_alice()).await;
    vote(&gate, &alice(), &asked.id, "reject").await;
    gate.until_kept(2).await;
    gate.pass(Duration::from_secs(60));
    gate.sweep().await;
    let purge = ["purge", "--older-than", "0", "--delete"];
    let (said, code) = crate::process::run(&backing_store::borrowed(&tables), &purge).await;
    assert_eq!(code, 0, "{said}");
    gate.until_kept(0).await;
    assert!(decided(&gate, &alice()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_over_is_in_the_list_of_the_receiver_alone() {
    let people = "alice@example.com, bob@example.com, carol@example.com";
    for gate in gates(&[("HO_ALLOWED_APPROVERS", people)]).await {
        let asked = submit(&gate, &request()).await;
        assert_eq!(waiting(&gate, &alice()).await, [asked.id.as_str()]);
        assert!(waiting(&gate, &carol()).await.is_empty());
        let session = SignIn::session(&alice());
        let page = visit(&gate, &asked.id, &[("cookie", &session)]).await;
        let mut form = page.form_in("hand-over").expect(&page.body);
        let fields = [
            ("decision", "hand-over"),
            ("hand_over", CAROL),
            ("reason", "Leave"),
        ];
        form.extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let answer = send(&gate, &asked.id, &[("cookie", &session)], &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        assert!(waiting(&gate, &alice()).await.is_empty());
        assert_eq!(waiting(&gate, &carol()).await, [asked.id.as_str()]);
        assert_eq!(waiting(&gate, &bob()).await, [asked.id.as_str()]);
    }
}
