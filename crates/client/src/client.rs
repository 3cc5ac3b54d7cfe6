use std::fmt;
#[cfg(any(feature = "mock", feature = "entra"))]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "entra")]
use azure_core::credentials::TokenCredential;
use human_oversight_protocol::types::{
    Approval, Claim, KeySet, NewApproval, Problem, Report, WAIT_SECONDS, Withdrawal,
};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address;
#[cfg(feature = "entra")]
use crate::entra::{Tokens, credential_of_environment};
use crate::error::Error;
#[cfg(feature = "mock")]
use crate::mock_server::MockServer;
use crate::runtime;

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
    proof: Proof,
    /// The variable that names a proxy for `base`.
    proxy: Option<&'static str>,
}

/// How the agent proves who it is.
#[derive(Clone)]
enum Proof {
    /// Not at all: a gate without the Functions host demands nothing.
    Nothing,
    /// By a Functions key.
    Key(HeaderValue),
    /// By an access token, on routes of its own.
    #[cfg(feature = "entra")]
    Tokens(Tokens),
}

/// The longest wait of a status call.
const MAX_WAIT: Duration = Duration::from_secs(*WAIT_SECONDS.end());

/// The longest `Retry-After` that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(900);

/// The time for a response, in addition to the requested wait.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The time for the keys, which no mail server and no person delays.
const KEYS_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// Whether the address and the key are known to be right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contact {
    /// Neither is: what answers without a problem document is no gate, or does not accept the key.
    First,
    /// A call about a request, which a gate has accepted: what answers otherwise stands before it.
    Later,
}

impl Client {
    /// A client of the gate at `base`, such as `https://gate.example.com`, with the Functions key if the
    /// host demands one.
    ///
    /// # Errors
    /// When `base` is not an absolute `https` address (on this machine, `http` will do), or the key cannot be
    /// sent in a header.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self, Error> {
        Self::with_http(base, key, reqwest::Client::builder())
    }

    /// Like [`Client::new`], with an HTTP client of reqwest 0.13 that the program has begun to build: with a
    /// certificate authority, a client certificate, a proxy or headers of its own. The limits of time are set
    /// here, and redirects are never followed, which would hand the Functions key to another host.
    ///
    /// # Errors
    /// Those of [`Client::new`], and when the HTTP client cannot be built.
    pub fn with_http(
        base: &str,
        key: Option<&str>,
        http: reqwest::ClientBuilder,
    ) -> Result<Self, Error> {
        let key = key.map(str::trim).map(HeaderValue::from_str).transpose();
        let key = key
            .map_err(|_| Error::Settings("the Functions key has invalid characters".to_owned()))?;
        Self::build(base, key.map_or(Proof::Nothing, Proof::Key), http)
    }

    /// A client of the gate at `base` that calls it with access tokens of Microsoft Entra ID in place of a Functions
    /// key. `audience` is the application id URI of the gate's app registration, or its client id. The credential is
    /// one of the crate `azure_identity`, version 1.
    ///
    /// # Errors
    /// Those of [`Client::with_http`].
    #[cfg(feature = "entra")]
    pub fn with_credential(
        base: &str,
        credential: Arc<dyn TokenCredential>,
        audience: &str,
        http: reqwest::ClientBuilder,
    ) -> Result<Self, Error> {
        let tokens = Tokens::new(credential, audience);
        Self::build(base, Proof::Tokens(tokens), http)
    }

    /// The same, with the credential that the environment names.
    #[cfg(feature = "entra")]
    pub(crate) fn with_credential_of_environment(
        base: &str,
        audience: &str,
    ) -> Result<Self, Error> {
        install_crypto();
        let credential = credential_of_environment()?;
        Self::with_credential(base, credential, audience, reqwest::Client::builder())
    }

    #[cfg(not(feature = "entra"))]
    pub(crate) fn with_credential_of_environment(_: &str, _: &str) -> Result<Self, Error> {
        Err(Error::Settings(
            "HO_AUDIENCE needs the feature `entra` of the crate human-oversight-client".to_owned(),
        ))
    }

    fn build(base: &str, proof: Proof, http: reqwest::ClientBuilder) -> Result<Self, Error> {
        let base = address::parse(base)?;
        install_crypto();
        let proxy = address::proxy_variable(&base);
        let mut http = http
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
            .map_err(|error| Error::Settings(format!("no HTTP client can be built: {error}")))?;
        Ok(Self(Transport::Http(Http {
            http,
            base,
            proof,
            proxy,
        })))
    }

    #[cfg(feature = "mock")]
    pub(crate) fn mock(server: Arc<MockServer>) -> Self {
        Self(Transport::Mock(server))
    }

    pub(crate) fn is_mock(&self) -> bool {
        !matches!(&self.0, Transport::Http(_))
    }

    /// The gate's address.
    pub(crate) fn address(&self) -> &str {
        match &self.0 {
            Transport::Http(http) => http.base.as_str(),
            #[cfg(feature = "mock")]
            Transport::Mock(_) => "mock",
        }
    }

    /// `POST /api/submit`: submits a request. Safe to retry only with a correlation id.
    pub async fn submit(&self, request: &NewApproval) -> Result<Approval, Error> {
        match &self.0 {
            Transport::Http(http) => http.submit(request).await,
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
            Transport::Http(http) => http.status(id, wait, Contact::Later).await,
            #[cfg(feature = "mock")]
            Transport::Mock(server) => Ok((server.status(id)?, None)),
        }
    }

    /// The same, before the gate has accepted a request.
    pub(crate) async fn first_status(&self, id: &str) -> Result<Approval, Error> {
        match &self.0 {
            Transport::Http(http) => {
                let answer = http.status(id, Duration::ZERO, Contact::First).await;
                Ok(answer?.0)
            }
            #[cfg(feature = "mock")]
            Transport::Mock(server) => server.status(id),
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
        contact: Contact,
    ) -> Result<(Approval, Option<Duration>), Error> {
        let wait = wait.min(MAX_WAIT);
        let seconds = wait.as_secs();
        let mut url = self.url("status", Some(id));
        if seconds > 0 {
            url.query_pairs_mut()
                .append_pair("wait", &seconds.to_string());
        }
        let request = self.http.request(Method::GET, url);
        let request = request.timeout(wait + RESPONSE_TIMEOUT);
        self.call(request, contact).await
    }

    async fn keys(&self) -> Result<KeySet, Error> {
        let request = self.http.request(Method::GET, self.url("keys", None));
        let request = request.timeout(KEYS_TIMEOUT);
        let response = self.call(request, Contact::First).await;
        Ok(response
            .map_err(|error| self.proof.explain(not_a_gate(error)))?
            .0)
    }

    async fn submit(&self, request: &NewApproval) -> Result<Approval, Error> {
        let response = self.post("submit", None, request).await;
        response.map_err(|error| self.proof.explain(takes_no_keys(error)))
    }

    async fn post<T: DeserializeOwned + Send + 'static>(
        &self,
        function: &str,
        id: Option<&str>,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let request = self
            .http
            .request(Method::POST, self.url(function, id))
            .timeout(RESPONSE_TIMEOUT)
            .json(body);
        let contact = id.map_or(Contact::First, |_| Contact::Later);
        Ok(self.call(request, contact).await?.0)
    }

    /// The response, and its `Retry-After`.
    async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        request: RequestBuilder,
        contact: Contact,
    ) -> Result<(T, Option<Duration>), Error> {
        let Self { proof, proxy, .. } = self.clone();
        runtime::run(async move {
            let response = proof.add_to(request).await?.send().await;
            let response = response.map_err(|source| Error::from_transport(source, proxy))?;
            let retry_after = retry_after(&response);
            let answer = read(response, retry_after, proxy, contact).await;
            Ok((answer.map_err(|error| proof.explain(error))?, retry_after))
        })
        .await
    }

    fn url(&self, function: &str, id: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("checked in new: an http URL has a path")
            .pop_if_empty()
            .push("api")
            // Anyone reads the keys.
            .extend(self.proof.prefix().filter(|_| function != "keys"))
            .push(function)
            .extend(id);
        url
    }
}

impl Proof {
    async fn add_to(&self, request: RequestBuilder) -> Result<RequestBuilder, Error> {
        Ok(match self {
            Self::Nothing => request,
            Self::Key(key) => request.header("x-functions-key", key),
            #[cfg(feature = "entra")]
            Self::Tokens(tokens) => request.bearer_auth(tokens.get().await?),
        })
    }

    /// What the path of an agent's function has before its name.
    fn prefix(&self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "entra")]
            Self::Tokens(_) => Some("agent"),
            _ => None,
        }
    }

    /// The error in the words of this proof.
    fn explain(&self, error: Error) -> Error {
        match (self, error) {
            #[cfg(feature = "entra")]
            (Self::Tokens(_), Error::Settings(_)) => Error::Settings(
                "the gate is not at this address (HO_URL), takes no identity of Entra (its HO_AGENT_IDENTITY), or its \
                 platform does not accept the access token (HO_AUDIENCE)"
                    .to_owned(),
            ),
            (_, error) => error,
        }
    }
}

/// Fails if the program has installed a provider of its own, which is then used.
fn install_crypto() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.address())
            .finish_non_exhaustive()
    }
}

async fn read<T: DeserializeOwned>(
    mut response: Response,
    retry_after: Option<Duration>,
    proxy: Option<&'static str>,
    contact: Contact,
) -> Result<T, Error> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| Error::from_transport(source, proxy))?
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
    Err(refusal(status, retry_after, &body, contact))
}

/// Every gate has the route of the keys, so without it the address is wrong.
fn not_a_gate(error: Error) -> Error {
    match error {
        Error::Problem(problem) if problem.status == StatusCode::NOT_FOUND => no_gate(),
        error => error,
    }
}

/// The routes of a kind of proof are those of a gate that takes it.
fn takes_no_keys(error: Error) -> Error {
    match error {
        Error::Problem(problem) if problem.status == StatusCode::NOT_FOUND => Error::Settings(
            "the gate does not take requests with a function key (404 Not Found): if it takes identities of Entra \
             alone, HO_AUDIENCE must name its app registration, and HO_KEY must not be set"
                .to_owned(),
        ),
        error => error,
    }
}

fn no_gate() -> Error {
    Error::Settings(
        "there is no gate at this address (HO_URL): the answer is 404 Not Found".to_owned(),
    )
}

fn refusal(
    status: StatusCode,
    retry_after: Option<Duration>,
    body: &[u8],
    contact: Contact,
) -> Error {
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
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let is_first = contact == Contact::First;
    match (status, problem) {
        (StatusCode::UNAUTHORIZED, problem) if is_first || problem.is_some() => Error::Settings(
            "the gate's host does not accept the Functions key: HO_KEY is missing or wrong"
                .to_owned(),
        ),
        (StatusCode::NOT_FOUND, None) if is_first => no_gate(),
        (_, Some(problem)) => Error::Problem(Box::new(problem)),
        (StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND, None) => {
            Error::InvalidResponse(format!(
                "status {status} without a problem document: if it lasts, HO_URL, HO_KEY or HO_AUDIENCE is wrong"
            ))
        }
        (_, None) => Error::InvalidResponse(format!("status {status} without a problem document")),
    }
}

/// Whether a retry is futile in spite of the status: the stored request contradicts its receipt, the agent
/// has too many open requests, or a budget of its owner is used up. (A busy host also answers 429, without
/// such a problem.)
fn needs_intervention(body: &[u8]) -> bool {
    let kinds = [":integrity", ":too-many", ":budget"];
    serde_json::from_slice(body)
        .is_ok_and(|problem: Problem| kinds.iter().any(|kind| problem.kind.ends_with(kind)))
}

/// None as well for 0: the pauses of the client keep it from calling without end.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.parse().ok().filter(|&seconds| seconds > 0)?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
