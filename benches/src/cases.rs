//! What the features cost that a plain approval does not use.

use std::time::Instant;

use tokio::process::Command;

use crate::life::{Connection, request};
use crate::measure::{Programs, Running, Spread, fill};

/// Two of finance must approve a payment.
const QUORUM: &str = r#"
version = 1
[groups]
finance = ["alice@example.com", "bob@example.com"]
[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
"#;

/// CPU milliseconds of an approval: without earlier decisions, with 50 of them, and by two of a policy's group.
pub(crate) struct Cases {
    pub(crate) plain: Spread,
    pub(crate) precedent: Spread,
    pub(crate) quorum: Spread,
}

/// The kinds of approvals take turns, 8 at once, at gates with this number of open requests.
pub(crate) async fn cases(
    programs: &Programs<'_>,
    open: u64,
    (rounds, lives): (usize, usize),
) -> anyhow::Result<Cases> {
    let with_policy = |command: &mut Command| {
        command.env("HO_POLICY", QUORUM);
    };
    let gates = [
        programs.gate().await?,
        programs.gate().await?,
        programs.gate_with(with_policy).await?,
    ];
    for gate in &gates {
        fill(gate.server.port, open, 3_600).await?;
    }
    let mut measured: [Vec<f64>; 3] = Default::default();
    for round in 0..=rounds {
        for (case, (running, measured)) in gates.iter().zip(&mut measured).enumerate() {
            let before = running.server.cpu();
            run(running, case, round, lives).await?;
            let cpu = running.server.cpu() - before;
            // The first round warms all up.
            if round > 0 {
                measured.push(cpu.as_secs_f64() * 1e3 / (8 * lives) as f64);
            }
        }
    }
    let [plain, precedent, quorum] = measured.map(Spread::of);
    Ok(Cases {
        plain,
        precedent,
        quorum,
    })
}

async fn run(running: &Running, case: usize, round: usize, lives: usize) -> anyhow::Result<()> {
    let mut workers = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (kind, port) = (running.kind.clone(), running.server.port);
        workers.spawn(async move {
            let mut http = Connection::open(port).await?;
            for life in 0..lives {
                let (agent, approvers) = match case {
                    0 => (format!("Agent{round}-{n}-{life}"), 1),
                    1 => (format!("Agent{n}"), 1),
                    _ => (format!("Agent{round}-{n}-{life}"), 2),
                };
                let mut request = request(&agent);
                if approvers == 2 {
                    request["actionDescription"] = "Pay supplier invoice".into();
                    let members = request.as_object_mut().expect("it is an object");
                    members.remove("approverEmails");
                }
                let asked = kind.submit_to(&mut http, request, approvers).await?;
                kind.approve(&mut http, &asked).await?;
                kind.claim_and_report(&mut http, &asked).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

/// Milliseconds of the page with 50 earlier decisions, by the number of rows of other agents beside them.
pub(crate) async fn precedents(
    programs: &Programs<'_>,
    sizes: &[u64],
) -> anyhow::Result<Vec<(u64, f64)>> {
    let running = programs.gate().await?;
    let mut http = Connection::open(running.server.port).await?;
    for _ in 0..50 {
        running.kind.live(&mut http, "Agent").await?;
    }
    let asked = running.kind.submit(&mut http, "Agent").await?;
    let mut measured = Vec::new();
    for &rows in sizes {
        let file = running.file()?;
        file.execute(
            "WITH RECURSIVE n(i) AS (SELECT (SELECT count(*) FROM decidedapprovals) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO decidedapprovals SELECT 'A' || i, 'copy', 1, NULL, '{}' FROM n WHERE i < ?1",
            [i64::try_from(rows)?],
        )?;
        let mut took = Vec::new();
        for _ in 0..30 {
            let started = Instant::now();
            http.get(asked.page()).await?;
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
        measured.push((rows, Spread::of(took).median));
    }
    Ok(measured)
}
