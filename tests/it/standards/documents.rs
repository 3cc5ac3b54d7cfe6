//! One document of every kind that the gate shows or sends.

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Withdrawal};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::samples::{examples, samples};
use crate::claim::claim;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Mail, Page, Question, TestGate, object, request, with_forms};
use crate::host::SignIn;
use crate::outcome::report;
use crate::requests::list;
use crate::sign_in::{ON, alice, member, send, visit};

/// A page or an email, as its reader's program receives it.
pub(super) struct Document {
    pub(super) name: String,
    pub(super) is_mail: bool,
    pub(super) html: String,
    /// The size of a whole email.
    pub(super) bytes: usize,
}

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 1 }]
summary = ["/amount", "/currency", "/iban"]
"#;

/// All of them. They are made once for all tests.
pub(super) async fn documents() -> &'static [Document] {
    static ALL: OnceCell<Vec<Document>> = OnceCell::const_new();
    ALL.get_or_init(make).await
}

#[derive(Default)]
struct Documents(Vec<Document>);

impl Documents {
    fn add(&mut self, document: Document) {
        let Document { name, html, .. } = &document;
        assert!(html.contains("<html"), "{name}: {html}");
        self.0.push(document);
    }

    fn page(&mut self, name: impl ToString, page: &Page) {
        self.add(Document {
            name: name.to_string(),
            is_mail: false,
            html: page.body.clone(),
            bytes: page.body.len(),
        });
    }

    /// The last email whose name has this word and whose text this part.
    fn mail(&mut self, name: &str, gate: &TestGate, word: &str, part: &str) {
        let mails = gate.mails();
        let is_it = |mail: &&Mail| {
            mail.message_id.contains(&format!(".{word}@")) && mail.text.contains(part)
        };
        let mail = mails
            .iter()
            .rfind(is_it)
            .unwrap_or_else(|| panic!("{name}"));
        self.add(Document {
            name: format!("mail of {name}"),
            is_mail: true,
            html: mail.html.clone(),
            bytes: mail.source.len(),
        });
    }
}

async fn make() -> Vec<Document> {
    let mut all = Documents::default();
    add_samples(&mut all).await;
    add_policy(&mut all).await;
    add_pending(&mut all).await;
    add_changes(&mut all).await;
    add_ended(&mut all).await;
    add_executions(&mut all).await;
    add_grants(&mut all).await;
    add_sign_in(&mut all).await;
    add_local(&mut all).await;
    all.0
}

async fn add_samples(all: &mut Documents) {
    let gate = TestGate::start().await;
    for sample in samples() {
        let approval = gate.client.submit(&sample.request()).await.unwrap();
        let link = gate.question(&approval, ALICE).link;
        all.page(format!("page of {}", sample.name), &gate.get(&link).await);
        all.mail(sample.name, &gate, "question", &approval.id);
    }
    for (name, request) in examples() {
        let approval = gate.client.submit(&request).await.unwrap();
        let link = gate.question(&approval, ALICE).link;
        all.page(format!("example {name}"), &gate.get(&link).await);
    }
}

/// The payment of the samples, where a policy says who must agree and what comes first.
async fn add_policy(all: &mut Documents) {
    let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
    let samples = samples();
    let payment = samples.iter().find(|it| it.name == "payment").unwrap();
    let approval = gate.client.submit(&payment.request()).await.unwrap();
    let link = gate.question(&approval, ALICE).link;
    all.page("payment by policy", &gate.get(&link).await);
    all.mail("payment by policy", &gate, "question", &approval.id);
}

/// A request with this name.
fn named(name: &str) -> NewApproval {
    NewApproval {
        correlation_id: Some(name.to_owned()),
        on_behalf_of: Some("requester@example.com".to_owned()),
        reason: Some("The contract ended.\nSee ticket 12.".to_owned()),
        ..request()
    }
}

async fn ask(gate: &TestGate, name: &str) -> (Approval, Question) {
    let approval = gate.client.submit(&named(name)).await.unwrap();
    let question = gate.question(&approval, ALICE);
    (approval, question)
}

/// Sends a form of the page and follows the redirect, with the cookies, as a browser does.
pub(super) async fn press(gate: &TestGate, link: &str, form: &[(&str, &str)]) -> Page {
    let answer = gate
        .decide(
            &Question {
                link: link.to_owned(),
                code: String::new(),
            },
            form,
        )
        .await;
    let location = answer.header("location");
    if location.is_empty() {
        return answer;
    }
    let cookies = answer.headers.get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies
        .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let url = if location.starts_with('/') {
        format!("{}{location}", gate.url)
    } else {
        location.to_owned()
    };
    let call = gate.http.get(url).header("cookie", cookies.join("; "));
    Page::of(call.send().await.unwrap()).await
}

async fn add_pending(all: &mut Documents) {
    let gate = TestGate::start().await;
    let (asked, question) = ask(&gate, "codes").await;
    let wrong = [
        ("decision", "approve"),
        ("code", "000000"),
        ("comment", "Why?"),
    ];
    all.page("wrong code", &press(&gate, &question.link, &wrong).await);
    let no_code = [("decision", "approve"), ("code", "")];
    all.page("no code", &press(&gate, &question.link, &no_code).await);
    for _ in 0..4 {
        press(&gate, &question.link, &wrong).await;
    }
    all.page("locked link", &gate.get(&question.link).await);
    let other = gate.question(&asked, BOB).link;
    all.page("locked link of another", &gate.get(&other).await);
    let half = &question.link[..question.link.len() - 3];
    all.page("bad link", &gate.get(half).await);
    let (bare, _) = question.link.split_once('?').unwrap();
    all.page("link without its token", &gate.get(bare).await);

    let (reminded, _) = ask(&gate, "reminded").await;
    for (name, word, minutes) in [
        ("reminder", "reminder", 31),
        ("final reminder", "lastreminder", 21),
    ] {
        gate.pass(Duration::from_secs(minutes * 60));
        gate.sweep().await;
        all.mail(name, &gate, word, &reminded.id);
    }

    let (rejected, _) = ask(&gate, "rejected-before").await;
    gate.reject(&rejected, ALICE, "Ask the owner first.\nThen ask again.")
        .await;
    let (_, again) = ask(&gate, "asked-again").await;
    all.page("asked again", &gate.get(&again.link).await);
    all.mail("asked again", &gate, "question", "asked-again");
}

/// An approver asks for changes, and is shown the changed request; and one whose earlier request is gone.
async fn add_changes(all: &mut Documents) {
    let gate = TestGate::embedded().await;
    let asked = |name: &str, parameters: Value, supersedes: Option<&Approval>| NewApproval {
        parameters: object(parameters),
        supersedes: supersedes.map(|it| it.id.clone()),
        ..named(name)
    };
    let lines: String = (1..=700).map(|number| format!("echo {number}\n")).collect();
    let before = json!({
        "user": {"id": 1, "name": "Former Contractor"}, "script": "set -e\nbackup\npurge --all\n", "long": lines,
        "hosts": [{"host": "a", "port": 1}, {"host": "b", "port": 2}, {"host": "c", "port": 3}], "token": "t-1",
    });
    let earlier = asked("asked-for-changes", before.clone(), None);
    let earlier = gate.client.submit(&earlier).await.unwrap();
    let question = gate.question(&earlier, ALICE);
    let mut form = vec![
        ("decision", "approve"),
        ("code", question.code.as_str()),
        ("words", "Not like this."),
        ("revise", "Which user is it?\nOnly the one of ticket 12."),
    ];
    let kept = press(&gate, &question.link, &form).await;
    all.page("question kept", &kept);
    form[0] = ("decision", "reject");
    let page = press(&gate, &question.link, &form).await;
    all.page("asked for changes", &page);
    gate.sweep().await;
    all.mail("asked for changes", &gate, "outcome", "asked-for-changes");

    let mut now = before;
    now["user"]["id"] = json!("2");
    now["script"] = json!("set -e\nbackup --\u{200b}all\npurge\n");
    now["long"] = json!(lines.replace("echo", "print"));
    now["hosts"].as_array_mut().unwrap().truncate(1);
    now["token"] = json!("t-2");
    now["ticket"] = json!({"number": 12, "title": "ticket"});
    let changed = asked("changed", now, Some(&earlier));
    let changed = gate.client.submit(&changed).await.unwrap();
    let link = gate.question(&changed, ALICE).link;
    all.page("changed", &gate.get(&link).await);
    all.mail("changed", &gate, "question", &changed.correlation_id);
    let (rows, _) = gate.store.all(None).await.unwrap();
    let row = rows.iter().find(|row| row.keys.1 == earlier.correlation_id);
    gate.store.delete(row.unwrap()).await.unwrap();
    all.page("changed, without the earlier one", &gate.get(&link).await);
}

async fn add_ended(all: &mut Documents) {
    let gate = TestGate::start().await;
    let (rejected, question) = ask(&gate, "rejected").await;
    gate.reject(&rejected, BOB, "Not before the audit.\nAsk in May.")
        .await;
    all.page("rejected by another", &gate.get(&question.link).await);
    gate.sweep().await;
    all.mail("rejected", &gate, "outcome", "rejected");

    let (rejected, question) = ask(&gate, "own-rejection").await;
    gate.reject(&rejected, ALICE, "").await;
    all.page("rejected", &gate.get(&question.link).await);

    let (withdrawn, question) = ask(&gate, "withdrawn").await;
    gate.client
        .withdraw(&withdrawn.id, &Withdrawal::default())
        .await
        .unwrap();
    all.page("withdrawn", &gate.get(&question.link).await);
    gate.sweep().await;
    all.mail("withdrawn", &gate, "outcome", "withdrawn");

    let (_, question) = ask(&gate, "expired").await;
    gate.pass(Duration::from_secs(3_601));
    gate.sweep().await;
    all.page("expired", &gate.get(&question.link).await);
    all.mail("expired", &gate, "outcome", "expired");
}

/// A standing grant: the offer with what was chosen, and what became of it.
async fn add_grants(all: &mut Documents) {
    let policy = "version = 1\n[[rule]]\nid = \"all\"\neffect = \"require\"\n\
                  stages = [{ from = \"requested\" }]\ngrants = \"8h\"\n";
    let gate = TestGate::with(&[("HO_POLICY", policy)]).await;
    let (_, question) = ask(&gate, "granted").await;
    let link = with_forms(&question.link);
    let approve = |code| {
        [
            ("decision", "approve"),
            ("code", code),
            ("grant", "3600"),
            ("uses", "5"),
        ]
    };
    let wrong = press(&gate, &question.link, &approve("000000")).await;
    all.page("grant chosen, wrong code", &wrong);
    press(&gate, &question.link, &approve(&question.code)).await;
    all.page("grant given", &gate.get(&question.link).await);
    let page = gate.get(&link).await;
    all.page("grant given, with its form", &page);
    let (_, card) = page.body.split_once("id=\"grant\"").unwrap();
    let card = Page {
        body: card.to_owned(),
        ..page
    };
    let end = [
        ("decision", "grant-revoke"),
        ("code", question.code.as_str()),
    ];
    gate.send_form(&card, &end).await;
    all.page("grant ended", &gate.get(&link).await);
}

async fn add_executions(all: &mut Documents) {
    let gate = TestGate::start().await;
    let (approval, question) = ask(&gate, "approved").await;
    gate.approve(&approval, ALICE).await;
    all.page("approved", &gate.get(&question.link).await);
    let other = gate.question(&approval, BOB).link;
    all.page("approved by another", &gate.get(&other).await);
    gate.sweep().await;
    all.mail("approved", &gate, "outcome", "approved");
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
    all.page("running", &gate.get(&question.link).await);
    gate.client
        .outcome(&approval.id, &report(None))
        .await
        .unwrap();
    all.page("done", &gate.get(&question.link).await);

    let (approval, question) = ask(&gate, "failed").await;
    gate.approve(&approval, ALICE).await;
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
    let failed = report(Some("no space left on device"));
    gate.client.outcome(&approval.id, &failed).await.unwrap();
    gate.sweep().await;
    all.page("failed", &gate.get(&question.link).await);

    let (approval, question) = ask(&gate, "revoked").await;
    gate.approve(&approval, ALICE).await;
    let revoke = [("decision", "revoke"), ("code", question.code.as_str())];
    all.page("revoked", &press(&gate, &question.link, &revoke).await);

    let (approval, question) = ask(&gate, "lapsed").await;
    gate.approve(&approval, ALICE).await;
    gate.pass(Duration::from_secs(40 * 86_400));
    gate.sweep().await;
    all.page("lapsed", &gate.get(&question.link).await);
}

async fn add_sign_in(all: &mut Documents) {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let open = async |account: Option<Value>| {
        let session = account.map(|account| SignIn::session(&account));
        let headers: Vec<(&str, &str)> = session.iter().map(|it| ("cookie", it.as_str())).collect();
        visit(&gate, &approval.id, &headers).await
    };
    all.page("sign in", &open(None).await);
    let carol = member("carol@example.com", "3c9e7a10-0000-4000-8000-00000000ca01");
    all.page("refused account", &open(Some(carol)).await);
    all.page("signed in", &open(Some(alice())).await);
    all.mail("sign in", &gate, "question", &approval.id);
    add_lists(all).await;
}

/// Lists of people who have signed in: with requests of all kinds, and without any.
async fn add_lists(all: &mut Documents) {
    let policy = "version = 1\n[[rule]]\nid = \"all\"\neffect = \"require\"\n\
                  stages = [{ from = \"requested\" }]\ngrants = \"8h\"\n";
    let settings = [&ON[..], &[("HO_POLICY", policy)]].concat();
    let gate = TestGate::with(&settings).await;
    all.page("empty list", &list(&gate, &alice()).await);
    for sample in samples() {
        gate.client.submit(&sample.request()).await.unwrap();
    }
    let session = SignIn::session(&alice());
    let session = [("cookie", session.as_str())];
    for (name, verdict) in [("list-rejected", "reject"), ("list-approved", "approve")] {
        let asked = gate.client.submit(&named(name)).await.unwrap();
        let page = visit(&gate, &asked.id, &session).await;
        let mut form = page.first_form();
        for (name, value) in [("decision", verdict), ("grant", "3600"), ("uses", "5")] {
            let is_sent = name == "decision" || verdict == "approve";
            form.extend(is_sent.then(|| (name.to_owned(), value.to_owned())));
        }
        send(&gate, &asked.id, &session, &form).await;
    }
    let page = eventually(async || {
        let page = list(&gate, &alice()).await;
        (page.body.matches("You approved on").count() == 1
            && page.body.matches("You rejected on").count() == 1)
            .then_some(page)
    });
    all.page("list", &page.await);
}

async fn add_local(all: &mut Documents) {
    let gate = TestGate::start().await;
    all.page("home", &gate.get(&gate.direct("/")).await);
    all.page("empty inbox", &gate.get(&gate.direct("/inbox")).await);
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.ask().await;
    all.page("inbox", &gate.get(&gate.direct("/inbox")).await);
    let mails = gate.mails();
    let name = mails[0].message_id.split('@').next().unwrap();
    all.page(
        "email in the inbox",
        &gate.get(&gate.direct(&format!("/inbox/{name}"))).await,
    );
}
