//! Access to storage without a key: with a managed identity, and with the account of the Azure CLI. The
//! real binary runs on Azurite over TLS, which checks a token's audience, issuer and times.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight::keys::keyring;
use human_oversight_client::Error;
use human_oversight_client::types::Status;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::azurite::{Azurite, fresh_table};
use crate::certificate::Certificate;
use crate::harness::request;
use crate::process::{Process, decide};

/// Azurite with TLS and access tokens, as in the cloud.
struct Cloud {
    azurite: Azurite,
    dir: TempDir,
    certificate: Certificate,
}

impl Cloud {
    fn new() -> Self {
        let certificate = Certificate::generate();
        let azurite = Azurite::start(&[
            "--cert",
            certificate.pem.to_str().unwrap(),
            "--key",
            certificate.key.to_str().unwrap(),
            "--oauth",
            "basic",
        ]);
        Self {
            azurite,
            dir: tempfile::tempdir().unwrap(),
            certificate,
        }
    }

    /// Starts a gate with Azurite as its store, and with these settings.
    async fn gate(&self, settings: &[(&str, &str)]) -> Process {
        let endpoint = format!("https://127.0.0.1:{}/devstoreaccount1", self.azurite.port);
        let keys = (
            keyring::generate_link_key(),
            keyring::generate_receipt_key(),
        );
        let table = fresh_table();
        let store_settings = [
            ("HO_STORE", "tables"),
            ("HO_TABLES_ENDPOINT", endpoint.as_str()),
            ("HO_TABLE", table.as_str()),
            ("HO_LINK_KEYS", keys.0.as_str()),
            ("HO_RECEIPT_KEYS", keys.1.as_str()),
            ("SSL_CERT_FILE", self.certificate.pem.to_str().unwrap()),
        ];
        Process::start(self.dir.path(), &[&store_settings, settings].concat()).await
    }

    /// Submits a request and decides it: a dozen operations on the store.
    async fn decide_request(&self, gate: &Process) {
        let approval = gate.client().submit(&request()).await.unwrap();
        let form = "decision=approve&code=CODE";
        assert_eq!(
            decide(self.dir.path(), &approval.id, form).await.unwrap(),
            303
        );
        let status = gate.client().status(&approval.id, Duration::ZERO).await;
        assert_eq!(status.unwrap().0.status, Status::Approved);
    }
}

/// A token that Azurite accepts, and when it expires.
fn token(lifetime: Duration) -> (String, u64) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let expires = now + lifetime.as_secs();
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": "https://sts.windows.net/tenant/",
        "iat": now - 60, "nbf": now - 60, "exp": expires,
    });
    let part = |json: String| BASE64URL.encode(json);
    let head = part(json!({"alg": "none", "typ": "JWT"}).to_string());
    (
        format!(
            "{head}.{}.{}",
            part(claims.to_string()),
            part("x".to_owned())
        ),
        expires,
    )
}

/// A token that is valid for one day.
fn day_token() -> Option<(String, u64)> {
    Some(token(Duration::from_secs(86_400)))
}

/// A stand-in for App Service's identity endpoint; `issue` returns a token and its expiry, or `None` for an
/// error. Returns the URL and the requests.
pub(crate) async fn identity_service(
    issue: impl Fn() -> Option<(String, u64)> + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let log_of_requests = requests.clone();
    let answer = move |request: Request| {
        let secret = request.headers().get("x-identity-header").cloned();
        let mut log_of_requests = log_of_requests.lock().unwrap();
        log_of_requests.push(format!("{} {secret:?}", request.uri()));
        let answer = match issue() {
            Some((token, expires)) => json!({
                "access_token": token, "expires_on": expires.to_string(), "token_type": "Bearer",
                "resource": "the one that was requested", "client_id": "x",
            })
            .to_string()
            .into_response(),
            None => {
                let body = "a body with header-secret in it";
                (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
            }
        };
        async move { answer }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/msi/token", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, requests)
}

#[tokio::test]
async fn the_token_of_a_managed_identity_is_requested_once() {
    let cloud = Cloud::new();
    let (url, requests) = identity_service(day_token).await;
    let gate = cloud
        .gate(&[
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "header-secret"),
            ("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
            ("HO_LOG", "trace"),
        ])
        .await;
    cloud.decide_request(&gate).await;
    let requests = requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].contains("client_id=11111111-2222-3333-4444-555555555555"));
    assert!(requests[0].contains("header-secret"));
    let log = gate.kill().await;
    for secret in ["header-secret", "eyJ", "Bearer", "alice@"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn without_a_client_id_the_system_identity_is_used_without_a_proxy() {
    let cloud = Cloud::new();
    let (url, requests) = identity_service(day_token).await;
    let gate = cloud
        .gate(&[
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "x"),
            ("HTTP_PROXY", "http://127.0.0.1:1"),
        ])
        .await;
    cloud.decide_request(&gate).await;
    let requests = requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(!requests[0].contains("client_id"), "{requests:?}");
}

#[tokio::test]
async fn a_failed_sign_in_is_logged_in_one_line() {
    let cloud = Cloud::new();
    let (url, _) = identity_service(|| None).await;
    let gate = cloud
        .gate(&[("IDENTITY_ENDPOINT", &url), ("IDENTITY_HEADER", "x")])
        .await;
    let answer = gate.client().submit(&request()).await;
    assert!(
        matches!(&answer, Err(Error::Unavailable { status: 503, .. })),
        "{answer:?}"
    );
    let log = gate.kill().await;
    assert!(
        log.contains("no access token could be obtained: the identity service answered 500"),
        "{log}"
    );
    assert!(!log.contains("header-secret"), "{log}");
}

#[tokio::test]
async fn the_azure_cli_is_called_once() {
    let cloud = Cloud::new();
    let tools = tempfile::tempdir().unwrap();
    let calls = fake_az(tools.path());
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    let gate = cloud.gate(&[("PATH", path.as_str())]).await;
    cloud.decide_request(&gate).await;
    assert_eq!(std::fs::read_to_string(calls).unwrap().lines().count(), 1);
}

/// A stand-in for `az account get-access-token`; returns the file that logs its calls.
fn fake_az(dir: &Path) -> PathBuf {
    let (az, calls) = (dir.join("az"), dir.join("calls"));
    let (token, expires) = token(Duration::from_secs(3_600));
    let answer = json!({"accessToken": token, "expires_on": expires, "tokenType": "Bearer"});
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\necho '{answer}'\n",
        calls.display()
    );
    std::fs::write(&az, script).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    calls
}

#[tokio::test]
async fn a_service_with_an_untrusted_certificate_gets_no_token() {
    let cloud = Cloud::new();
    let (url, _) = identity_service(day_token).await;
    let other = Certificate::generate();
    let gate = cloud
        .gate(&[
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "x"),
            ("SSL_CERT_FILE", other.pem.to_str().unwrap()),
        ])
        .await;
    assert!(gate.client().submit(&request()).await.is_err());
    let log = gate.kill().await;
    assert!(log.contains("invalid peer certificate"), "{log}");
}
