//! Sign-in with Microsoft Entra ID: only a signed-in approver decides.

mod groups;
mod matrix;
mod missing_key;
mod step_up;

use std::time::{SystemTime, UNIX_EPOCH};

use human_oversight_client::receipt::{Assurance, verify};
use human_oversight_client::types::{Approval, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{ALICE, BOB, Page, TestGate, request};
use crate::host::{PRINCIPAL, SignIn};

pub(crate) const TENANT: &str = "8a4f1c62-5d3e-4b7a-9c10-2f6e0d8b7a31";
const OTHER_TENANT: &str = "00000000-5d3e-4b7a-9c10-2f6e0d8b7a31";
pub(crate) const ALICE_ID: &str = "3c9e7a10-0000-4000-8000-00000000a11c";
const OBJECT: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const TENANT_CLAIM: &str = "http://schemas.microsoft.com/identity/claims/tenantid";

pub(crate) const ON: [(&str, &str); 3] = [
    ("HO_IDENTITY", "entra"),
    ("HO_ENTRA_TENANT", TENANT),
    ("WEBSITE_AUTH_ENABLED", "True"),
];

/// The principal that the platform sends for a member of the directory, who has signed in just now.
pub(crate) fn member(name: &str, object_id: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let auth_time = now.as_secs().to_string();
    let claims = [
        ("aud", "00000000-0000-4000-8000-0000000000aa"),
        ("auth_time", &auth_time),
        ("name", "A Person"),
        ("preferred_username", name),
        (OBJECT, object_id),
        ("sub", "pJ2mZzv0q1nQx5H8dWlT4c"),
        (TENANT_CLAIM, TENANT),
        ("ver", "2.0"),
    ];
    let claims = claims.map(|(typ, val)| json!({"typ": typ, "val": val}));
    json!({"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"})
}

/// The principal with this value of a claim; `None` removes the claim.
pub(crate) fn with_claim(mut principal: Value, typ: &str, val: Option<&str>) -> Value {
    let claims = principal["claims"].as_array_mut().unwrap();
    claims.retain(|claim| claim["typ"] != typ);
    claims.extend(val.map(|val| json!({"typ": typ, "val": val})));
    principal
}

pub(crate) fn alice() -> Value {
    member(ALICE, ALICE_ID)
}

/// Opens the page with these headers.
pub(crate) async fn visit(gate: &TestGate, id: &str, headers: &[(&str, &str)]) -> Page {
    let mut call = gate.http.get(format!("{}/api/decision/{id}", gate.url));
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    Page::of(call.send().await.unwrap()).await
}

/// Sends a form with these headers, with the gate's origin unless they contain one.
pub(crate) async fn send(
    gate: &TestGate,
    id: &str,
    headers: &[(&str, &str)],
    form: &[(String, String)],
) -> Page {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let mut call = gate
        .http
        .post(format!("{}/api/decision/{id}", gate.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    if headers.iter().all(|(name, _)| *name != "origin") {
        call = call.header("origin", &gate.url);
    }
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    Page::of(call.send().await.unwrap()).await
}

pub(crate) fn approving(page: &Page) -> Vec<(String, String)> {
    let mut form = page.first_form();
    form.push(("decision".to_owned(), "approve".to_owned()));
    form
}

/// Opens the page with these headers, and approves.
pub(crate) async fn visit_and_approve(gate: &TestGate, id: &str, headers: &[(&str, &str)]) -> Page {
    let page = visit(gate, id, headers).await;
    send(gate, id, headers, &approving(&page)).await
}

/// Panics if the page shows anything of the request.
fn assert_shows_nothing(page: &Page, approval: &Approval) {
    for word in [
        approval.action_description.as_str(),
        &approval.agent_name,
        "former-contractor",
        ALICE,
        BOB,
        "<form",
    ] {
        assert!(!page.body.contains(word), "{word}: {}", page.body);
    }
}

#[tokio::test]
async fn a_signed_in_approver_decides_without_a_code() {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let emails = gate.mails();
    let mail = emails.iter().find(|mail| mail.to == ALICE).unwrap();
    assert!(
        mail.text.contains("?k=") && !mail.text.contains("code"),
        "the email has the link, which opens nothing without sign-in, and no code: {}",
        mail.text
    );
    assert!(mail.text.contains("sign in") && mail.html.contains("sign in"));

    let anonymous = visit(&gate, &approval.id, &[]).await;
    assert_eq!(anonymous.status, StatusCode::FORBIDDEN);
    assert_shows_nothing(&anonymous, &approval);
    let login = format!(
        "/.auth/login/aad?post_login_redirect_uri=/api/decision/{}",
        approval.id
    );
    assert!(anonymous.body.contains(&login), "{}", anonymous.body);
    let unknown = visit(&gate, "VXNlck1hbmFnZXJBZ2VudA.unknown", &[]).await;
    assert_eq!(unknown.status, anonymous.status);
    assert_eq!(
        unknown.body.replace("VXNlck1hbmFnZXJBZ2VudA.unknown", ""),
        anonymous.body.replace(&approval.id, ""),
        "the page does not reveal whether the request exists"
    );

    let session = SignIn::session(&alice());
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.body.contains("signed in") && !page.body.contains("name=\"code\""));
    let form = approving(&page);
    assert!(form.iter().all(|(name, _)| name != "k"));
    let ended = send(&gate, &approval.id, &[], &form).await;
    assert_eq!(ended.status, StatusCode::FORBIDDEN, "the session has ended");
    assert_shows_nothing(&ended, &approval);
    let foreign = SignIn::session(&member(BOB, "3c9e7a10-0000-4000-8000-000000000b0b"));
    let foreign = send(&gate, &approval.id, &[("cookie", &foreign)], &form).await;
    assert_eq!(foreign.status, StatusCode::SEE_OTHER, "the form is Alice's");
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);

    let decided = send(&gate, &approval.id, &[("cookie", &session)], &form).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER, "{}", decided.body);
    assert_eq!(
        decided.header("location"),
        format!("/api/decision/{}", approval.id)
    );
    let decided = gate.status(&approval.id).await;
    assert_eq!(decided.status, Status::Approved);
    let keys = gate.client.keys().await.unwrap();
    let claims = verify(&decided.receipt.unwrap(), &keys).unwrap();
    assert_eq!(claims.assurance, Assurance::Entra);
    assert_eq!(claims.approver_object_id.as_deref(), Some(ALICE_ID));
    let row = gate.entity(&approval.id).await;
    assert_eq!(
        (&row["Assurance"], &row["ApproverObjectId"]),
        (&json!("Entra"), &json!(ALICE_ID))
    );
    for forged in [json!("3c9e7a10-0000-4000-8000-000000000b0b"), Value::Null] {
        gate.tamper(&approval.id, None, |row| row["ApproverObjectId"] = forged)
            .await;
        let answer = gate
            .get(&format!("{}/api/status/{}", gate.url, approval.id))
            .await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[tokio::test]
async fn only_a_member_of_the_directory_in_a_browser_decides() {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let session = SignIn::session(&alice());
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    let form = approving(&page);

    let mut provider = alice();
    provider["auth_typ"] = json!("google");
    let mut twice = alice();
    let again = json!({"typ": OBJECT, "val": "3c9e7a10-0000-4000-8000-000000000b0b"});
    twice["claims"].as_array_mut().unwrap().push(again);
    let guest = "alice_example.com#EXT#@contoso.onmicrosoft.com";
    let mut refused: Vec<(&str, Vec<(&str, String)>)> = [
        ("another provider", provider),
        ("two people at once", twice),
        (
            "another directory",
            with_claim(alice(), TENANT_CLAIM, Some(OTHER_TENANT)),
        ),
        ("no directory", with_claim(alice(), TENANT_CLAIM, None)),
        ("no object id", with_claim(alice(), OBJECT, None)),
        ("no GUID", with_claim(alice(), OBJECT, Some("alice"))),
        ("no name", with_claim(alice(), "preferred_username", None)),
        ("a guest by name", with_claim(alice(), "upn", Some(guest))),
        ("a guest by account", with_claim(alice(), "acct", Some("1"))),
        (
            "a guest by home",
            with_claim(alice(), "idp", Some("live.com")),
        ),
        ("a program", with_claim(alice(), "idtyp", Some("app"))),
        (
            "a program by its subject",
            with_claim(alice(), "sub", Some(ALICE_ID)),
        ),
        (
            "a token for a program",
            with_claim(alice(), "scp", Some("user_impersonation")),
        ),
        ("another person", member("carol@example.com", ALICE_ID)),
        (
            "a self-chosen email claim",
            with_claim(member("carol@example.com", ALICE_ID), "email", Some(ALICE)),
        ),
        ("no object", json!("alice@example.com")),
        ("no claims", json!({"auth_typ": "aad"})),
    ]
    .map(|(who, principal)| (who, vec![("cookie", SignIn::session(&principal))]))
    .into();
    let token = session.split_once('=').unwrap().1.to_owned();
    let garbage = "AppServiceAuthSession=%%%".to_owned();
    refused.extend([
        ("anonymous", vec![]),
        ("garbage", vec![("cookie", garbage)]),
        (
            "a bearer token",
            vec![("authorization", format!("Bearer {token}"))],
        ),
        (
            "a session and a token",
            vec![
                ("cookie", session.clone()),
                ("authorization", "Bearer x".to_owned()),
            ],
        ),
        (
            "a program's session",
            vec![("cookie", session.clone()), ("x-zumo-auth", "x".to_owned())],
        ),
        ("a header of their own", vec![(PRINCIPAL, token.clone())]),
    ]);
    for (who, headers) in &refused {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let shown = visit(&gate, &approval.id, &headers).await;
        let sent = send(&gate, &approval.id, &headers, &form).await;
        for page in [shown, sent] {
            assert!(
                matches!(page.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND),
                "{who}: {} {}",
                page.status,
                page.body
            );
            assert!(!page.body.contains("Delete User Account"), "{who}");
            assert!(
                page.body.contains("href=\"/.auth/"),
                "{who}: a link to /.auth/"
            );
        }
        let status = gate.status(&approval.id).await.status;
        assert_eq!(status, Status::Pending, "{who}");
    }
    // Two principal headers reach the handler only past a misconfigured platform.
    let twice = [(PRINCIPAL, token.as_str()), (PRINCIPAL, token.as_str())];
    let mut call = gate
        .http
        .get(gate.direct(&format!("/api/decision/{}", approval.id)));
    for (name, value) in twice {
        call = call.header(name, value);
    }
    assert_eq!(call.send().await.unwrap().status(), StatusCode::FORBIDDEN);

    let decided = send(&gate, &approval.id, &[("cookie", &session)], &form).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER, "Alice still decides");
}

#[tokio::test]
async fn without_platform_sign_in_the_principal_is_ignored() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let session = SignIn::session(&alice());
    let principal = session.split_once('=').unwrap().1;
    for headers in [[(PRINCIPAL, principal)], [("cookie", session.as_str())]] {
        let page = visit(&gate, &approval.id, &headers).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert_shows_nothing(&page, &approval);
        assert!(!page.body.contains("/.auth/"));
    }
}

#[tokio::test]
async fn an_object_id_in_the_list_identifies_the_approver() {
    let allowed = format!("*@example.com,{ALICE}={ALICE_ID}");
    let settings = [&ON[..], &[("HO_ALLOWED_APPROVERS", allowed.as_str())]].concat();
    let gate = TestGate::with(&settings).await;
    let mut new = request();
    new.on_behalf_of = Some("requester@example.com".to_owned());
    let approval = gate.client.submit(&new).await.unwrap();
    let other = "3c9e7a10-0000-4000-8000-000000000b0b";
    for (principal, status) in [
        // Another account that now has Alice's address.
        (member(ALICE, other), StatusCode::NOT_FOUND),
        (
            member("alice.new-name@example.com", ALICE_ID),
            StatusCode::OK,
        ),
        (member("BOB@example.com", other), StatusCode::OK),
        (
            member("requester@example.com", other),
            StatusCode::NOT_FOUND,
        ),
        (member("carol@example.com", other), StatusCode::NOT_FOUND),
    ] {
        let session = SignIn::session(&principal);
        let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
        assert_eq!(page.status, status, "{principal}");
    }
}

#[tokio::test]
async fn what_was_typed_is_kept_when_the_session_ends_for_that_person_alone() {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let session = SignIn::session(&alice());
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    let before = gate.entity(&approval.id).await;
    let mut form = approving(&page);
    form.push(("comment".to_owned(), "Checked with Legal".to_owned()));
    let refused = send(&gate, &approval.id, &[], &form).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("Please sign in"), "{}", refused.body);
    assert!(!refused.body.contains("Legal"), "{}", refused.body);
    assert_eq!(gate.entity(&approval.id).await, before);
    let draft = refused.cookies();
    let open_as = async |principal: Value| {
        let cookies = format!("{}; {draft}", SignIn::session(&principal));
        visit(&gate, &approval.id, &[("cookie", &cookies)]).await
    };
    let bobs = open_as(member(BOB, "3c9e7a10-0000-4000-8000-000000000b0b")).await;
    assert_eq!(bobs.status, StatusCode::OK);
    assert!(!bobs.body.contains("Legal"), "{}", bobs.body);
    let back = open_as(alice()).await;
    for shown in [
        ">Checked with Legal</textarea>",
        "Nothing was recorded: only people who are signed in can decide",
    ] {
        assert!(back.body.contains(shown), "{shown}: {}", back.body);
    }
    // A form that no page of this request had leaves nothing.
    let mut forged = form.clone();
    forged.retain(|(name, _)| name != "form");
    forged.push(("form".to_owned(), "nonsense".to_owned()));
    let refused = send(&gate, &approval.id, &[], &forged).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.cookies(), "");
}

#[tokio::test]
async fn a_signed_in_approver_removed_from_the_list_reads_why_they_cannot_decide() {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let settings = [&ON[..], &[("HO_ALLOWED_APPROVERS", BOB)]].concat();
    let gate = TestGate::at(gate.dir, &settings).await;
    let visit_as = async |principal: Value| {
        let session = SignIn::session(&principal);
        visit(&gate, &approval.id, &[("cookie", &session)]).await
    };
    let page = visit_as(alice()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    for hidden in [&approval.action_description, &approval.agent_name] {
        assert!(!page.body.contains(hidden.as_str()), "{}", page.body);
    }
    let says = "you are no longer on this gate";
    assert!(page.body.contains(says), "{}", page.body);
    assert!(!page.body.contains("/.auth/"), "{}", page.body);
    let page = visit_as(member("mallory@example.com", ALICE_ID)).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let page = visit(&gate, &approval.id, &[]).await;
    assert!(page.body.contains("Please sign in"), "{}", page.body);
}

#[tokio::test]
async fn the_represented_person_cannot_decide_through_another_address() {
    let one = format!("*@example.com,{ALICE}={ALICE_ID}");
    let both = format!("{one},alice.two@example.com={ALICE_ID}");
    let with = |list| [&ON[..], &[("HO_ALLOWED_APPROVERS", list)]].concat();
    let gate = TestGate::with(&with(one.as_str())).await;
    let mut new = request();
    new.approver_emails = vec![ALICE.to_owned()];
    new.on_behalf_of = Some("alice.two@example.com".to_owned());
    let approval = gate.client.submit(&new).await.unwrap();
    let gate = TestGate::at(gate.dir, &with(&both)).await;
    assert!(
        gate.client.submit(&new).await.is_err(),
        "by the list of today"
    );
    let session = SignIn::session(&alice());
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_actions_that_match_the_setting_require_sign_in() {
    let settings = [
        ("HO_REQUIRE_ENTRA_FOR", "Delete *, *production*"),
        ON[1],
        ON[2],
    ];
    let gate = TestGate::with(&settings).await;
    let ask = async |action: &str| {
        let mut new = request();
        action.clone_into(&mut new.action_description);
        gate.client.submit(&new).await.unwrap()
    };
    let session = SignIn::session(&alice());
    for action in [
        "Delete User Account",
        "delete  everything",
        "Restart Production",
        "D\u{435}lete User",
        "D elete User",
        "Delete",
        "Restart pro duction",
    ] {
        let approval = ask(action).await;
        let emails = gate.mails();
        let mail = emails
            .iter()
            .find(|mail| mail.to == ALICE && mail.text.contains(&approval.id));
        assert!(!mail.unwrap().text.contains("code"), "{action}");
        let page = visit(&gate, &approval.id, &[]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{action}");
        let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
        assert_eq!(page.status, StatusCode::OK, "{action}");
    }
    let approval = ask("Send Newsletter").await;
    gate.approve(&approval, ALICE).await;
    let by_link = gate.status(&approval.id).await;
    assert_eq!(by_link.status, Status::Approved);
    // A signed-in approver decides other actions without the code, too.
    let approval = ask("Send Newsletter").await;
    let decided = visit_and_approve(&gate, &approval.id, &[("cookie", &session)]).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER, "{}", decided.body);
}

#[tokio::test]
async fn an_earlier_link_opens_nothing_once_sign_in_is_required() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let old = gate.question(&approval, ALICE);
    let page = gate.get(&old.link).await;
    let mut form = approving(&page);
    form.push(("code".to_owned(), old.code));
    let token = old.link.split_once("?k=").unwrap().1.to_owned();

    let gate = TestGate::at(gate.dir, &ON).await;
    let opened = visit(&gate, &format!("{}?k={token}", approval.id), &[]).await;
    assert_eq!(opened.status, StatusCode::FORBIDDEN);
    assert_shows_nothing(&opened, &approval);
    let sent = send(&gate, &approval.id, &[], &form).await;
    assert_eq!(sent.status, StatusCode::FORBIDDEN);
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
}

#[tokio::test]
async fn the_represented_person_cannot_decide_through_the_link_of_another_approver() {
    let settings = [("HO_REQUIRE_ENTRA_FOR", "Delete *"), ON[1], ON[2]];
    let gate = TestGate::with(&settings).await;
    let mut new = request();
    new.action_description = "Send Newsletter".to_owned();
    new.approver_emails = vec![BOB.to_owned()];
    new.on_behalf_of = Some("alice+agent@example.com".to_owned());
    let approval = gate.client.submit(&new).await.unwrap();
    let link = gate.question(&approval, BOB).link;
    let session = SignIn::session(&alice());
    let with_link = format!("{}?{}", approval.id, link.split_once('?').unwrap().1);
    let as_alice = visit(&gate, &with_link, &[("cookie", &session)]).await;
    assert_eq!(as_alice.status, StatusCode::NOT_FOUND);
    let anonymous = visit(&gate, &with_link, &[]).await;
    assert_eq!(anonymous.status, StatusCode::OK, "the link is Bob's");
}
