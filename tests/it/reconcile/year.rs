//! A year of approvals and actions: `HO_PROOF=full` makes 500,000 of each, and prints the time and the memory that it took.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use human_oversight::domain::{Approval, Assurance, Claim, Decider, Proposal, Words};
use human_oversight::keys::LinkKeys;
use human_oversight::keys::keyring;
use human_oversight::keys::receipt::ReceiptKeys;
use human_oversight::store::Store;
use human_oversight::values::{ApprovalId, Digest, Timestamp};
use human_oversight_client::parameters::sha256;
use serde_json::json;

use super::{ACTION, parse};
use crate::process::binary;
use crate::proof::cases;
use crate::store::approval;

/// The time from one request to the next: 500,000 of them are a year.
const EACH: Duration = Duration::from_secs(63);

fn parameters(user: u64) -> serde_json::Value {
    json!({"user_id": user.to_string()})
}

/// An approval that was claimed and whose action the agent reported.
fn executed(number: u64, start: Timestamp, keys: &ReceiptKeys) -> Approval {
    let mut template = approval("Cleaner", "1");
    let requested_at = start + EACH * u32::try_from(number).unwrap();
    template.request.id = ApprovalId::new("Cleaner", &number.to_string()).unwrap();
    template.request.action = ACTION.to_owned();
    template.request.parameters.json = parameters(number).to_string();
    template.request.parameters.digest =
        Digest(sha256(template.request.parameters.json.as_bytes()));
    template.request.requested_at = requested_at;
    template.request.expires_at = requested_at + Duration::from_secs(3_600);
    let mut approval = Approval::new(template.request, template.approvers);
    let at = |seconds| requested_at + Duration::from_secs(seconds);
    let proposal = Proposal {
        by: Decider::Person {
            address: approval.approvers[0].address.clone(),
            assurance: Assurance::Link,
        },
        words: Words::default(),
        at: at(10),
        run_by: Some(at(610)),
    };
    let receipt = keys.sign("https://gate.example.com", &approval, &proposal);
    approval.record_decision(proposal, receipt.unwrap());
    let claim = Claim {
        nonce: "0123456789abcdef".to_owned(),
        permit: None,
    };
    approval.claim(claim, at(20));
    approval.report(Ok(()), at(30)).unwrap();
    approval
}

/// Of each thousand actions one has other parameters, one happened twice, one is missing, and one was never approved.
fn log(count: u64, start: Timestamp) -> String {
    let mut log = String::new();
    for number in 0..count {
        let at = start + EACH * u32::try_from(number).unwrap() + Duration::from_secs(25);
        let mut line = |action: &str, user: u64| {
            let line = json!({"at": at.to_string(), "action": action, "parameters": parameters(user), "id": number});
            writeln!(log, "{line}").unwrap();
        };
        match number % 1_000 {
            1 => line(ACTION, number + count),
            2 => (0..2).for_each(|_| line(ACTION, number)),
            3 => {}
            4 => {
                line(ACTION, number);
                line("Reset Password", number);
            }
            _ => line(ACTION, number),
        }
    }
    log
}

/// The most memory that the process had, in KiB, as the kernel counts it.
fn peak(status: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_actions_is_compared() {
    let count = cases(2_000, 500_000);
    let start = Timestamp::parse("2025-11-01T00:00:00Z").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (link, signing) = (
        keyring::generate_link_key(),
        keyring::generate_receipt_key(),
    );
    let receipt_keys = ReceiptKeys::new(&keyring::parse(&signing).unwrap()).unwrap();
    let link_keys = Arc::new(LinkKeys::new(&keyring::parse(&link).unwrap()).unwrap());
    let store = Store::embedded(dir.path(), usize::MAX, Some(link_keys));
    store.prepare().await.unwrap();
    let all: Vec<u64> = (0..count).collect();
    for some in all.chunks(500) {
        let inserted = some
            .iter()
            .map(|&it| store.insert(executed(it, start, &receipt_keys), None));
        for inserted in join_all(inserted).await {
            inserted.unwrap();
        }
    }
    let actions = super::write(dir.path(), "actions.jsonl", &log(count, start));

    let begun = Instant::now();
    let mut command = binary();
    command.args(["reconcile", "--json", "--actions", &actions]);
    command.env("HO_STORE", format!("embedded:{}", dir.path().display()));
    command.envs([("HO_LINK_KEYS", &link), ("HO_RECEIPT_KEYS", &signing)]);
    command.stdout(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let status = Path::new("/proc")
        .join(child.id().unwrap().to_string())
        .join("status");
    let output = tokio::spawn(child.wait_with_output());
    let mut most = 0;
    while !output.is_finished() {
        most = peak(&status).unwrap_or(most);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = output.await.unwrap().unwrap();
    let (took, mib) = (begun.elapsed().as_secs_f64(), most / 1024);
    eprintln!("{count} approvals and as many actions: {took:.1} s, {mib} MiB at most");

    assert_eq!(output.status.code(), Some(1));
    let (mismatches, counts) = parse(&String::from_utf8(output.stdout).unwrap());
    let each = count / 1_000;
    assert_eq!(mismatches.len() as u64, 4 * each);
    let kinds = [
        "otherParameters",
        "executedTwice",
        "neverExecuted",
        "neverApproved",
    ];
    assert_eq!(kinds.map(|kind| counts[kind].as_u64().unwrap()), [each; 4]);
    assert_eq!(counts["matched"], count - 2 * each);
    assert_eq!(counts["unreadableRows"], 0);
}
