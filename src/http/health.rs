//! `GET /api/health`: the gate and what it depends on, for monitors and operators. Whether it is up at all is `GET /`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::agent::Key;
use super::cause::Cause;
use super::wire;
use crate::app::{App, Grade, Health, SweepRecord};
use crate::version::VERSION;

pub(super) async fn health(State(app): State<Arc<App>>, Key(_): Key) -> Response {
    let health = app.health().await;
    let status = match health.grade() {
        Grade::Ok | Grade::Warning => StatusCode::OK,
        Grade::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, wire::json(&body(&health))).into_response();
    if status != StatusCode::OK {
        Cause::add(&mut response, health.failures());
    }
    response
}

fn body(health: &Health) -> Value {
    let checks = health.checks.iter();
    let checks: Map<String, Value> = checks
        .map(|(name, finding)| {
            let found = json!({"status": finding.grade.word(), "detail": finding.detail});
            ((*name).to_owned(), found)
        })
        .collect();
    json!({
        "status": health.grade().word(),
        "version": *VERSION,
        "at": health.at.to_string(),
        "checks": checks,
        "lastSweep": health.last_sweep.as_ref().map(last_sweep),
        "nextSweep": health.next_sweep.map(|at| at.to_string()),
    })
}

fn last_sweep(record: &SweepRecord) -> Value {
    let report = record.report;
    json!({
        "ended": record.ended_at.to_string(),
        "completed": record.completed_at.map(|at| at.to_string()),
        "processed": report.processed,
        "sent": report.sent,
        "unsent": report.unsent,
        "failed": report.failed,
        "setAside": report.set_aside,
        "complete": report.complete,
    })
}
