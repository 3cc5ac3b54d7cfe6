//! Signing in to storage without a key: as a managed identity, and as the developer who is signed in
//! to the Azure CLI. The real binary, against Azurite over TLS, which checks a token's audience,
//! issuer and times.

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

/// Azurite as the cloud is: tokens over TLS.
struct Cloud {
    azurite: Azurite,
    dir: TempDir,
    certificate: Certificate,
}

impl Cloud {
    fn new() -> Self {
        let certificate = Certificate::make();
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

    /// A gate that has the cloud for its store, and is told this besides.
    async fn gate(&self, settings: &[(&str, &str)]) -> Process {
        let endpoint = format!("https://127.0.0.1:{}/devstoreaccount1", self.azurite.port);
        let keys = (
            keyring::generate_link_key(),
            keyring::generate_receipt_key(),
        );
        let table = fresh_table();
        let of_cloud = [
            ("HO_STORE", "tables"),
            ("HO_TABLES_ENDPOINT", endpoint.as_str()),
            ("HO_TABLE", table.as_str()),
            ("HO_LINK_KEYS", keys.0.as_str()),
            ("HO_RECEIPT_KEYS", keys.1.as_str()),
            ("SSL_CERT_FILE", self.certificate.pem.to_str().unwrap()),
        ];
        Process::start(self.dir.path(), &[&of_cloud, settings].concat()).await
    }

    /// A whole decision, which takes a dozen operations.
    async fn works(&self, gate: &Process) {
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

/// A token that Azurite takes, for so long.
fn token(life: Duration) -> (String, u64) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let expires = now + life.as_secs();
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

/// What gives out tokens that live a day.
fn a_day() -> Option<(String, u64)> {
    Some(token(Duration::from_secs(86_400)))
}

/// App Service's giver of tokens, each with the second it ends; it fails where there is none. What it
/// was asked.
pub(crate) async fn identity_service(
    give: impl Fn() -> Option<(String, u64)> + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    let answer = move |request: Request| {
        let secret = request.headers().get("x-identity-header").cloned();
        let mut seen = seen.lock().unwrap();
        seen.push(format!("{} {secret:?}", request.uri()));
        let answer = match give() {
            Some((token, expires)) => json!({
                "access_token": token, "expires_on": expires.to_string(), "token_type": "Bearer",
                "resource": "the one that was asked for", "client_id": "x",
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
    (url, asked)
}

#[tokio::test]
async fn a_managed_identity_asks_for_one_token_and_keeps_it() {
    let cloud = Cloud::new();
    let (url, asked) = identity_service(a_day).await;
    let gate = cloud
        .gate(&[
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "header-secret"),
            ("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
            ("HO_LOG", "trace"),
        ])
        .await;
    cloud.works(&gate).await;
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("client_id=11111111-2222-3333-4444-555555555555"));
    assert!(asked[0].contains("header-secret"));
    let log = gate.kill().await;
    for secret in ["header-secret", "eyJ", "Bearer", "alice@"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn without_a_client_id_it_is_the_systems_identity_and_no_proxy_is_asked() {
    let cloud = Cloud::new();
    let (url, asked) = identity_service(a_day).await;
    let gate = cloud
        .gate(&[
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "x"),
            ("HTTP_PROXY", "http://127.0.0.1:1"),
        ])
        .await;
    cloud.works(&gate).await;
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(!asked[0].contains("client_id"), "{asked:?}");
}

#[tokio::test]
async fn a_sign_in_that_fails_is_told_in_one_line() {
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
async fn the_azure_cli_is_called_once_for_many_operations() {
    let cloud = Cloud::new();
    let tools = tempfile::tempdir().unwrap();
    let calls = fake_az(tools.path());
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    let gate = cloud.gate(&[("PATH", path.as_str())]).await;
    cloud.works(&gate).await;
    assert_eq!(std::fs::read_to_string(calls).unwrap().lines().count(), 1);
}

/// `az` as far as it gives out tokens; the file that it notes its calls in.
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
async fn a_service_with_a_certificate_that_nobody_vouches_for_gets_no_token() {
    let cloud = Cloud::new();
    let (url, _) = identity_service(a_day).await;
    let other = Certificate::make();
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
