//! The authorization matrix of the decision page with sign-in on.

use serde_json::Value;

use super::{ALICE_ID, ON, OTHER_TENANT, TENANT_CLAIM, alice, member, send, visit, with_claim};
use crate::harness::{ALICE, TestGate, request};
use crate::host::{PRINCIPAL, SignIn};

/// The status that each caller gets from the decision page with sign-in on. A refusal changes nothing.
const MATRIX: &str = "
caller                           open approve reject
anonymous                        403  403     403
an old link and its code         403  403     403
Alice                            200  303     303
Alice in capitals                200  303     303
Alice from another site          200  403     403
Alice with a bearer token        403  403     403
Carol, who was not asked         404  404     404
a guest                          403  403     403
of another directory             403  403     403
a program                        403  403     403
the person the agent acts for    404  404     404
a header of their own            403  403     403
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authorization_matrix_holds_with_sign_in() {
    let mut cells = 0;
    for line in MATRIX.trim().lines().skip(1) {
        let (name, expected) = line.split_at(33);
        let name = name.trim();
        let dir = tempfile::tempdir().unwrap();
        // Submitted while links were enough, so that the email has one.
        let mut gate = TestGate::at(dir, &[]).await;
        for (route, expected) in ["open", "approve", "reject"]
            .iter()
            .zip(expected.split_whitespace())
        {
            gate = TestGate::at(gate.dir, &[]).await;
            let mut new = request();
            new.on_behalf_of = Some("requester@example.com".to_owned());
            let approval = gate.client.submit(&new).await.unwrap();
            let question = gate.question(&approval, ALICE);
            let token = question.link.split_once("?k=").unwrap().1.to_owned();
            gate = TestGate::at(gate.dir, &ON).await;
            let session = |principal: &Value| vec![("cookie", SignIn::session(principal))];
            let bearer = |principal: &Value| {
                let session = SignIn::session(principal);
                session.split_once('=').unwrap().1.to_owned()
            };
            let mut link = None;
            let mut headers = match name {
                "anonymous" => vec![],
                "an old link and its code" => {
                    link = Some(token);
                    vec![]
                }
                "Alice" => session(&alice()),
                "Alice from another site" => {
                    let mut headers = session(&alice());
                    headers.push(("origin", "https://elsewhere.example.com".to_owned()));
                    headers
                }
                "Alice in capitals" => session(&member("ALICE@EXAMPLE.COM", ALICE_ID)),
                "Alice with a bearer token" => {
                    vec![("authorization", format!("Bearer {}", bearer(&alice())))]
                }
                "Carol, who was not asked" => session(&member("carol@example.com", ALICE_ID)),
                "a guest" => session(&with_claim(alice(), "acct", Some("1"))),
                "of another directory" => {
                    session(&with_claim(alice(), TENANT_CLAIM, Some(OTHER_TENANT)))
                }
                "a program" => session(&with_claim(alice(), "idtyp", Some("app"))),
                "the person the agent acts for" => {
                    session(&member("requester@example.com", ALICE_ID))
                }
                "a header of their own" => vec![(PRINCIPAL, bearer(&alice()))],
                other => panic!("{other}"),
            };
            let cookie = SignIn::session(&alice());
            let alices = visit(&gate, &approval.id, &[("cookie", &cookie)]).await;
            let mut form = alices.first_form();
            form.push(("decision".to_owned(), (*route).to_owned()));
            form.push(("code".to_owned(), question.code));
            form.extend(link.iter().map(|link| ("k".to_owned(), link.clone())));
            let before = gate.entity(&approval.id).await;
            if *route == "open" {
                headers.retain(|(name, _)| *name != "origin");
            }
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let answer = match (*route, &link) {
                ("open", None) => visit(&gate, &approval.id, &headers).await,
                ("open", Some(link)) => {
                    visit(&gate, &format!("{}?k={link}", approval.id), &headers).await
                }
                _ => send(&gate, &approval.id, &headers, &form).await,
            };
            assert_eq!(answer.status.as_str(), expected, "{name}: {route}");
            if answer.status.as_u16() >= 400 {
                assert_eq!(gate.entity(&approval.id).await, before, "{name}: {route}");
            }
            cells += 1;
        }
    }
    assert_eq!(cells, 36);
}
