use std::fmt;
#[cfg(feature = "mock")]
use std::sync::Arc;
use std::time::Duration;

use human_oversight_protocol::types::{
    Approval, Claim, KeySet, NewApproval, Problem, Report, Withdrawal,
};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address;
use crate::error::Error;
#[cfg(feature = "mock")]
use crate::mock_server::MockServer;

/// The gate's HTTP interface, one method for each route. Most agents want [`crate::Gate`] instead.
///
/// No method retries; all are safe to retry.
#[derive(Clone)]
pub struct Client(Transport);

#[derive(Clone)]
enum Transport {
    Http(Http),
    #[cfg(feature = "mock")]
    Mock(Arc<MockServer>),
}

#[derive(Clone)]
struct Http {
    http: reqwest::Client,
    base: Url,
    key: Option<HeaderValue>,
    /// The variable that names a proxy for `base`.
    proxy: Option<&'static str>,
}

/// The longest wait of a status call; the gate has the same limit.
const MAX_WAIT: Duration = Duration::from_secs(100);

/// The longest `Retry-After` that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(900);

/// The time for a response, in addition to the requested wait.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

const MAX_RESPONSE_BYTES: usize = 256 * 1024;

impl Client {
    /// A client of the gate at `base`, such as `https://gate.example.com`, with the Functions key if the
    /// host demands one.
    ///
    /// # Errors
    /// When `base` is not an absolute `https` address (on this machine, `http` will do), or the key cannot be
    /// sent in a header.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self, Error> {
        let base = address::parse(base)?;
        let key = key
            .map(str::trim)
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| Error::Settings("the Functions key has invalid characters".to_owned()))?;
        // Fails if the program has installed a provider of its own, which is then used.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let proxy = address::proxy_variable(&base);
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(4))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!(
                "human-oversight-client/",
                env!("CARGO_PKG_VERSION")
            ));
        if address::is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|source| Error::Unreachable { source, proxy })?;
        Ok(Self(Transport::Http(Http {
            http,
            base,
            key,
            proxy,
        })))
    }

    #[cfg(feature = "mock")]
    pub(crate) fn mock(server: Arc<MockServer>) -> Self {
        Self(Transport::Mock(server))
    }

    /// `POST /api/submit`: submits a request. Safe to retry only with a correlation id.
    pub async fn submit(&self, request: &NewApproval) -> Result<Approval, Error> {
        match &self.0 {
            Transport::Http(http) => http.post("submit", None, request).await,
            #[cfg(feature = "mock")]
            Transport::Mock(server) => server.submit(request),
        }
    }

    /// `GET /api/status/{id}`: the request's state, after up to `wait` for a change (whole seconds, at most
    /// 100 s); and `Retry-After`, how long the gate asks to wait before the next call.
    pub async fn status(
        &self,
        id: &str,
        wait: Duration,
    ) -> Result<(Approval, Option<Duration>), Error> {
        match &self.0 {
            Transport::Http(http) => http.status(id, wait).await,
            #[cfg(feature = "mock")]
            Transport::Mock(server) => Ok((server.status(id)?, None)),
        }
    }

    /// `POST /api/claim/{id}`: claims an approval, which is granted once. Only a verified
    /// [`permit`](Approval::permit) in the response proves that it was.
    pub async fn claim(&self, id: &str, claim: &Claim) -> Result<Approval, Error> {
        match &self.0 {
            Transport::Http(http) => http.post("claim", Some(id), claim).await,
            #[cfg(feature = "mock")]
            Transport::Mock(server) => server.claim(id, claim),
        }
    }

    /// `POST /api/outcome/{id}`: reports the outcome of a claimed approval.
    pub async fn outcome(&self, id: &str, report: &Report) -> Result<Approval, Error> {
        match &self.0 {
            Transport::Http(http) => http.post("outcome", Some(id), report).await,
            #[cfg(feature = "mock")]
            Transport::Mock(server) => server.outcome(id, report),
        }
    }

    /// `POST /api/withdraw/{id}`: withdraws a pending request.
    pub async fn withdraw(&self, id: &str, withdrawal: &Withdrawal) -> Result<Approval, Error> {
        match &self.0 {
            Transport::Http(http) => http.post("withdraw", Some(id), withdrawal).await,
            #[cfg(feature = "mock")]
            Transport::Mock(server) => server.withdraw(id),
        }
    }

    /// `GET /api/keys`: the public keys of receipts and permits, and the addresses that sign.
    pub async fn keys(&self) -> Result<KeySet, Error> {
        match &self.0 {
            Transport::Http(http) => http.keys().await,
            #[cfg(feature = "mock")]
            Transport::Mock(server) => Ok(server.keys()),
        }
    }
}

impl Http {
    async fn status(
        &self,
        id: &str,
        wait: Duration,
    ) -> Result<(Approval, Option<Duration>), Error> {
        let wait = wait.min(MAX_WAIT);
        let seconds = wait.as_secs();
        let mut url = self.url("status", Some(id));
        if seconds > 0 {
            url.query_pairs_mut()
                .append_pair("wait", &seconds.to_string());
        }
        let request = self
            .http
            .request(Method::GET, url)
            .timeout(wait + RESPONSE_TIMEOUT);
        let response = self.send(request).await?;
        let retry_after = retry_after(&response);
        Ok((self.read(response).await?, retry_after))
    }

    async fn keys(&self) -> Result<KeySet, Error> {
        let request = self
            .http
            .request(Method::GET, self.url("keys", None))
            .timeout(RESPONSE_TIMEOUT);
        self.read(self.send(request).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        function: &str,
        id: Option<&str>,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let request = self
            .http
            .request(Method::POST, self.url(function, id))
            .timeout(RESPONSE_TIMEOUT);
        self.read(self.send(request.json(body)).await?).await
    }

    fn url(&self, function: &str, id: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("checked in new: an http URL has a path")
            .pop_if_empty()
            .extend(["api", function].into_iter().chain(id));
        url
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Error> {
        let request = match &self.key {
            Some(key) => request.header("x-functions-key", key),
            None => request,
        };
        request
            .send()
            .await
            .map_err(|error| self.unreachable(error))
    }

    async fn read<T: DeserializeOwned>(&self, mut response: Response) -> Result<T, Error> {
        let status = response.status();
        let retry_after = retry_after(&response);
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(error))?
        {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(Error::InvalidResponse(format!(
                    "more than {} KiB",
                    MAX_RESPONSE_BYTES / 1_024
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| Error::InvalidResponse(format!("status {status}, {error}")));
        }
        Err(refusal(status, retry_after, &body))
    }

    /// Without the address, which has no secret, but does not belong into logs either.
    fn unreachable(&self, error: reqwest::Error) -> Error {
        Error::Unreachable {
            source: error.without_url(),
            proxy: self.proxy,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match &self.0 {
            Transport::Http(http) => http.base.as_str(),
            #[cfg(feature = "mock")]
            Transport::Mock(_) => "mock",
        };
        f.debug_struct("Client")
            .field("base", &base)
            .finish_non_exhaustive()
    }
}

fn refusal(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Error {
    let is_transient = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    ) || status.is_server_error();
    if is_transient && !needs_intervention(body) {
        return Error::Unavailable {
            status: status.as_u16(),
            retry_after,
        };
    }
    if status == StatusCode::UNAUTHORIZED {
        return Error::Settings(
            "the gate's host does not accept the Functions key: HO_KEY is missing or wrong"
                .to_owned(),
        );
    }
    match serde_json::from_slice(body) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) => Error::InvalidResponse(format!("status {status} without a problem document")),
    }
}

/// Whether a retry is futile in spite of the status: the stored request contradicts its receipt, the agent
/// has too many open requests, or its budget for emails is used up. (A busy host also answers 429, without
/// such a problem.)
fn needs_intervention(body: &[u8]) -> bool {
    let kinds = [":integrity", ":too-many", ":budget"];
    serde_json::from_slice(body)
        .is_ok_and(|problem: Problem| kinds.iter().any(|kind| problem.kind.ends_with(kind)))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
