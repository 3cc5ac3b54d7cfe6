//! What a client reads while people decide, until the tool reports progress of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;

use crate::call::Meta;
use crate::held::Stage;
use crate::id::Id;
use crate::lock::lock;
use crate::members::Members;
use crate::output::Output;
use crate::words;

/// How often a client reads of progress.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);

/// Progress notifications for one call.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    tokens: &'a Tokens,
    token: Option<Token>,
}

/// The progress tokens of the calls that are held.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Id, Arc<Reported>>>);

struct Token {
    token: Id,
    reported: Arc<Reported>,
}

/// What was reported under a token. Both change under the lock of all tokens.
#[derive(Default)]
struct Reported {
    /// The server has reported progress.
    is_servers: AtomicBool,
    /// The notifications of the proxy.
    count: AtomicU32,
}

impl<'a> Progress<'a> {
    /// There are no notifications if the client has sent no token.
    pub(crate) fn new(meta: &Meta, output: &'a Output, tokens: &'a Tokens) -> Self {
        let token = meta.progress_token.as_deref().and_then(Id::read);
        let token = token.map(|token| tokens.add(token));
        Self {
            output,
            tokens,
            token,
        }
    }

    /// Writes the next notification. Progress must grow: the proxy's grows by millionths, and ends where the server's
    /// is above it.
    pub(crate) async fn write(&mut self, stage: &Stage) {
        let (Some(token), Some(message)) = (&self.token, words::progress(stage)) else {
            return;
        };
        let progress = {
            let _tokens = self.tokens.tokens();
            token.reported.count.fetch_add(1, Ordering::Relaxed);
            token.reported.progress()
        };
        let (message, id) = (json!(message), token.token.as_json());
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\
             \"progress\":{progress},\"message\":{message}}}}}\n"
        );
        self.output
            .write_unless(&token.reported.is_servers, line.as_bytes())
            .await;
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            self.tokens.remove(token);
        }
    }
}

impl Tokens {
    /// Whether the client may read a line of the server: not one whose progress is not above the proxy's. Notes that it
    /// reports progress, before the client can read it.
    pub(crate) fn passes(&self, line: &[u8]) -> bool {
        let tokens = self.tokens();
        if tokens.is_empty() {
            return true;
        }
        let Some((token, progress)) = read(line) else {
            return true;
        };
        let Some(reported) = tokens.get(&token) else {
            return true;
        };
        let is_first = reported.count.load(Ordering::Relaxed) == 0;
        let grows = is_first || progress.is_none_or(|it| it > reported.progress());
        if grows {
            reported.is_servers.store(true, Ordering::Relaxed);
        }
        grows
    }

    fn add(&self, token: Id) -> Token {
        let reported = Arc::<Reported>::default();
        self.tokens().insert(token.clone(), reported.clone());
        Token { token, reported }
    }

    fn remove(&self, Token { token, reported }: &Token) {
        let mut tokens = self.tokens();
        // A later call may use the token of one that was cancelled.
        if tokens
            .get(token)
            .is_some_and(|it| Arc::ptr_eq(it, reported))
        {
            tokens.remove(token);
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Id, Arc<Reported>>> {
        lock(&self.0)
    }
}

impl Reported {
    /// The last progress of the proxy.
    fn progress(&self) -> f64 {
        f64::from(self.count.load(Ordering::Relaxed)) / 1e6
    }
}

/// The token of a progress notification, and how far it says that the tool is.
fn read(line: &[u8]) -> Option<(Id, Option<f64>)> {
    let raw: &RawValue = serde_json::from_slice(line).ok()?;
    let message = Members::read(raw)?;
    let method = serde_json::from_str::<String>(message.get("method")?.get()).ok()?;
    let params = message
        .get("params")
        .filter(|_| method == "notifications/progress")?;
    let params = Members::read(params)?;
    let token = Id::read(params.get("progressToken")?)?;
    let progress = params.get("progress");
    let progress = progress.and_then(|it| serde_json::from_str(it.get()).ok());
    Some((token, progress))
}
