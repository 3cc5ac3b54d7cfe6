//! Tests of the proxy.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde_json::json;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::{Fault, Message, Proxy};
use crate::azurite::{Table, azurite, fresh_table};
use crate::deadline::within;

/// A proxy in front of a server that echoes the body with the number of requests so far.
async fn start_counting() -> (Proxy, watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (counter, count) = watch::channel(0);
    let answer = async |State(counter): State<watch::Sender<u32>>, body: String| {
        counter.send_modify(|count| *count += 1);
        (
            [("etag", "one"), ("x-other", "two")],
            format!("{body} {}", *counter.borrow()),
        )
    };
    let server = axum::Router::new().fallback(answer).with_state(counter);
    tokio::spawn(async move { axum::serve(listener, server).await });
    (Proxy::start(port).await, count)
}

async fn connect(proxy: &Proxy) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap())
}

async fn send(connection: &mut BufReader<TcpStream>, path: &str) -> io::Result<Message> {
    let request = Message {
        head: format!("POST {path} HTTP/1.1\r\nhost: proxy\r\ncontent-length: 4\r\n"),
        body: b"told".into(),
    };
    request.write(connection).await?;
    Message::read(connection).await
}

fn any(_: &str) -> bool {
    true
}

#[tokio::test]
async fn a_request_without_a_fault_is_forwarded() {
    let proxy = Proxy::start(azurite().port).await;
    let name = fresh_table();
    let table = Table::of(proxy.port, &name);
    table.create().await;
    table
        .put(&json!({"PartitionKey": "p", "RowKey": "r"}))
        .await;
    assert_eq!(table.rows().await[0]["RowKey"], "r");
    let row = format!("/devstoreaccount1/{name}(PartitionKey='p',RowKey='r')");
    let requests = proxy.requests();
    assert_eq!(
        requests[0].split('?').next(),
        Some("POST /devstoreaccount1/Tables")
    );
    assert_eq!(
        requests[1].split('?').next(),
        Some(format!("PUT {row}").as_str())
    );
    assert!(proxy.heads()[1].contains("\r\nauthorization: SharedKeyLite devstoreaccount1:"));
    proxy.clear();
    assert_eq!(proxy.requests(), [""; 0]);
}

#[tokio::test]
async fn a_connection_is_kept_alive() {
    let (proxy, _) = start_counting().await;
    let mut connection = connect(&proxy).await;
    assert_eq!(
        send(&mut connection, "/a?b=c").await.unwrap().body,
        b"told 1"
    );
    assert_eq!(send(&mut connection, "/d").await.unwrap().body, b"told 2");
    assert_eq!(proxy.requests(), ["POST /a?b=c", "POST /d"]);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_forwarding() {
    let (proxy, count) = start_counting().await;
    for (fault, forwarded) in [(Fault::CutBefore, 0), (Fault::CutAfter, 1)] {
        proxy.fault(any, fault);
        let cut = send(&mut connect(&proxy).await, "/").await;
        assert_eq!(cut.err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(*count.borrow(), forwarded);
    }
}

#[tokio::test]
async fn a_response_is_withheld_before_or_after_forwarding() {
    let (proxy, mut count) = start_counting().await;
    let short = Duration::from_millis(50);
    for (fault, forwarded) in [(Fault::Silence, 0), (Fault::SilenceAfter, 1)] {
        proxy.fault(any, fault);
        let mut connection = connect(&proxy).await;
        assert!(timeout(short, send(&mut connection, "/")).await.is_err());
        let count = within(count.wait_for(|count| *count >= forwarded));
        let count = count.await.unwrap();
        assert_eq!(*count, forwarded);
    }
}

#[tokio::test]
async fn a_response_is_replaced_stripped_or_truncated() {
    let (proxy, count) = start_counting().await;
    let mut connection = connect(&proxy).await;
    proxy.fault(
        any,
        Fault::Answer {
            status: 503,
            retry_after: Some(7),
            body: "{}",
        },
    );
    let answer = send(&mut connection, "/").await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 503 "));
    assert_eq!(answer.header("Retry-After"), Some("7"));
    assert_eq!(answer.body, b"{}");
    assert_eq!(*count.borrow(), 0);

    proxy.fault(any, Fault::AnswerAfter { status: 500 });
    let answer = send(&mut connection, "/").await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 500 "));
    assert_eq!(answer.body, b"");
    assert_eq!(*count.borrow(), 1);

    proxy.fault(any, Fault::Without(&["ETag"]));
    let answer = send(&mut connection, "/").await.unwrap();
    assert_eq!(answer.header("etag"), None);
    assert_eq!(answer.header("x-other"), Some("two"));
    assert_eq!(answer.body, b"told 2");

    proxy.fault(any, Fault::Truncate);
    let cut = send(&mut connection, "/").await;
    assert_eq!(cut.err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(*count.borrow(), 3);
}

#[tokio::test]
async fn a_request_is_delayed_or_held() {
    let (proxy, _) = start_counting().await;
    let time = Duration::from_millis(30);
    let start = Instant::now();
    proxy.fault(any, Fault::Delay(time));
    assert_eq!(
        send(&mut connect(&proxy).await, "/").await.unwrap().body,
        b"told 1"
    );
    assert!(start.elapsed() >= time);

    let permits = Arc::new(Semaphore::new(0));
    proxy.fault(
        |request| request == "POST /held",
        Fault::Hold(permits.clone()),
    );
    let mut connection = connect(&proxy).await;
    let held = tokio::spawn(async move { send(&mut connection, "/held").await });
    assert_eq!(
        send(&mut connect(&proxy).await, "/").await.unwrap().body,
        b"told 2"
    );
    permits.add_permits(1);
    assert_eq!(within(held).await.unwrap().unwrap().body, b"told 3");
    assert_eq!(permits.available_permits(), 0);
}

#[tokio::test]
async fn faults_are_queued_for_the_requests_that_match() {
    let (proxy, _) = start_counting().await;
    for status in [500, 503] {
        proxy.fault(
            |request| request.ends_with("/bad"),
            Fault::AnswerAfter { status },
        );
    }
    let mut connection = connect(&proxy).await;
    for (path, status) in [
        ("/", "200"),
        ("/bad", "500"),
        ("/", "200"),
        ("/bad", "503"),
        ("/bad", "200"),
    ] {
        let answer = send(&mut connection, path).await.unwrap();
        assert_eq!(answer.head[9..12], *status);
    }
}

#[tokio::test]
async fn every_connection_is_closed_while_the_proxy_is_down() {
    let (proxy, count) = start_counting().await;
    let mut open = connect(&proxy).await;
    send(&mut open, "/").await.unwrap();
    proxy.down(true);
    assert!(send(&mut open, "/").await.is_err());
    assert!(send(&mut connect(&proxy).await, "/").await.is_err());
    proxy.down(false);
    assert!(send(&mut open, "/").await.is_err());
    send(&mut connect(&proxy).await, "/").await.unwrap();
    assert_eq!(*count.borrow(), 2);
    assert_eq!(proxy.connections(), 3);
}
