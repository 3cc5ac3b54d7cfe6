//! Requests whose emails bounce: Event Grid delivers reports, repeatedly and to different processes, while the approvers
//! decide and the sweep ends what is over.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use human_oversight::app::App;
use human_oversight::domain::{Approval, DeliveryState, Notice, State};
use human_oversight::keys::message_group;
use human_oversight::store::{StandingKind, StandingRow};
use serde_json::json;

use super::actor::{Actor, Next, REQUESTS, Role, new_actors as new_named_actors};
use super::process::Scene;
use super::{
    Call, Random, Service, Settings, WITHIN, cases, record, record_sums, run_all, run_with, seeds,
    sums,
};
use crate::delivery::report;

/// The actors who decide the first request, and for each request what reports on its emails. The second one is left to
/// the reports, the agents and the deadline.
pub(super) fn new_actors(random: &mut Random) -> Vec<Actor> {
    let mut actors = new_named_actors(random, false);
    let sweep = actors.pop().unwrap();
    actors.retain(|it| it.request() == 0 || !it.is_approver());
    for request in 0..REQUESTS / 2 {
        let first = Next::Bounce(random.below(2));
        actors.push(Actor::new(Role::MailService, request, first, None));
    }
    actors.push(sweep);
    actors
}

/// What follows a report: often another one, also of the same email.
pub(super) fn next(random: &mut Random) -> Next {
    random.of(&[Next::Bounce(0), Next::Bounce(1), Next::Nothing])
}

/// The report on the email of an approver, once it was sent. The emails of the simulation are files, so the gate has not
/// kept to which request they lead.
pub(super) async fn call(gate: &App, row: &Approval, approver: usize) -> Option<Call> {
    let delivery = row.approvers[approver].request_delivery()?;
    if !matches!(
        delivery.state,
        DeliveryState::Sent(_) | DeliveryState::Failed(_)
    ) {
        return None;
    }
    let message =
        gate.link_keys
            .message_id(row, approver, Notice::Request, row.request.requested_at)?;
    let columns = BTreeMap::from([("Request".to_owned(), row.request.id.to_string())]);
    let kept = StandingRow::new(StandingKind::Delivery, &message_group(message), columns);
    gate.store.put_standing(kept, gate.now()).await.ok();
    let address = row.approvers[approver].address.as_str();
    let report = report(&message.to_string(), address, "Bounced");
    Some(Call::post("/api/delivery", &json!([report])))
}

/// Whether the bounce of an approver's email is recorded, and the request not left waiting, in time, without one that
/// arrived.
pub(super) fn holds(row: &Approval, approver: usize) -> bool {
    let failed_at = |it: usize| match row.approvers[it].request_delivery()?.state {
        DeliveryState::Failed(at) => Some(at),
        _ => None,
    };
    let in_time = |it: usize| failed_at(it).is_some_and(|at| at < row.request.expires_at);
    let is_stuck = row.state == State::Pending && (0..row.approvers.len()).all(in_time);
    failed_at(approver).is_some() && !is_stuck
}

fn settings(dir: &Path) -> Settings {
    Settings::with_policy(dir, WITHIN.as_secs(), Scene::Bounces, None)
}

#[test]
fn delivery_reports_stay_true_under_every_fault() {
    let seeds = seeds(cases(40, 5_000));
    let results = run_all(&seeds, settings);
    let ends = sums(&seeds, &results);
    record_sums("simulation-delivery", &ends);
    if seeds.len() > 1 {
        for end in ["Undeliverable", "Executed", "Rejected", "Timeout"] {
            assert!(
                ends.contains_key(end),
                "no request ended as {end}: {ends:?}"
            );
        }
    }
}

#[test]
fn a_gate_that_does_not_store_a_bounce_is_found() {
    let found = (0..100).find(|&seed| {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let run = || run_with(seed, &settings, Service::forget_bounces);
        let panic = catch_unwind(AssertUnwindSafe(run)).err();
        let violation = panic.as_ref().and_then(|it| it.downcast_ref::<String>());
        violation.is_some_and(|it| it.contains("Bounced("))
    });
    let seed = found.expect("no seed finds it");
    record("simulation-delivery-bugs", &[("seeded bugs found", 1)]);
    eprintln!("found by seed {seed}");
}
