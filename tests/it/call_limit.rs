//! Every call ends with an answer, and in time, whatever hangs or panics. The clock of the first tests is
//! tokio's, which jumps to the next deadline when nothing else is left to do.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use human_oversight::app::App;
use human_oversight::config::Config;
use human_oversight::http::router;
use human_oversight::values::Timestamp;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{Instant, advance, sleep};

use crate::harness::{TestGate, request};
use crate::owner::FOREIGN_LINK;

/// Behind the host, no call takes longer.
const LONGEST: Duration = Duration::from_secs(110);

/// Every call that the host delivers, at its longest.
fn calls() -> Vec<(&'static str, &'static str, String)> {
    let id = "VXNlck1hbmFnZXJBZ2VudA.an-id";
    let submit = serde_json::to_string(&request()).unwrap();
    let post = |path: &str, body: String| ("POST", path.to_owned(), body);
    let get = |path: String| ("GET", path, String::new());
    let calls = [
        post("/api/submit?wait=100", submit.clone()),
        post("/api/submit", submit),
        get(format!("/api/status/{id}?wait=100")),
        get(format!("/api/status/{id}")),
        get(format!("/api/decision/{id}{FOREIGN_LINK}")),
        post(
            &format!("/api/decision/{id}"),
            "k=x&form=y&decision=approve".to_owned(),
        ),
        post(
            &format!("/api/claim/{id}"),
            json!({"nonce": "0123456789abcdef"}).to_string(),
        ),
        post(
            &format!("/api/outcome/{id}"),
            json!({"status": "Executed"}).to_string(),
        ),
        post(&format!("/api/withdraw/{id}"), String::new()),
        get("/api/keys".to_owned()),
        get("/api/openapi.json".to_owned()),
        post(
            "/api/operate",
            json!({"command": "pause", "because": "test"}).to_string(),
        ),
        post("/api/operate", json!({"command": "executing"}).to_string()),
        post("/sweep", "{}".to_owned()),
        get("/".to_owned()),
    ];
    calls
        .into_iter()
        .map(|(method, path, body)| (method, &*path.leak(), body))
        .collect()
}

/// A gate without a server, called directly.
struct Gate {
    router: TowerToHyperService<axum::Router>,
    _dir: TempDir,
}

impl Gate {
    fn with(settings: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().display().to_string();
        let config = Config::read(|name| {
            let set = settings.iter().find(|(n, _)| *n == name);
            set.map(|(_, value)| value.clone()).or_else(|| match name {
                "FUNCTIONS_CUSTOMHANDLER_PORT" | "HO_LOCAL" => Some("1".to_owned()),
                "HO_SWEEP_SCHEDULE" => Some("0 * * * * *".to_owned()),
                "HO_STORE" => Some(format!("embedded:{home}")),
                "HO_MAIL" => Some(format!("file:{home}/mail")),
                _ => None,
            })
        });
        let clock = || {
            let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap();
            Timestamp::from_unix_millis(since_1970.as_millis().try_into().unwrap()).unwrap()
        };
        let app = App::assemble(config.unwrap(), 1, Arc::new(clock)).unwrap();
        Self {
            router: TowerToHyperService::new(router(Arc::new(app))),
            _dir: dir,
        }
    }

    /// The status of a call, which ends in time.
    async fn call(&self, (method, path, body): &(&str, &str, String)) -> StatusCode {
        let is_form = path.starts_with("/api/decision");
        let kind = if is_form {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        };
        let call = Request::builder()
            .method(*method)
            .uri(*path)
            .header("host", "127.0.0.1:1")
            .header("origin", "http://127.0.0.1:1")
            .header("content-type", kind)
            .body(Body::from(body.clone()));
        let started = Instant::now();
        let answer = self.router.call(call.unwrap()).await.unwrap();
        let time = started.elapsed();
        assert!(time < LONGEST, "{method} {path} took {time:?}");
        answer.status()
    }
}

/// Lets the time of a paused clock run this many times faster. The store's file is written in real time: where a call
/// must end shortly before its limit, a slow disk must not take that time.
fn hurry(times: u64) {
    tokio::spawn(async move {
        loop {
            let pause = || std::thread::sleep(Duration::from_millis(1));
            tokio::task::spawn_blocking(pause).await.unwrap();
            advance(Duration::from_millis(times)).await;
        }
    });
}

/// The address of a server that accepts connections and says nothing.
async fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok(accepted) = listener.accept().await {
            connections.push(accepted);
        }
    });
    address
}

fn tables_at(address: &str) -> [(&'static str, String); 2] {
    let account = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0";
    let connection_string = format!("{account};TableEndpoint=http://{address}/devstoreaccount1");
    [
        ("HO_STORE", "tables".to_owned()),
        ("HO_TABLES_CONNECTION_STRING", connection_string),
    ]
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_limit_when_the_store_hangs() {
    let gate = Gate::with(&tables_at(&silent_server().await));
    for call in calls() {
        let status = gate.call(&call).await;
        let needs_no_store = ["/", "/api/keys", "/api/openapi.json"].contains(&call.1);
        let expected = if needs_no_store {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        assert_eq!(status, expected, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_limit_when_the_store_never_comes_to_an_end() {
    hurry(100);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Each answer is in time, and announces another page.
    let page = async || {
        sleep(Duration::from_secs(5)).await;
        let next = [
            ("content-type", "application/json"),
            ("server", "tables"),
            ("x-ms-request-id", "11111111-2222-3333-4444-555555555555"),
            ("x-ms-version", "2019-07-07"),
            ("x-ms-continuation-nextpartitionkey", "p"),
            ("x-ms-continuation-nextrowkey", "r"),
        ];
        (next, r#"{"odata.metadata": "m", "value": []}"#)
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(page)).await });
    let gate = Gate::with(&tables_at(&address));
    let executing = json!({"command": "executing"}).to_string();
    for call in [
        ("POST", "/sweep", "{}".to_owned()),
        ("POST", "/api/operate", executing),
    ] {
        let status = gate.call(&call).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_limit_when_the_relay_hangs() {
    hurry(20);
    let relay = format!("smtp://{}?tls=none", silent_server().await);
    let gate = Gate::with(&[
        ("HO_MAIL", "smtp".to_owned()),
        ("HO_SMTP_URL", relay),
        ("HO_MAIL_FROM", "gate@example.com".to_owned()),
    ]);
    for call in calls() {
        let status = gate.call(&call).await;
        assert!(!status.is_server_error(), "{call:?} {status}");
    }
}

#[tokio::test]
async fn a_call_that_panics_gets_500_on_every_route_and_the_process_lives() {
    let gate = TestGate::alone().await;
    // The first panic is the handler's, unless it reads no clock; the next ones are outside of it.
    for panics in [1, 2, 3] {
        for (method, path, body) in calls() {
            gate.break_clock(panics);
            let call = gate
                .http
                .request(method.parse().unwrap(), gate.direct(path))
                .header("content-type", "application/json")
                .body(body);
            let status = call.send().await.unwrap().status();
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}");
        }
    }
    gate.break_clock(0);
    gate.ask().await;
}
