//! What a client reads while people decide, until the tool reports progress of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;

use crate::call::Meta;
use crate::held::Stage;
use crate::members::Members;
use crate::message::Id;
use crate::output::Output;
use crate::words;

/// How often a client reads of progress.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);

/// Progress notifications for one call.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    tokens: &'a Tokens,
    token: Option<Token>,
    count: u32,
}

/// The progress tokens of the calls that are held.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Id, Arc<AtomicBool>>>);

struct Token {
    token: Id,
    /// The server has reported progress under it.
    is_servers: Arc<AtomicBool>,
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
            count: 0,
        }
    }

    /// Writes the next notification. Progress must grow: the proxy's grows by millionths, and ends where the server's
    /// begins.
    pub(crate) async fn write(&mut self, stage: &Stage) {
        let (Some(token), Some(message)) = (&self.token, words::progress(stage)) else {
            return;
        };
        self.count += 1;
        let progress = f64::from(self.count) / 1e6;
        let (message, id) = (json!(message), token.token.as_json());
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\
             \"progress\":{progress},\"message\":{message}}}}}\n"
        );
        self.output
            .write_unless(&token.is_servers, line.as_bytes())
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
    /// Notes that a line of the server reports progress, before the client can read it.
    pub(crate) fn note(&self, line: &[u8]) {
        let tokens = self.tokens();
        if !tokens.is_empty()
            && let Some(is_servers) = read_token(line).and_then(|token| tokens.get(&token))
        {
            is_servers.store(true, Ordering::Relaxed);
        }
    }

    fn add(&self, token: Id) -> Token {
        let is_servers = Arc::<AtomicBool>::default();
        self.tokens().insert(token.clone(), is_servers.clone());
        Token { token, is_servers }
    }

    fn remove(&self, Token { token, is_servers }: &Token) {
        let mut tokens = self.tokens();
        // A later call may use the token of one that was cancelled.
        if tokens
            .get(token)
            .is_some_and(|it| Arc::ptr_eq(it, is_servers))
        {
            tokens.remove(token);
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Id, Arc<AtomicBool>>> {
        // A panic cannot leave it half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token of a progress notification.
fn read_token(line: &[u8]) -> Option<Id> {
    let raw: &RawValue = serde_json::from_slice(line).ok()?;
    let message = Members::read(raw, &[])?;
    let method = serde_json::from_str::<String>(message.get("method")?.get()).ok()?;
    let params = message
        .get("params")
        .filter(|_| method == "notifications/progress")?;
    Id::read(Members::read(params, &[])?.get("progressToken")?)
}
