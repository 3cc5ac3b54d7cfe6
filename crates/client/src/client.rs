use std::fmt;
use std::future::Future;
#[cfg(feature = "mock")]
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::Error;
#[cfg(feature = "mock")]
use crate::mock::Mock;
use crate::types::{Approval, Claim, KeySet, NewApproval, Problem, Report, Withdrawal};

/// The gate's HTTP interface, one method a route. Most agents want [`crate::Gate`] instead.
///
/// No method tries twice: what to repeat, and how long, is the caller's to say.
#[derive(Clone)]
pub struct Client(Way);

/// The way to a gate.
#[derive(Clone)]
enum Way {
    Http(Http),
    #[cfg(feature = "mock")]
    Mock(Arc<Mock>),
}

#[derive(Clone)]
struct Http {
    http: reqwest::Client,
    base: Url,
    key: Option<HeaderValue>,
}

/// The longest a status call may wait for news; the gate's own limit.
const LONGEST_WAIT: Duration = Duration::from_secs(100);

/// The longest that an answer is believed when it asks to stay away.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// How long an answer may take beyond the wait that was asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a gate that cannot be reached is tried again, for calls that have no deadline of their
/// own.
pub(crate) const AWAY: Duration = Duration::from_secs(60);

/// No answer of the gate is larger than this.
const LARGEST_ANSWER: usize = 256 * 1024;

impl Client {
    /// A client of the gate at `base`, such as `https://gate.example.com`, with the Functions key
    /// that the host asks for, if it does.
    ///
    /// # Errors
    /// When `base` is no absolute `http` or `https` address, or the key cannot be sent.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self, Error> {
        let invalid =
            || Error::Settings("the gate's address must be an absolute http(s) URL".to_owned());
        let mut base = Url::parse(base).map_err(|_| invalid())?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(invalid());
        }
        if base.query().is_some() || !base.username().is_empty() || base.password().is_some() {
            return Err(Error::Settings(
                "the gate's address must not hold a key: give that as HO_KEY".to_owned(),
            ));
        }
        // `https://host/api` and `https://host/` both mean `https://host`: people paste either.
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/api").unwrap_or(path).to_owned();
        base.set_path(&path);
        let key = key
            .map(str::trim)
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| {
                Error::Settings("the Functions key has characters that no key has".to_owned())
            })?;
        // The one TLS provider of this crate, unless the program has chosen its own already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(4))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!(
                "human-oversight-client/",
                env!("CARGO_PKG_VERSION")
            ))
            .build()
            .map_err(Error::Unreachable)?;
        Ok(Self(Way::Http(Http { http, base, key })))
    }

    #[cfg(feature = "mock")]
    pub(crate) fn mock(mock: Arc<Mock>) -> Self {
        Self(Way::Mock(mock))
    }

    /// `POST /api/submit`: asks for approval. With a correlation id it is safe to repeat.
    pub async fn submit(&self, request: &NewApproval) -> Result<Approval, Error> {
        match &self.0 {
            Way::Http(http) => http.post("submit", None, request).await,
            #[cfg(feature = "mock")]
            Way::Mock(mock) => mock.submit(request),
        }
    }

    /// `GET /api/status/{id}`: how it stands, waiting up to `wait` for a change (whole seconds, at
    /// most 100 s). Also tells how long the gate asks to stay away before the next call.
    pub async fn status(
        &self,
        id: &str,
        wait: Duration,
    ) -> Result<(Approval, Option<Duration>), Error> {
        match &self.0 {
            Way::Http(http) => http.status(id, wait).await,
            #[cfg(feature = "mock")]
            Way::Mock(mock) => Ok((mock.status(id)?, None)),
        }
    }

    /// `POST /api/claim/{id}`: takes an approval, once.
    pub async fn claim(&self, id: &str, claim: &Claim) -> Result<Approval, Error> {
        match &self.0 {
            Way::Http(http) => http.post("claim", Some(id), claim).await,
            #[cfg(feature = "mock")]
            Way::Mock(mock) => mock.claim(id, claim),
        }
    }

    /// `POST /api/outcome/{id}`: reports what became of a claimed approval.
    pub async fn outcome(&self, id: &str, report: &Report) -> Result<Approval, Error> {
        match &self.0 {
            Way::Http(http) => http.post("outcome", Some(id), report).await,
            #[cfg(feature = "mock")]
            Way::Mock(mock) => mock.outcome(id, report),
        }
    }

    /// `POST /api/withdraw/{id}`: takes a pending request back.
    pub async fn withdraw(&self, id: &str, withdrawal: &Withdrawal) -> Result<Approval, Error> {
        match &self.0 {
            Way::Http(http) => http.post("withdraw", Some(id), withdrawal).await,
            #[cfg(feature = "mock")]
            Way::Mock(mock) => mock.withdraw(id),
        }
    }

    /// `GET /api/keys`: the public keys of receipts.
    pub async fn keys(&self) -> Result<KeySet, Error> {
        match &self.0 {
            Way::Http(http) => http.keys().await,
            #[cfg(feature = "mock")]
            Way::Mock(mock) => Ok(mock.keys()),
        }
    }
}

impl Http {
    async fn status(
        &self,
        id: &str,
        wait: Duration,
    ) -> Result<(Approval, Option<Duration>), Error> {
        let wait = wait.min(LONGEST_WAIT);
        let seconds = wait.as_secs();
        let mut url = self.url("status", Some(id));
        if seconds > 0 {
            url.query_pairs_mut()
                .append_pair("wait", &seconds.to_string());
        }
        let request = self.http.request(Method::GET, url).timeout(wait + PATIENCE);
        let response = self.send(request).await?;
        let stay_away = retry_after(&response);
        Ok((answer(response).await?, stay_away))
    }

    async fn keys(&self) -> Result<KeySet, Error> {
        let request = self
            .http
            .request(Method::GET, self.url("keys", None))
            .timeout(PATIENCE);
        answer(self.send(request).await?).await
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
            .timeout(PATIENCE);
        answer(self.send(request.json(body)).await?).await
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
        // The address may carry nothing secret, but an error is no place for it either.
        request
            .send()
            .await
            .map_err(|error| Error::Unreachable(error.without_url()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match &self.0 {
            Way::Http(http) => http.base.as_str(),
            #[cfg(feature = "mock")]
            Way::Mock(_) => "mock",
        };
        f.debug_struct("Client")
            .field("base", &base)
            .finish_non_exhaustive()
    }
}

async fn answer<T: DeserializeOwned>(mut response: Response) -> Result<T, Error> {
    let status = response.status();
    let wait = retry_after(&response);
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Error::Unreachable(error.without_url()))?
    {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Error::Garbled(format!(
                "an answer of more than {} KiB",
                LARGEST_ANSWER / 1_024
            )));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| Error::Garbled(format!("status {status}, {error}")));
    }
    let is_passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    ) || status.is_server_error();
    let passing = is_passing && !needs_somebody(&body);
    if passing {
        return Err(Error::Unavailable {
            status: status.as_u16(),
            retry_after: wait,
        });
    }
    if status == StatusCode::UNAUTHORIZED {
        return Err(Error::Settings(
            "the gate's host does not take the function key: HO_KEY is missing or wrong".to_owned(),
        ));
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(Error::Problem(Box::new(problem))),
        Err(_) => Err(Error::Garbled(format!(
            "status {status} without a problem document"
        ))),
    }
}

/// What no retry mends soon: the stored request contradicts its own proof, or the agent has as many
/// open requests as it may. (The host, too, answers 429, when it is busy.)
fn needs_somebody(body: &[u8]) -> bool {
    let needs = |problem: Problem| {
        problem.kind.ends_with(":integrity") || problem.kind.ends_with(":too-many")
    };
    serde_json::from_slice(body).is_ok_and(needs)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// Repeats a call while the gate is away, for a while. Only for calls that are safe to repeat, which
/// every call of the gate is.
pub(crate) async fn persist<T, Fut>(call: impl Fn() -> Fut) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + AWAY;
    let mut pause = Duration::from_millis(250);
    loop {
        match call().await {
            Err(error) if error.is_passing() => {
                let wait = error.retry_after().unwrap_or(pause);
                if Instant::now() + wait > deadline {
                    return Err(error);
                }
                sleep(wait).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            result => return result,
        }
    }
}
