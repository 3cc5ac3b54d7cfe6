//! `GET /`, which answers as soon as the gate takes requests. The Functions host waits for it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{page, page_style};
use crate::app::App;
use crate::render;

/// In local development, the page for those who open the gate's address in a browser.
pub(super) async fn home(State(app): State<Arc<App>>) -> Response {
    if app.config.production {
        return "The gate is open for requests.\n".into_response();
    }
    let html = render::render_home(page_style(&app));
    page(StatusCode::OK, "", html)
}
