//! A payments service that pays only what a person approved.
//!
//! It does not call the gate and does not trust the agent: it verifies the receipt and the permit of each
//! payment offline, with the gate's public keys and addresses, which its operator has configured. The receipt
//! says that a person approved; the permit says that the approval was claimed, and so was not revoked.
//!
//! It appends each payment to its journal before it pays. `human-oversight reconcile` compares the journal with what people
//! approved, by the mapping `examples/reconcile/payments.json`.
//!
//! ```sh
//! curl -sS https://gate.example.com/api/keys > keys.json
//! cargo run --example payments_api -- keys.json journal.jsonl
//! ```

#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use human_oversight_client::parameters::Parameters;
use human_oversight_client::permit::{self, Expected};
use human_oversight_client::receipt::{self, Assurance, Run};
use human_oversight_client::types::KeySet;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The agent that may pay, and the description of the action that people approve.
const AGENT: &str = "PaymentsAgent";
const ACTION: &str = "Pay Invoice";

/// From this amount in cents, the link of an email is not enough: the approver must have signed in.
const SIGNED_IN_FROM: u64 = 1_000_000;

/// By how many seconds the clocks of gate and service may differ.
const LEEWAY: u32 = 5;

/// A payment. People approve exactly these members.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    invoice: String,
    payee: String,
    cents: u64,
}

/// What matters later of a line of the journal.
#[derive(Deserialize)]
struct Entry {
    approval: String,
}

struct Service {
    /// The answer of `/api/keys`: keys and issuers.
    gate: KeySet,
    /// The requests whose permits were used: those of the payments in the journal.
    used: Mutex<HashSet<String>>,
    /// What was paid, one JSON object a line. Lines are only appended.
    journal: Mutex<File>,
}

impl Service {
    /// Checks that receipt and permit are for this payment, and marks them as used. Returns the id of the approval.
    fn permit(
        &self,
        payment: &Payment,
        [receipt, permit]: [&str; 2],
        now: i64,
    ) -> Result<String, Refused> {
        let decided = receipt::verify(receipt, &self.gate)?;
        if !self.gate.issuers.contains(&decided.iss) {
            return Err("the receipt is from another gate".into());
        }
        let parameters = Parameters::new(payment)?;
        let run = Run {
            agent: AGENT,
            action: ACTION,
            parameters: &parameters,
        };
        decided.permit(run, now)?;
        if payment.cents >= SIGNED_IN_FROM && decided.assurance != Assurance::Entra {
            return Err("this amount needs an approver who has signed in".into());
        }
        let granted = permit::verify(permit, &self.gate)?;
        let expected = Expected {
            issuers: &self.gate.issuers,
            agent: AGENT,
            id: &decided.sub,
            // The agent made the claim, not this service, which remembers the request instead.
            nonce: &granted.jti,
            claimant: decided.claimant.as_deref(),
            parameters: &parameters,
            receipt,
            leeway: LEEWAY,
        };
        granted.grant(&expected, now)?;
        let mut used = self.used.lock().expect("no panic while it is held");
        if used.insert(granted.sub.clone()) {
            Ok(granted.sub)
        } else {
            Err("this permit was used before".into())
        }
    }
}

impl Service {
    /// Appends a payment to the journal. It is on the disk before the payment is made.
    fn record(&self, payment: &Payment, approval: &str) -> anyhow::Result<()> {
        let paid_at = OffsetDateTime::now_utc().format(&Rfc3339)?;
        let entry =
            json!({"paidAt": paid_at, "kind": "payment", "payment": payment, "approval": approval});
        let mut journal = self.journal.lock().expect("no panic while it is held");
        let length = journal.metadata()?.len();
        let written = journal.write_all(format!("{entry}\n").as_bytes());
        if let Err(error) = written.and_then(|()| journal.sync_data()) {
            // No half of a line is left, to which the next one would be joined.
            journal.set_len(length)?;
            return Err(error.into());
        }
        Ok(())
    }
}

/// The requests of the payments in a journal.
fn used(journal: &mut File) -> anyhow::Result<HashSet<String>> {
    let mut text = String::new();
    journal.read_to_string(&mut text)?;
    let approvals = (1..).zip(text.lines()).map(|(number, line)| {
        let entry: Entry = serde_json::from_str(line).with_context(|| format!("line {number}"))?;
        Ok(entry.approval)
    });
    approvals.collect()
}

type Refused = Box<dyn std::error::Error>;

async fn pay(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Json(payment): Json<Payment>,
) -> (StatusCode, String) {
    let proofs = ["approval-receipt", "approval-permit"].map(|name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    });
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let approval = match service.permit(&payment, proofs, since_1970.as_secs() as i64) {
        Ok(approval) => approval,
        Err(why) => return (StatusCode::FORBIDDEN, why.to_string()),
    };
    if let Err(error) = service.record(&payment, &approval) {
        eprintln!("the journal cannot be written: {error}");
        let why = "the journal cannot be written: nothing was paid";
        return (StatusCode::INTERNAL_SERVER_ERROR, why.to_owned());
    }
    let said = format!("paid {} to {}", payment.cents, payment.payee);
    (StatusCode::OK, said)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: payments_api KEYS.json JOURNAL.jsonl";
    let keys = arguments.next().context(usage)?;
    let journal = arguments.next().context(usage)?;
    let mut journal = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(journal)?;
    let service = Service {
        gate: serde_json::from_slice(&std::fs::read(&keys)?).context("no JWK set")?,
        used: Mutex::new(used(&mut journal).context("the journal cannot be read")?),
        journal: Mutex::new(journal),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("paying at http://{}/payments", listener.local_addr()?);
    let router = axum::Router::new().route("/payments", post(pay));
    Ok(axum::serve(listener, router.with_state(Arc::new(service))).await?)
}
