//! An axum server that does nothing: the limit of what HTTP itself allows here.

use axum::Router;
use axum::routing::get;

#[tokio::main]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("url=\"http://{}\"", listener.local_addr().unwrap());
    // As many bytes as the gate's answer about a request has.
    let answer = "x".repeat(900);
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/api/status/{id}", get(async move || answer.clone()));
    axum::serve(listener, router).await.unwrap();
}
