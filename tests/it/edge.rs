//! Rules of every route: unknown paths, methods, content types, aborted calls, host headers.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::deadline::within;
use crate::harness::{ALICE, Log, Page, TestGate, request};
use crate::host::KEY;

#[tokio::test]
async fn the_ping_is_answered() {
    let gate = TestGate::alone().await;
    assert_eq!(gate.get(&gate.url).await.status, StatusCode::OK);
    assert!(gate.stored().await.is_empty(), "no row is stored");
}

#[tokio::test]
async fn an_unknown_path_gets_a_problem_document() {
    let gate = TestGate::alone().await;
    for path in [
        "/x",
        "//",
        "//api/keys",
        "/api/keys//",
        "/api",
        "/api/",
        "/api/status",
        "/api/status/a/b",
        "/API/submit",
        "/api/decisions",
        "/.env",
        "/api/../etc/passwd",
        "/inbox/../link.keys",
        "/inbox/x",
    ] {
        let answer = gate.get(&format!("{}{path}", gate.url)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        answer.problem();
    }
}

/// The Functions host takes it for the same path.
#[tokio::test]
async fn a_slash_behind_a_path_makes_no_difference() {
    let gate = TestGate::alone().await;
    let body = serde_json::to_vec(&request()).unwrap();
    let submitted = gate.post("/api/submit/", body).await;
    assert_eq!(submitted.status, StatusCode::ACCEPTED);
    let id = submitted.json()["id"].as_str().unwrap().to_owned();
    let status = format!("{}/api/status/{id}/?wait=1", gate.url);
    assert_eq!(gate.get(&status).await.json()["status"], "Pending");
    let question = gate.question(&gate.status(&id).await, ALICE);
    let link = question.link.replacen('?', "/?", 1);
    let page = gate.get(&link).await;
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    assert_eq!(
        gate.send_form(&page, &form).await.status,
        StatusCode::SEE_OTHER
    );
    let withdraw = gate.post(&format!("/api/withdraw/{id}/"), "{}").await;
    assert_eq!(withdraw.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    let gate = TestGate::alone().await;
    let approval = gate.ask().await;
    let body = serde_json::to_vec(&request()).unwrap();
    let json = "application/json";
    let claim = format!("/api/claim/{}", approval.id);
    let withdraw = format!("/api/withdraw/{}", approval.id);
    let decision = format!("/api/decision/{}", approval.id);
    let before = gate.stored().await;
    for (path, kind) in [
        ("/api/submit", json),
        (&claim, json),
        (&withdraw, json),
        (&decision, "application/x-www-form-urlencoded"),
    ] {
        for encoding in ["gzip", "br", "deflate", "identity, gzip", "GZIP", "x", ""] {
            let call = gate.http.post(format!("{}{path}", gate.url));
            let call = call
                .header("content-type", kind)
                .header("content-encoding", encoding)
                .header("origin", &gate.url);
            let answer = Page::of(call.body(body.clone()).send().await.unwrap()).await;
            assert_eq!(
                answer.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path} {encoding:?}: {}",
                answer.body
            );
            if kind == json {
                answer.problem();
                assert_eq!(answer.header("accept-encoding"), "identity", "{path}");
            }
        }
    }
    assert_eq!(gate.stored().await, before);
    let call = gate.http.post(format!("{}/api/submit", gate.url));
    let call = call
        .header("content-type", json)
        .header("content-encoding", "Identity");
    let answer = call.body(body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_empty_chunked_body_is_no_body() {
    let gate = TestGate::alone().await;
    let approval = gate.ask().await;
    let path = format!("/api/withdraw/{}", approval.id);
    let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n");
    let key = format!("X-Functions-Key: {KEY}\r\n");
    let answer = raw(
        &gate,
        format!("{head}{key}Connection: close\r\n\r\n0\r\n\r\n"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_id_that_is_no_text_is_not_found() {
    let gate = TestGate::alone().await;
    for path in [
        "/api/status/%ff",
        "/api/status/%ff?wait=1",
        "/api/status/%00",
        "/api/status/YQ.x%00",
    ] {
        let answer = gate.get(&format!("{}{path}", gate.url)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        answer.problem();
    }
    let page = gate
        .get(&format!("{}/api/decision/%ff?k=x", gate.url))
        .await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.body.contains("This link is not valid"));
}

#[tokio::test]
async fn a_refused_method_gets_the_allowed_ones() {
    let gate = TestGate::alone().await;
    for (path, allowed) in [
        ("/api/submit", "POST"),
        ("/api/status/YQ.b", "GET,HEAD"),
        ("/api/decision/YQ.b", "GET,HEAD,POST"),
        ("/api/claim/YQ.b", "POST"),
        ("/api/outcome/YQ.b", "POST"),
        ("/api/withdraw/YQ.b", "POST"),
        ("/api/keys", "GET,HEAD"),
        ("/api/openapi.json", "GET,HEAD"),
        ("/sweep", "POST"),
    ] {
        for method in [Method::DELETE, Method::PUT, Method::PATCH] {
            let request = gate.http.request(method, format!("{}{path}", gate.url));
            let answer = Page::of(request.send().await.unwrap()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(answer.header("allow"), allowed, "{path}");
            answer.problem();
        }
    }
}

#[tokio::test]
async fn a_body_must_be_declared_as_json() {
    let gate = TestGate::alone().await;
    let body = serde_json::to_vec(&request()).unwrap();
    for path in [
        "/api/submit",
        "/api/claim/YQ.b",
        "/api/outcome/YQ.b",
        "/api/withdraw/YQ.b",
    ] {
        for kind in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("json"),
        ] {
            let mut request = gate
                .http
                .post(format!("{}{path}", gate.url))
                .body(body.clone());
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            let answer = Page::of(request.send().await.unwrap()).await;
            assert_eq!(
                answer.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path} {kind:?}"
            );
            answer.problem();
        }
    }
    let latin = b"{\"agentName\": \"\xe9\"}".to_vec();
    assert_eq!(
        gate.post("/api/submit", latin).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn no_refusal_overtakes_the_body() {
    let gate = TestGate::alone().await;
    let address = gate.url.strip_prefix("http://").unwrap();
    for (path, kind, host, status) in [
        ("/api/decision/YQ.b", "multipart/form-data", address, 403),
        ("/api/submit", "text/plain", address, 415),
        ("/api/keys", "application/json", address, 405),
        ("/api/nothing", "application/json", address, 404),
        ("/api/submit", "application/json", "gate.example.com", 403),
    ] {
        for length in [2, 100_000] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            // An answer would come now.
            let early = within(tokio::time::timeout(
                Duration::from_millis(50),
                stream.readable(),
            ));
            assert!(early.await.is_err(), "{path} {length}");
            let rest = format!(
                "{}GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n",
                "x".repeat(length)
            );
            stream.write_all(rest.as_bytes()).await.unwrap();
            let mut answers = String::new();
            within(stream.read_to_string(&mut answers)).await.unwrap();
            let statuses: Vec<_> = answers
                .split("HTTP/1.1 ")
                .skip(1)
                .map(|status| status[..3].parse::<u16>().unwrap())
                .collect();
            assert_eq!(statuses, [status, 200], "{path} {length}");
        }
    }
}

#[tokio::test]
async fn the_invocation_id_is_the_last_header_and_a_uuid() {
    let gate = TestGate::alone().await;
    let invocation_id = async |ids: &[&str]| {
        let mut request = gate.http.get(format!("{}/x", gate.url));
        for id in ids {
            request = request.header("x-azure-functions-invocationid", *id);
        }
        let answer = Page::of(request.send().await.unwrap()).await;
        answer.problem()["invocationId"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (callers, hosts) = (
        "11111111-1111-4111-8111-111111111111",
        "22222222-2222-4222-8222-222222222222",
    );
    assert_eq!(invocation_id(&[callers, hosts]).await, hosts);
    // Under forwarding the host appends its own to the caller's.
    for ids in [format!("{callers}, {hosts}"), format!("<script>,{hosts}")] {
        assert_eq!(invocation_id(&[&ids]).await, hosts);
    }
    for invalid in ["<script>", "x"] {
        let id = invocation_id(&[invalid]).await;
        assert!(id.len() == 36 && id != invalid);
    }
}

#[tokio::test]
async fn a_host_header_that_is_not_loopback_is_refused() {
    let gate = TestGate::alone().await;
    for (host, status) in [
        ("127.0.0.1", 200),
        ("localhost:7071", 200),
        ("[::1]:7071", 200),
        ("rebound.example", 403),
        ("127.0.0.1.rebound.example:7071", 403),
        ("", 403),
    ] {
        let answer = raw(
            &gate,
            &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
        .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{host}: {answer}"
        );
    }
}

#[tokio::test]
async fn in_development_what_came_through_a_tunnel_or_a_proxy_is_refused() {
    let gate = TestGate::alone().await;
    for (headers, status) in [
        // What the real host adds: to a call of this machine, and to one from elsewhere.
        (
            "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: localhost:7071\r\nX-Forwarded-Proto: http",
            200,
        ),
        (
            "X-Forwarded-For: ::ffff:127.0.0.1\r\nX-Forwarded-Host: 127.0.0.1:7071",
            200,
        ),
        ("X-Forwarded-For: ::1\r\nX-Forwarded-Host: [::1]:7071", 200),
        (
            "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: gate.example.com\r\nX-Forwarded-Proto: http",
            403,
        ),
        ("X-Forwarded-For: [::1]:50000", 200),
        ("X-Forwarded-For: 127.0.0.1:50000, 127.0.0.1", 200),
        ("X-Forwarded-For: 198.51.100.7", 403),
        ("X-Forwarded-For: 198.51.100.7, 127.0.0.1", 403),
        ("X-Forwarded-For: 127.0.0.1, 198.51.100.7", 403),
        (
            "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 198.51.100.7",
            403,
        ),
        ("X-Forwarded-For: [::ffff:198.51.100.7]:50000", 403),
        ("X-Forwarded-For: 2001:db8::1", 403),
        ("X-Forwarded-For: unknown", 403),
        ("X-Forwarded-For: ", 403),
        ("X-Forwarded-For: 127.0.0.1,", 403),
        ("X-Forwarded-Host: localhost, gate.example.com", 403),
        (
            "X-Forwarded-Host: localhost\r\nX-Forwarded-Host: gate.example.com",
            403,
        ),
        ("Forwarded: for=127.0.0.1", 403),
        ("Via: 1.1 tunnel", 403),
        ("X-Real-IP: 198.51.100.7", 403),
        ("CF-Connecting-IP: 198.51.100.7", 403),
        ("X-Original-Host: gate.example.com", 403),
        ("X-Forwarded-Proto: https", 403),
        ("X-Forwarded-Proto: http, https", 403),
        ("X-Forwarded-Proto: ", 403),
        ("X-Forwarded-Port: 7071", 403),
        ("X-Forwarded-Scheme: http", 403),
        ("X-Forwarded: for=127.0.0.1", 403),
        ("Forwarded-For: 127.0.0.1", 403),
        ("X-Vercel-Forwarded-For: 198.51.100.7", 403),
        ("X-Azure-ClientIP: 198.51.100.7", 403),
        ("X-Azure-SocketIP: 198.51.100.7", 403),
        ("X-Azure-FDID: x", 403),
        ("X-Azure-Functions-HostVersion: 4.1037.0.0", 200),
        ("X-Client-Port: 1", 403),
        ("X-Remote-Addr: 198.51.100.7", 403),
        ("Fly-Client-IP: 198.51.100.7", 403),
        ("X-ProxyUser-Ip: 198.51.100.7", 403),
        ("X-Envoy-External-Address: 198.51.100.7", 403),
        ("Tailscale-User-Login: x", 403),
        ("Ngrok-Trace-Id: x", 403),
        ("X-Amz-Cf-Id: x", 403),
        ("X-Amzn-Trace-Id: x", 403),
        ("X-Scheme: https", 403),
        ("CDN-Loop: cloudflare", 403),
        ("CF-Visitor: x", 403),
        ("X-Tunnel-Id: x", 403),
        ("X-Original-For: 198.51.100.7", 403),
        ("X-ARR-LOG-ID: 1", 403),
        ("X-ARR-SSL: 1", 403),
        ("DISGUISED-HOST: gate.example.com", 403),
        ("WAS-DEFAULT-HOSTNAME: gate.example.com", 403),
        ("Max-Forwards: 10", 403),
        (
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nRequest-Id: x",
            200,
        ),
        (
            "x-ms-invocation-id: 22222222-2222-4222-8222-222222222222",
            200,
        ),
        ("Host: localhost", 403),
    ] {
        let head =
            format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\nConnection: close\r\n\r\n");
        let answer = raw(&gate, head).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{headers}: {answer}"
        );
    }
    for (head, status) in [
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 403),
        // Proxies speak the older version to what is behind them, by default.
        ("GET / HTTP/1.0\r\n\r\n", 403),
        ("GET / HTTP/1.0\r\nHost: 127.0.0.1:7071\r\n\r\n", 403),
        (
            "GET http://gate.example.com/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            403,
        ),
    ] {
        let answer = raw(&gate, head).await;
        let code = format!(" {status} ");
        assert!(answer[..16].contains(&code), "{head}: {answer}");
    }
}

/// A page in the developer's browser can post to a gate on their machine.
#[tokio::test]
async fn in_development_a_post_of_another_site_does_nothing() {
    let gate = TestGate::alone().await;
    let approval = gate.ask().await;
    let before = gate.stored().await;
    let withdraw = async |headers: &[(&str, &str)]| {
        let url = format!("{}/api/withdraw/{}", gate.url, approval.id);
        let mut request = gate.http.post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status()
    };
    for headers in [
        [("sec-fetch-site", "cross-site")].as_slice(),
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", &gate.url)],
        &[("origin", "https://evil.example")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", "null")],
    ] {
        assert_eq!(
            withdraw(headers).await,
            StatusCode::FORBIDDEN,
            "{headers:?}"
        );
    }
    assert_eq!(gate.stored().await, before);
    let own = [("sec-fetch-site", "same-origin"), ("origin", &gate.url)];
    assert_eq!(withdraw(&own).await, StatusCode::OK);
}

#[tokio::test]
async fn calls_without_a_key_or_a_link_cannot_fill_the_log() {
    let gate = TestGate::alone().await;
    let approval = gate.ask().await;
    let link = gate.question(&approval, ALICE).link;
    gate.begin_minute();
    let log = Log::default();
    let _guard = log.collect();
    for path in [
        "/api/decision/YQ.b?k=x",
        "/x",
        "/api/keys",
        "/api/decision/%ff",
    ] {
        for _ in 0..50 {
            gate.get(&format!("{}{path}", gate.url)).await;
        }
    }
    assert_eq!(log.count("answered"), 60);
    // An approver and an agent are not anonymous, whatever the answer is.
    let wrong = [("decision", "approve"), ("code", "000000"), ("form", "x")];
    let before = log.count("function=\"decision\"");
    gate.get(&link).await;
    let (page, k) = link.split_once("?k=").unwrap();
    let fields = wrong.into_iter().chain([("k", k)]);
    assert_eq!(
        gate.post_form(page, fields).await.status,
        StatusCode::CONFLICT
    );
    // The page, the form, and the page to which it is redirected.
    assert_eq!(log.count("function=\"decision\"") - before, 3);
    gate.get(&format!("{}/api/status/YQ.b", gate.url)).await;
    assert_eq!(log.count("function=\"status\""), 1);
    assert_eq!(log.count("were not logged"), 0);
    gate.pass(Duration::from_secs(60));
    gate.get(&format!("{}/api/keys", gate.url)).await;
    assert_eq!(log.count("omitted=140"), 1);
}

#[tokio::test]
async fn an_aborted_wait_disturbs_no_other_request() {
    let gate = TestGate::alone().await;
    let approval = gate.ask().await;
    for _ in 0..20 {
        let mut stream = connect(&gate).await;
        let request = format!(
            "GET /api/status/{}?wait=100 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            approval.id
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        drop(stream);
    }
    gate.approve(&approval, ALICE).await;
}

pub(crate) async fn connect(gate: &TestGate) -> TcpStream {
    TcpStream::connect(gate.url.trim_start_matches("http://"))
        .await
        .unwrap()
}

/// Sends bytes unchanged and reads the answer to its end.
pub(crate) async fn raw(gate: &TestGate, request: impl AsRef<[u8]>) -> String {
    let mut stream = connect(gate).await;
    stream.write_all(request.as_ref()).await.ok();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_of_two_kinds_or_another_charset_is_refused() {
    let gate = TestGate::alone().await;
    let body = serde_json::to_vec(&request()).unwrap();
    let send = async |kinds: &[&str]| {
        let mut call = gate.http.post(format!("{}/api/submit", gate.url));
        for kind in kinds {
            call = call.header("content-type", *kind);
        }
        Page::of(call.body(body.clone()).send().await.unwrap()).await
    };
    let refused: [&[&str]; 4] = [
        &["application/json", "text/plain"],
        &["application/json", "application/json"],
        &["application/json; charset=utf-16"],
        &["application/json; charset=utf-8; Charset=\"UTF-16\""],
    ];
    for kinds in refused {
        let answer = send(kinds).await;
        assert_eq!(
            answer.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{kinds:?}"
        );
        answer.problem();
    }
    for kind in [
        "application/json;charset=utf-8",
        "Application/JSON; charset=\"UTF-8\"",
        "application/problem+json; profile=x; charset=utf8;",
    ] {
        assert_eq!(send(&[kind]).await.status, StatusCode::ACCEPTED, "{kind}");
    }
}
