//! A machine whose clock differs from that of the table service, as the dates of its answers show.

use reqwest::StatusCode;

use crate::azurite::azurite;
use crate::backing_store;
use crate::claim::claim;
use crate::harness::{ALICE, Log, TestGate};
use crate::proxy::Proxy;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_with_a_wrong_clock_dates_no_decision_and_no_claim() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let gate = TestGate::with(&backing_store::borrowed(&store)).await;
    let (open, approved) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    let question = gate.question(&open, ALICE);
    let page = gate.get(&question.link).await;
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    for ahead in [-301, 301, 86_400] {
        proxy.shift_clock(ahead);
        let answer = gate.send_form(&page, &form).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{ahead}: {}",
            answer.body
        );
        let claimed = gate
            .client
            .claim(&approved.id, &claim("0123456789abcdef"))
            .await;
        let error = claimed.unwrap_err().to_string();
        assert!(
            error.contains("503") || error.contains("not available"),
            "{error}"
        );
        // Reading goes on, and nothing was stored.
        let read = gate.status(&open.id).await;
        assert_eq!(read.status, open.status);
        assert_eq!(gate.status(&approved.id).await.execution, None);
    }
    let log = Log::default();
    {
        // A gate of this thread, which says it once.
        let _collecting = log.collect();
        proxy.shift_clock(-40);
        let gate = TestGate::with(&backing_store::borrowed(&store)).await;
        gate.sweep().await;
        gate.sweep().await;
    }
    let lines = log.lines();
    let said = "the clock of this machine differs from that of the table service ahead_s=4";
    assert_eq!(
        lines.iter().filter(|line| line.contains(said)).count(),
        1,
        "{lines:#?}"
    );
    proxy.shift_clock(-290);
    assert_eq!(
        gate.send_form(&page, &form).await.status,
        StatusCode::SEE_OTHER
    );
    gate.client
        .claim(&approved.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
}
