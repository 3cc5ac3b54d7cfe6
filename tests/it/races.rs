//! Concurrent calls: one wins.

use futures_util::future::join_all;
use human_oversight_client::Error;
use human_oversight_client::types::Status;
use reqwest::StatusCode;

use crate::claim::claim;
use crate::harness::{ALICE, BOB, TestGate};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_concurrent_decisions_one_wins() {
    let gate = TestGate::start().await;
    for _ in 0..5 {
        let approval = gate.ask().await;
        let (alice, bob) = (
            gate.question(&approval, ALICE),
            gate.question(&approval, BOB),
        );
        let (alices, bobs) = (gate.get(&alice.link).await, gate.get(&bob.link).await);
        let approve = [("decision", "approve"), ("code", alice.code.as_str())];
        let reject = [("decision", "reject")];
        let answers = join_all((0..64).map(|number| match number % 2 {
            0 => gate.send_form(&alices, &approve),
            _ => gate.send_form(&bobs, &reject),
        }))
        .await;
        let decided = gate.status(&approval.id).await;
        let (winners, losers): (Vec<_>, Vec<_>) = answers
            .into_iter()
            .partition(|answer| answer.status == StatusCode::SEE_OTHER);
        // Repetitions of the winning decision get the same answer.
        assert_eq!((winners.len(), losers.len()), (32, 32));
        let who = decided.approver.clone().unwrap();
        assert_eq!(who == ALICE, decided.status == Status::Approved);
        for loser in losers {
            assert_eq!(loser.status, StatusCode::CONFLICT);
            assert!(
                loser.body.contains(&format!("ed by {who} on ")),
                "{}",
                loser.body
            );
        }
        let row = &gate
            .stored()
            .await
            .into_iter()
            .find(|r| approval.id.ends_with(&r.0))
            .unwrap()
            .2;
        let finals = row.matches(r#"\"what\":\"Approved\""#).count()
            + row.matches(r#"\"what\":\"Rejected\""#).count();
        assert_eq!(finals, 1, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_concurrent_claims_one_wins() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let claims = join_all((0..64).map(|number| {
        let nonce = format!("claim-number-{number:03}");
        let (client, id) = (&gate.client, &approval.id);
        async move { client.claim(id, &claim(&nonce)).await }
    }))
    .await;
    let granted = claims.iter().filter(|result| result.is_ok()).count();
    let refused = claims
        .iter()
        .filter(|result| matches!(result, Err(Error::Problem(problem)) if problem.status == 409))
        .count();
    assert_eq!((granted, refused), (1, 63));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_guesses_get_five_attempts() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await;
    let codes: Vec<String> = (0..64)
        .map(|number| format!("{number:06}"))
        .filter(|code| *code != question.code)
        .collect();
    let answers = join_all(codes.iter().map(|code| {
        let (gate, page) = (&gate, &page);
        async move {
            gate.send_form(page, &[("decision", "approve"), ("code", code)])
                .await
        }
    }))
    .await;
    let checked = answers
        .iter()
        .filter(|a| a.body.contains("Wrong code"))
        .count();
    assert_eq!(checked, 5, "five guesses are checked");
    assert!(gate.status(&approval.id).await.notifications[0].locked);
}
