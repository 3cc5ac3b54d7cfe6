//! The HTTP interface, one module per function: a handler reads the request, calls its use case in
//! [`app`](crate::app), and responds.

mod agent;
mod body;
mod call_limit;
mod caller;
mod cause;
mod claim;
mod decision;
mod delivery;
mod development;
mod error;
mod extract;
mod fields;
mod forwarding;
mod health;
mod home;
mod inbox;
mod json;
mod keys;
mod listed;
mod log_limit;
mod middleware;
mod openapi;
mod operate;
mod origin;
mod outcome;
mod page;
mod prefer;
mod principal;
mod requests;
mod server;
mod sign_in_page;
mod status;
mod submit;
mod sweep;
mod wire;
mod withdraw;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use tokio::net::TcpListener;

use crate::app::App;

pub use listed::{inspection, listed};
pub use operate::{damaged_pauses, standing_grants};
pub use submit::read_submission;

use error::Error;
use log_limit::LogLimit;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let router = Router::new()
        .route("/", get(home::home))
        .route("/sweep", post(sweep::sweep));
    // A slash behind the path makes no difference, as for the host.
    let router = functions()
        .into_iter()
        .fold(router, |router, (path, call)| {
            let with_slash = format!("{path}/");
            router.route(path, call.clone()).route(&with_slash, call)
        });
    let router = if app.config.production {
        router
    } else {
        router
            .route("/inbox", get(inbox::list))
            .route("/inbox/{name}", get(inbox::email))
            .route("/inbox/{name}/{part}", get(inbox::part))
    };
    router
        .fallback(async || Error::NotFound("there is no such address"))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        // The first is the outermost.
        .layer((
            from_fn_with_state(app.clone(), call_limit::begin),
            from_fn(body::read),
            from_fn_with_state(
                (app.clone(), Arc::new(LogLimit::default())),
                middleware::respond,
            ),
        ))
        .with_state(app)
}

/// The functions with HTTP triggers. Those for agents refuse a kind of identity that the gate does not take.
fn functions() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    let by_key = [
        ("/api/submit", post(submit::submit)),
        ("/api/status/{id}", get(status::status)),
        ("/api/claim/{id}", post(claim::claim)),
        ("/api/outcome/{id}", post(outcome::outcome)),
        ("/api/withdraw/{id}", post(withdraw::withdraw)),
    ];
    let by_identity = [
        ("/api/agent/submit", post(submit::submit)),
        ("/api/agent/status/{id}", get(status::status)),
        ("/api/agent/claim/{id}", post(claim::claim)),
        ("/api/agent/outcome/{id}", post(outcome::outcome)),
        ("/api/agent/withdraw/{id}", post(withdraw::withdraw)),
    ];
    let others = [
        (
            "/api/decision/{id}",
            get(decision::open).post(decision::decide),
        ),
        // A link that was cut before the id.
        ("/api/decision", get(decision::open).post(decision::decide)),
        ("/api/requests", get(requests::list)),
        ("/api/keys", get(keys::keys)),
        ("/api/openapi.json", get(openapi::openapi)),
        ("/api/operate", post(operate::operate)),
        ("/api/delivery", post(delivery::receive)),
        ("/api/health", get(health::health)),
    ];
    by_key
        .into_iter()
        .chain(by_identity)
        .chain(others)
        .collect()
}

/// Serves requests on `listener` until the process ends and all calls are answered.
pub async fn serve(listener: TcpListener, app: Arc<App>) {
    let behind_host = app.config.behind_host;
    let router = router(app.clone());
    server::serve(listener, router, behind_host, app.calls.ending()).await;
}
