//! Malformed HTTP, as bytes on a socket.

use crate::edge::raw;
use crate::harness::{TestGate, request};

#[tokio::test]
async fn malformed_http_is_refused_and_smuggles_no_request() {
    let gate = TestGate::alone().await;
    // A smuggled request would be valid, and would be stored.
    let good = serde_json::to_string(&request()).unwrap();
    let length = good.len();
    let json = "Host: localhost\r\nContent-Type: application/json\r\n";
    let inner =
        format!("POST /api/submit HTTP/1.1\r\n{json}Content-Length: {length}\r\n\r\n{good}");
    let keys = |more: &str| {
        format!("GET /api/keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
    };
    let target = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    };
    let submit = |more: &str, body: &str| {
        format!("POST /api/submit HTTP/1.1\r\n{json}Connection: close\r\n{more}\r\n\r\n{body}")
    };
    let sized = |size: &str| submit(&format!("Content-Length: {size}"), &good);
    let chunked = format!("{length:x}\r\n{good}\r\n0\r\n\r\n");
    let coded = |coding: &str| submit(&format!("Transfer-Encoding: {coding}"), &chunked);
    let chunks = |chunks: &str| submit("Transfer-Encoding: chunked", chunks);
    let headers = |count: usize| {
        (0..count)
            .map(|i| format!("X-{i}: y\r\n"))
            .collect::<String>()
    };
    let both = |first: &str, second: &str| {
        format!("POST /api/submit HTTP/1.1\r\n{json}{first}\r\n{second}\r\n\r\n0\r\n\r\n{inner}")
    };
    let (cl, te) = ("Content-Length: 5", "Transfer-Encoding: chunked");
    // Who answers: the gate with a problem document, or hyper while it reads the head.
    const GATE: bool = true;
    const HEAD: bool = false;
    let cases: Vec<(Vec<u8>, u16, bool)> = [
        // The request line.
        (keys("").replace("GET", "get"), 405, GATE),
        (keys("").replace("GET", "TRACE"), 405, GATE),
        (keys("").replace("GET", "G@T"), 400, HEAD),
        (keys("").replace("GET ", "GET  "), 400, HEAD),
        (keys("").replace(' ', "\t"), 400, HEAD),
        (keys("").replace("HTTP/1.1", "HTTP/1.2"), 400, HEAD),
        (keys("").replace("HTTP/1.1", "HTTP/9.9"), 400, HEAD),
        (keys("").replace(" HTTP/1.1", ""), 400, HEAD),
        ("NONSENSE\r\n\r\n".to_owned(), 400, HEAD),
        (
            "CONNECT example.com:443 HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            403,
            GATE,
        ),
        (target("*"), 404, GATE),
        (target("api/keys"), 400, HEAD),
        (target("?x"), 400, HEAD),
        (target("/\u{0}"), 400, HEAD),
        (target("/api/status/\"<>"), 400, HEAD),
        (target("/api/status/é"), 404, GATE),
        (target("/api\\keys"), 404, GATE),
        (target("//api/keys"), 404, GATE),
        (target("/api/./keys"), 404, GATE),
        (target("/api/../api/keys"), 404, GATE),
        (target("/api/%6beys/"), 404, GATE),
        (target("http://elsewhere.example/x"), 403, GATE),
        (target("http://localhost/x"), 404, GATE),
        (target("http://localhost/inbox/../link.keys"), 404, GATE),
        (
            target(&format!("/api/keys?{}", "x".repeat(33_000))),
            431,
            HEAD,
        ),
        // The headers.
        (keys("X: a\r\n b\r\n"), 400, HEAD),
        (keys("X : a\r\n"), 400, HEAD),
        (keys("X\r\n"), 400, HEAD),
        (keys(": a\r\n"), 400, HEAD),
        (keys("X: a\u{0}b\r\n"), 400, HEAD),
        (keys("X: a\rb\r\n"), 400, HEAD),
        (keys("X\u{e9}: a\r\n"), 400, HEAD),
        (keys(&headers(101)), 431, HEAD),
        (keys(&format!("X: {}\r\n", "x".repeat(33_000))), 431, HEAD),
        (
            keys("").replace("localhost", "elsewhere.example"),
            403,
            GATE,
        ),
        (
            keys("").replace("localhost", "localhost@elsewhere.example"),
            403,
            GATE,
        ),
        (
            keys("").replace("localhost", "localhost.elsewhere.example:80"),
            403,
            GATE,
        ),
        // The length of the body.
        (sized("-1"), 400, HEAD),
        (sized(&format!("+{length}")), 400, HEAD),
        (sized("0x10"), 400, HEAD),
        (sized("16.0"), 400, HEAD),
        (sized(""), 400, HEAD),
        (sized("all"), 400, HEAD),
        (sized(&"9".repeat(30)), 400, HEAD),
        (sized(&format!("{length}, {length}")), 400, HEAD),
        (sized(&format!("{length}\r\nContent-Length: 5")), 400, HEAD),
        (sized("9999999999"), 413, GATE),
        (sized("65537"), 413, GATE),
        (sized(&(length - 1).to_string()), 400, GATE),
        (submit("X: no length", &good), 400, GATE),
        (sized("0"), 400, GATE),
        // The chunks.
        (coded("gzip"), 400, HEAD),
        (coded("identity"), 400, HEAD),
        (coded("xchunked"), 400, HEAD),
        (coded("\"chunked\""), 400, HEAD),
        (coded("\u{b}chunked"), 400, HEAD),
        (coded("chunked, gzip"), 400, HEAD),
        (coded("chunked").replace("HTTP/1.1", "HTTP/1.0"), 400, HEAD),
        (
            coded("chunked").replace("Encoding:", "Encoding :"),
            400,
            HEAD,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "-1", 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "0x10", 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "size", 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), &"f".repeat(17), 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "1", 1)),
            400,
            GATE,
        ),
        (chunks(&chunked.replace("\r\n", "\n")), 400, GATE),
        (
            chunks(&chunked.replacen("\r\n", &format!(";{}\r\n", "x".repeat(20_000)), 1)),
            400,
            GATE,
        ),
        (
            chunks(&format!(
                "{length:x}\r\n{good}\r\n0\r\n{}\r\n",
                headers(3_000)
            )),
            400,
            GATE,
        ),
        (
            chunks(&format!("11170\r\n{}\r\n0\r\n\r\n", "x".repeat(70_000))),
            413,
            GATE,
        ),
        // Length and chunks: the chunks count, and the connection is closed after them.
        (both(cl, te), 400, GATE),
        (both(te, cl), 400, GATE),
        // The body.
        (
            submit(
                &format!("Content-Encoding: gzip\r\nContent-Length: {length}"),
                &good,
            )
            .replace("{\"", "\u{1f}\u{8b}"),
            415,
            GATE,
        ),
        (
            submit(
                &format!("Expect: 100-continue\r\nContent-Length: {}", length - 1),
                &good,
            ),
            100,
            GATE,
        ),
    ]
    .into_iter()
    .map(|(text, status, by)| (text.into_bytes(), status, by))
    .chain([
        (
            b"GET /api/status/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            400,
            HEAD,
        ),
        (
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".repeat(9),
            400,
            HEAD,
        ),
        (
            [submit("Content-Length: 4", "{\"a\"").as_bytes()[..].to_vec()].concat(),
            400,
            GATE,
        ),
        (
            submit("Content-Length: 3", "")
                .into_bytes()
                .into_iter()
                .chain(*b"\xff\xfe{")
                .collect(),
            400,
            GATE,
        ),
    ])
    .collect();
    for (bytes, status, by_gate) in &cases {
        let answer = raw(&gate, bytes).await;
        let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        assert!(
            // Unread bytes may reset the connection before the answer arrives.
            answer.starts_with(&format!("HTTP/1.1 {status} "))
                || (answer.is_empty() && *status == 431),
            "{status} for {sent}\n{answer}"
        );
        assert_eq!(
            answer.contains("application/problem+json"),
            *by_gate,
            "{sent}\n{answer}"
        );
        assert!(
            !answer.contains("elsewhere") && !answer.contains("contractor"),
            "{answer}"
        );
    }
    assert!(cases.len() >= 70);
    assert!(gate.stored().await.is_empty(), "nothing is stored");
    assert!(gate.mails().is_empty(), "no email is sent");
    // Unusual but valid requests succeed.
    for odd in [
        keys("X: é\r\n"),
        keys(&headers(90)),
        keys("Accept: image/png\r\n"),
        keys("Range: bytes=0-3\r\n"),
        keys("If-None-Match: *\r\n"),
        keys("Upgrade: h2c\r\n"),
        keys("Expect: nonsense\r\n"),
    ] {
        let answer = raw(&gate, &odd).await;
        assert!(
            answer.contains(" 200 OK\r\n") && answer.ends_with('}'),
            "{odd}\n{answer}"
        );
    }
}
