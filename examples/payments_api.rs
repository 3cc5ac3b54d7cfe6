//! A payments service that pays only what a person approved.
//!
//! It does not call the gate and does not trust the agent: it verifies the receipt of each payment offline,
//! with the gate's public keys, which its operator has configured.
//!
//! ```sh
//! curl -sS https://gate.example.com/api/keys > keys.json
//! cargo run --example payments_api -- keys.json https://gate.example.com
//! ```

#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use human_oversight_client::parameters::Parameters;
use human_oversight_client::receipt::{Assurance, Run, verify};
use human_oversight_client::types::KeySet;
use serde::{Deserialize, Serialize};

/// The agent that may pay, and the description of the action that people approve.
const AGENT: &str = "PaymentsAgent";
const ACTION: &str = "Pay Invoice";

/// From this amount in cents, the link of an email is not enough: the approver must have signed in.
const SIGNED_IN_FROM: u64 = 1_000_000;

/// A payment. People approve exactly these members.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    invoice: String,
    payee: String,
    cents: u64,
}

struct Service {
    gate: String,
    keys: KeySet,
    /// The receipts that were used. A real service stores them in the transaction of the payment, until they
    /// lapse.
    used: Mutex<HashSet<String>>,
}

impl Service {
    /// Checks that the receipt permits the payment, and marks it as used.
    fn permit(&self, payment: &Payment, receipt: &str, now: i64) -> Result<(), String> {
        let claims = verify(receipt, &self.keys).map_err(|error| error.to_string())?;
        if claims.iss != self.gate {
            return Err("the receipt is from another gate".to_owned());
        }
        let parameters = Parameters::new(payment).map_err(|error| error.to_string())?;
        let run = Run {
            agent: AGENT,
            action: ACTION,
            parameters: &parameters,
        };
        claims
            .permit(&run, now)
            .map_err(|error| error.to_string())?;
        if payment.cents >= SIGNED_IN_FROM && claims.assurance != Assurance::Entra {
            return Err("this amount needs an approver who has signed in".to_owned());
        }
        let mut used = self.used.lock().expect("no panic while it is held");
        if used.insert(claims.sub) {
            Ok(())
        } else {
            Err("this receipt was used before".to_owned())
        }
    }
}

async fn pay(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Json(payment): Json<Payment>,
) -> (StatusCode, String) {
    let receipt = headers.get("approval-receipt");
    let receipt = receipt
        .and_then(|receipt| receipt.to_str().ok())
        .unwrap_or_default();
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    match service.permit(&payment, receipt, since_1970.as_secs() as i64) {
        Ok(()) => (
            StatusCode::OK,
            format!("paid {} to {}", payment.cents, payment.payee),
        ),
        Err(why) => (StatusCode::FORBIDDEN, why),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: payments_api KEYS.json GATE_URL";
    let keys = arguments.next().context(usage)?;
    let service = Service {
        gate: arguments.next().context(usage)?,
        keys: serde_json::from_slice(&std::fs::read(&keys)?).context("no JWK set")?,
        used: Mutex::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("paying at http://{}/payments", listener.local_addr()?);
    let router = axum::Router::new().route("/payments", post(pay));
    Ok(axum::serve(listener, router.with_state(Arc::new(service))).await?)
}
