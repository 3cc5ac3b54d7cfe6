//! The HTTP interface: one module for each function, and what they share.

mod caller;
mod claim;
mod decision;
mod edge;
mod error;
mod inbox;
mod json;
mod keys;
mod notify;
mod openapi;
mod outcome;
mod page;
mod status;
mod submit;
mod sweep;
mod wait;
mod wire;
mod withdraw;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::routing::{get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tracing::Instrument;

use crate::approval::Approval;
use crate::config::{Config, ConfigError};
use crate::id::ApprovalId;
use crate::keyring::{self, NamedKey};
use crate::mailer::Mailer;
use crate::receipt::ReceiptKeys;
use crate::store::{Store, StoreError, Versioned};
use crate::timestamp::{Clock, Timestamp};
use crate::token::LinkKeys;

use error::Error;
use wait::Waits;

/// Everything the functions need.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The public address, without a slash at the end.
    pub base_url: String,
    /// Where approvals are kept.
    pub store: Store,
    /// How approvers are told.
    pub mailer: Mailer,
    /// What links and codes are derived from.
    pub link_keys: Arc<LinkKeys>,
    /// What receipts are signed with.
    pub receipt_keys: ReceiptKeys,
    /// What time it is.
    pub clock: Clock,
    /// Who waits for news.
    pub waits: Arc<Waits>,
}

/// How long a client may take over the head of a request, and a connection may idle. The host keeps
/// idle connections for a minute, and must not find them closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const HOST_HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// The largest head; sign-in adds headers of several kilobytes.
const HEAD_LIMIT: usize = 32 * 1024;

/// A write that somebody else overtook is judged again so many times.
const TRIES: u32 = 7;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let router = Router::new()
        .route("/", get(async || "The gate is open for requests.\n"))
        .route("/api/submit", post(submit::submit))
        .route("/api/status/{id}", get(status::status))
        .route(
            "/api/decision/{id}",
            get(decision::open).post(decision::decide),
        )
        .route("/api/claim/{id}", post(claim::claim))
        .route("/api/outcome/{id}", post(outcome::outcome))
        .route("/api/withdraw/{id}", post(withdraw::withdraw))
        .route("/api/keys", get(keys::keys))
        .route("/api/openapi.json", get(openapi::openapi))
        .route("/sweep", post(sweep::tick));
    let router = match app.config.production {
        true => router,
        false => router
            .route("/inbox", get(inbox::list))
            .route("/inbox/{name}", get(inbox::mail))
            .route("/inbox/{name}/{part}", get(inbox::part)),
    };
    router
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            edge::around,
        ))
        .with_state(app)
}

/// Answers requests that come in on `listener`, for ever.
pub async fn serve(listener: TcpListener, app: Arc<App>) {
    let head_timeout = match app.config.behind_host {
        true => HOST_HEAD_TIMEOUT,
        false => HEAD_TIMEOUT,
    };
    let router = router(app);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, mostly: those in use are given back in time.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        stream.set_nodelay(true).ok();
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(head_timeout)
                .max_header_size(HEAD_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no event.
            connection.await.ok();
        });
    }
}

/// Sweeps for ever, when there is no host to say when.
pub async fn sweep_for_ever(app: Arc<App>) {
    loop {
        // In a task of its own, so that not even a panic ends the sweeping.
        let app_of_sweep = app.clone();
        let sweeping = async move { sweep::sweep(&app_of_sweep).await };
        let call = tracing::info_span!("call", function = "sweep");
        tokio::spawn(sweeping.instrument(call)).await.ok();
        tokio::time::sleep(app.config.sweep_every).await;
    }
}

/// Why the gate could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A list of keys is of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no way to other services: no certificates to trust, mostly.
    #[error("no connection can be made: {0}")]
    Http(String),
    /// The mail transport cannot be used.
    #[error("mail cannot be sent: {0}")]
    Mail(String),
    /// A developer's gate keeps its keys in a folder, and could not.
    #[error("the keys in the folder of a developer's gate cannot be used")]
    Kept(#[source] std::io::Error),
}

/// The `{id}` of an address. What is no id names nothing.
#[derive(Clone)]
struct Id(ApprovalId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::NotFound)?;
        id.parse().map(Self).map_err(|_| Error::NotFound)
    }
}

/// The `{id}` of an address, for whoever may speak for its agent. To anybody else it names nothing.
struct OwnId(ApprovalId);

impl FromRequestParts<Arc<App>> for OwnId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let Id(id) = Id::from_request_parts(parts, app).await?;
        match app.may_speak_for(&parts.headers, parts.uri.query(), id.agent()) {
            true => Ok(Self(id)),
            false => Err(Error::NotFound),
        }
    }
}

/// The function key of a request, which the host checks and lets through, in the header or the query.
fn function_key(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = headers.get("x-functions-key");
    let header = header.and_then(|value| value.to_str().ok().map(str::to_owned));
    header.or_else(|| {
        let mut pairs = form_urlencoded::parse(query?.as_bytes());
        pairs.find_map(|(name, value)| (name == "code").then(|| value.into_owned()))
    })
}

impl App {
    fn may_speak_for(&self, headers: &HeaderMap, query: Option<&str>, agent: &str) -> bool {
        match &self.config.agent_keys {
            Some(keys) => keys.allow(&function_key(headers, query).unwrap_or_default(), agent),
            None => true,
        }
    }

    /// Puts the gate together for the `port` it listens on. Reads keys that are kept in files;
    /// everything else is opened when it is needed.
    ///
    /// # Errors
    /// When there are no keys to work with.
    pub fn assemble(config: Config, port: u16, clock: Clock) -> Result<Self, AssembleError> {
        let dir = &config.home;
        let kept = |set: &Option<Vec<NamedKey>>, file: &str, fresh: fn() -> String| match set {
            Some(keys) => Ok(keys.clone()),
            None => keyring::kept(&dir.join(file), fresh).map_err(AssembleError::Kept),
        };
        let link_keys = kept(&config.link_keys, "link.keys", keyring::fresh_link_key)?;
        let receipt_keys = kept(
            &config.receipt_keys,
            "receipt.keys",
            keyring::fresh_receipt_key,
        )?;
        let of = |name| move |error| ConfigError::Keys { name, error };
        let base_url = config.base_url.clone();
        let mailer = Mailer::new(
            &config.mail,
            config.mail_from.clone(),
            &config.brand.name,
            clock.clone(),
        );
        let link_keys = LinkKeys::new(&link_keys).map_err(of("HO_LINK_KEYS"))?;
        let link_keys = Arc::new(link_keys);
        let keys = Some(link_keys.clone());
        let store = config
            .store
            .open(config.open_limit, clock.clone(), keys, config.rows.clone());
        Ok(Self {
            base_url: base_url.unwrap_or_else(|| format!("http://127.0.0.1:{port}")),
            store: store.map_err(AssembleError::Http)?,
            mailer: mailer.map_err(AssembleError::Mail)?,
            link_keys,
            receipt_keys: ReceiptKeys::new(&receipt_keys).map_err(of("HO_RECEIPT_KEYS"))?,
            clock,
            waits: Arc::default(),
            config,
        })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Reads a row and holds it against its receipt; the store holds it against its seal.
    async fn load(&self, id: &ApprovalId) -> Result<Versioned, Error> {
        self.trusted(self.store.get(id).await?)
    }

    fn trusted(&self, row: Versioned) -> Result<Versioned, Error> {
        match self.receipt_keys.check(&row.approval) {
            Ok(()) => Ok(row),
            Err(contradiction) => Err(Error::Integrity(contradiction.to_string())),
        }
    }

    /// Reads a row, lets `judge` make its move, and stores what came of it, on the condition that
    /// nobody else wrote in between; else all over again. A move may be judged twice although it was
    /// stored the first time, when the store's answer was lost.
    async fn change<T>(
        &self,
        id: &ApprovalId,
        judge: impl FnMut(&mut Approval, Timestamp) -> Result<T, Error>,
    ) -> Result<(Approval, T), Error> {
        let row = self.load(id).await?;
        let (row, answer) = self.change_row(row, judge).await?;
        Ok((row.approval, answer))
    }

    /// The same for a row that is at hand, and is read again only when somebody else changed it.
    async fn change_row<T>(
        &self,
        mut row: Versioned,
        mut judge: impl FnMut(&mut Approval, Timestamp) -> Result<T, Error>,
    ) -> Result<(Versioned, T), Error> {
        for attempt in 0..TRIES {
            let before = row.clone();
            let answer = judge(&mut row.approval, self.now())?;
            if row.approval == before.approval {
                return Ok((before, answer));
            }
            let due = row.approval.next_due(self.config.outcome_within);
            match self.replace(row, due, before.approval.history.len()).await {
                Ok(stored) => return Ok((stored, answer)),
                Err(StoreError::Conflict) => {
                    let jitter = 1 + u64::from(keyring::random::<1>()[0]) % 8;
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * jitter)).await;
                    row = self.load(&before.approval.request.id).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Unavailable(format!(
            "overtaken by other writers {TRIES} times"
        )))
    }

    /// Stores a row, wakes whoever waits for it, and logs what its history has beyond what was `known`.
    /// In a task of its own: a caller that hangs up in the middle keeps nobody else from the news.
    async fn replace(
        &self,
        row: Versioned,
        due: Option<Timestamp>,
        known: usize,
    ) -> Result<Versioned, StoreError> {
        let (store, waits) = (self.store.clone(), self.waits.clone());
        let storing = async move {
            let stored = store.replace(row, due).await?;
            edge::log_events(&stored.approval, known);
            waits.wake(&stored.approval.request.id);
            Ok(stored)
        };
        let stored = tokio::spawn(storing.in_current_span()).await;
        stored.unwrap_or_else(|panic| Err(StoreError::Unavailable(panic.to_string())))
    }
}
