//! An axum server without logic: the limit of HTTP on this machine.

use axum::Router;
use axum::routing::get;

#[tokio::main]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("url=\"http://{}\"", listener.local_addr().unwrap());
    // As long as the gate's response to a status call.
    let answer = "x".repeat(900);
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/api/status/{id}", get(async move || answer.clone()));
    axum::serve(listener, router).await.unwrap();
}
