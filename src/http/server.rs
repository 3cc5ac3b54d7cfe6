//! The HTTP/1 server, with limits that `axum::serve` does not have.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// The time for the head of a request, and for an idle connection. The host reuses connections that were idle
/// for up to a minute.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const HOST_HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// The maximum size of the head of a request; sign-in adds headers of several kilobytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Accepts connections until `ending`, and returns when the calls of the last one are answered.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    behind_host: bool,
    ending: impl Future<Output = ()>,
) {
    let head_timeout = if behind_host {
        HOST_HEAD_TIMEOUT
    } else {
        HEAD_TIMEOUT
    };
    let connections = GracefulShutdown::new();
    let mut ending = pin!(ending);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ending => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually no file descriptors are left; connections release theirs when they close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        stream.set_nodelay(true).ok();
        let service = TowerToHyperService::new(router.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_header_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        // A client that disconnects is not an error.
        tokio::spawn(connections.watcher().watch(connection));
    }
    drop(listener);
    connections.shutdown().await;
}
