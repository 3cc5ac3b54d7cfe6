//! Access tokens for Azure services, obtained with `azure_identity` and cached.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::http;
use crate::values::{Clock, Timestamp};

/// The identity that signs in to Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The system-assigned managed identity, or the user-assigned one with this client id.
    ManagedIdentity(Option<String>),
    /// The account that is signed in to the Azure CLI.
    AzureCli,
}

/// No access token could be obtained. The text is for the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no access token could be obtained: {0}")]
pub(crate) struct TokenError(String);

/// A token is renewed when less than this remains of its life.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// The minimum time between two renewals, also if the first one failed.
const RENEWAL_BACKOFF: Duration = Duration::from_secs(30);

/// The pause after a failed sign-in without a valid token; until it ends, callers get the same error
/// without waiting.
const SIGN_IN_BACKOFF: Duration = Duration::from_secs(3);

/// The timeout of a sign-in; the first call of the Azure CLI takes several seconds.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(10);

/// Caches the token of one principal for one service: the Azure CLI takes a second to get one.
pub(crate) struct TokenCache {
    principal: Principal,
    scope: String,
    clock: Clock,
    state: Mutex<CacheState>,
}

#[derive(Default)]
struct CacheState {
    credential: Option<Arc<dyn TokenCredential>>,
    token: Option<AccessToken>,
    /// The earliest time of the next sign-in.
    renew_at: Option<Timestamp>,
    /// The error of the last sign-in, if it failed.
    error: Option<TokenError>,
}

impl TokenCache {
    /// A cache for the service with this `scope`. Signs in at the first [`TokenCache::get`].
    pub(crate) fn new(principal: Principal, scope: String, clock: Clock) -> Self {
        Self {
            principal,
            scope,
            clock,
            state: Mutex::default(),
        }
    }

    /// Returns a valid token. Without one, concurrent callers wait for one sign-in; during a renewal, they
    /// get the old token at once.
    pub(crate) async fn get(&self) -> Result<AccessToken, TokenError> {
        let mut state = self.state.lock().await;
        let now = (self.clock)();
        let held = state.token.clone().filter(|token| expiry(token) > now);
        if state.renew_at > Some(now) {
            match (&held, &state.error) {
                (Some(token), _) => return Ok(token.clone()),
                (None, Some(error)) => return Err(error.clone()),
                (None, None) => {}
            }
        }
        let credential = match &state.credential {
            Some(credential) => credential.clone(),
            None => {
                let credential = self
                    .new_credential()
                    .map_err(|error| self.token_error(&error))?;
                state.credential.insert(credential).clone()
            }
        };
        if let Some(held) = held {
            state.renew_at = Some((now + RENEWAL_BACKOFF).min(expiry(&held)));
            drop(state);
            let renewed = self.sign_in(credential).await;
            let mut state = self.state.lock().await;
            return match renewed {
                Ok(token) => Ok(self.store(&mut state, token)),
                // The old token stays valid until it expires.
                Err(error) => {
                    tracing::warn!(cause = %error, "an access token could not be renewed");
                    state.error = Some(error);
                    Ok(held)
                }
            };
        }
        match self.sign_in(credential).await {
            Ok(token) => Ok(self.store(&mut state, token)),
            Err(error) => {
                state.renew_at = Some((self.clock)() + SIGN_IN_BACKOFF);
                state.error = Some(error.clone());
                Err(error)
            }
        }
    }

    fn store(&self, state: &mut CacheState, token: AccessToken) -> AccessToken {
        let now = (self.clock)();
        let left = expiry(&token).since(now);
        state.renew_at = Some(now + left.saturating_sub(RENEW_BEFORE).max(RENEWAL_BACKOFF));
        state.token = Some(token.clone());
        state.error = None;
        token
    }

    async fn sign_in(
        &self,
        credential: Arc<dyn TokenCredential>,
    ) -> Result<AccessToken, TokenError> {
        let scope = [self.scope.as_str()];
        match timeout(SIGN_IN_TIMEOUT, credential.get_token(&scope, None)).await {
            Ok(result) => result.map_err(|error| self.token_error(&error)),
            Err(_) => Err(TokenError("the sign-in timed out".to_owned())),
        }
    }

    fn new_credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_id = match &self.principal {
            Principal::AzureCli => return Ok(AzureCliCredential::new(None)?),
            Principal::ManagedIdentity(client_id) => client_id.clone(),
        };
        let client = http::client_without_proxy()
            .map_err(|why| azure_core::Error::with_message(ErrorKind::Other, why))?;
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client_id.map(UserAssignedId::ClientId),
            client_options: ClientOptions {
                transport: Some(Transport::new(Arc::new(client))),
                retry: RetryOptions::exponential(ExponentialRetryOptions {
                    max_retries: 2,
                    ..ExponentialRetryOptions::default()
                }),
                ..ClientOptions::default()
            },
        };
        Ok(ManagedIdentityCredential::new(Some(options))?)
    }

    /// One line without a response body, which the library includes in its texts. For the Azure CLI it is
    /// the first line of its message, without addresses.
    fn token_error(&self, error: &azure_core::Error) -> TokenError {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let words = line.split(' ').filter(|word| !word.contains('@'));
        let message: String = words
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(200)
            .collect();
        TokenError(match &self.principal {
            Principal::AzureCli => message,
            Principal::ManagedIdentity(_) => describe(error),
        })
    }
}

/// Why the identity service gave no token.
fn describe(error: &azure_core::Error) -> String {
    let status =
        http::chain(error).find_map(|it| it.downcast_ref::<azure_core::Error>()?.http_status());
    if let Some(status) = status {
        return format!("the identity service answered {}", u16::from(status));
    }
    match http::chain(error).find_map(|it| it.downcast_ref::<reqwest::Error>()) {
        Some(failed) if failed.is_connect() || failed.is_timeout() => {
            // The texts before the last one only say that a request failed; the first has the URL.
            let cause = http::chain(failed)
                .last()
                .filter(|it| !it.is::<reqwest::Error>());
            let cause = cause.map_or_else(|| "timed out".to_owned(), ToString::to_string);
            format!("the identity service cannot be reached: {cause}")
        }
        _ => "the identity service sent no valid response".to_owned(),
    }
}

fn expiry(token: &AccessToken) -> Timestamp {
    let nanos = token.expires_on.unix_timestamp_nanos();
    let millis = i64::try_from(nanos / 1_000_000).ok();
    millis
        .and_then(Timestamp::from_unix_millis)
        .expect("years ±9999 fit")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use azure_core::credentials::TokenRequestOptions;
    use time::OffsetDateTime;
    use tokio::sync::Semaphore;

    use super::*;

    const START: i64 = 1_795_000_000;

    /// Issues tokens with these lives in seconds, or fails for `None`; each call takes a permit.
    #[derive(Debug)]
    struct TestCredential {
        lives: StdMutex<VecDeque<Option<i64>>>,
        seconds: Arc<AtomicU64>,
        permits: Semaphore,
    }

    #[async_trait::async_trait]
    impl TokenCredential for TestCredential {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            self.permits.acquire().await.unwrap().forget();
            let life = self.lives.lock().unwrap().pop_front().unwrap();
            let now = START + i64::try_from(self.seconds.load(Ordering::SeqCst)).unwrap();
            let Some(life) = life else {
                let text = "unavailable\nand alice@example.com";
                return Err(azure_core::Error::with_message(ErrorKind::Credential, text));
            };
            let until = OffsetDateTime::from_unix_timestamp(now + life).unwrap();
            Ok(AccessToken::new(format!("{}", now + life - START), until))
        }
    }

    fn tokens(
        lives: &[Option<i64>],
        permits: usize,
    ) -> (TokenCache, Arc<TestCredential>, Arc<AtomicU64>) {
        let seconds: Arc<AtomicU64> = Arc::default();
        let credential = Arc::new(TestCredential {
            lives: StdMutex::new(lives.iter().copied().collect()),
            seconds: seconds.clone(),
            permits: Semaphore::new(permits),
        });
        let clock_seconds = seconds.clone();
        let clock: Clock = Arc::new(move || {
            let passed = i64::try_from(clock_seconds.load(Ordering::SeqCst)).unwrap();
            Timestamp::from_unix_millis((START + passed) * 1_000).unwrap()
        });
        let mut tokens = TokenCache::new(Principal::AzureCli, "scope".to_owned(), clock);
        tokens.state.get_mut().credential = Some(credential.clone());
        (tokens, credential, seconds)
    }

    async fn token(tokens: &TokenCache) -> Result<String, String> {
        let token = tokens.get().await.map_err(|error| error.to_string())?;
        Ok(token.token.secret().to_owned())
    }

    #[tokio::test]
    async fn a_token_is_cached_and_renewed_before_it_expires() {
        let (tokens, credential, seconds) = tokens(&[Some(3_600), Some(3_600)], 9);
        for passed in [0, 1, 3_299] {
            seconds.store(passed, Ordering::SeqCst);
            assert_eq!(token(&tokens).await.unwrap(), "3600");
        }
        seconds.store(3_300, Ordering::SeqCst);
        assert_eq!(token(&tokens).await.unwrap(), "6900");
        assert!(credential.lives.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_renewed_is_used_until_it_expires() {
        let (tokens, credential, seconds) = tokens(&[Some(3_600), None, None, None], 9);
        for passed in [0, 3_300, 3_301, 3_329, 3_330, 3_599] {
            seconds.store(passed, Ordering::SeqCst);
            assert_eq!(token(&tokens).await.unwrap(), "3600");
        }
        assert_eq!(
            credential.lives.lock().unwrap().len(),
            0,
            "retried every 30 s"
        );
    }

    #[tokio::test]
    async fn a_failed_renewal_is_not_the_answer_once_the_token_has_expired() {
        let (tokens, _, seconds) = tokens(&[Some(310), None, Some(3_600)], 9);
        for passed in [0, 295, 309] {
            seconds.store(passed, Ordering::SeqCst);
            assert_eq!(token(&tokens).await.unwrap(), "310");
        }
        seconds.store(310, Ordering::SeqCst);
        assert_eq!(token(&tokens).await.unwrap(), "3910");
    }

    #[tokio::test]
    async fn a_failure_is_cached_for_three_seconds_and_described_in_one_line() {
        let (tokens, _, seconds) = tokens(&[None, Some(3_600)], 9);
        for passed in [0, 2] {
            seconds.store(passed, Ordering::SeqCst);
            assert_eq!(
                token(&tokens).await.unwrap_err(),
                "no access token could be obtained: unavailable"
            );
        }
        seconds.store(3, Ordering::SeqCst);
        assert_eq!(token(&tokens).await.unwrap(), "3603");
    }

    #[tokio::test]
    async fn callers_do_not_wait_for_the_renewal_of_a_valid_token() {
        let (tokens, credential, seconds) = tokens(&[Some(3_600), Some(3_600)], 1);
        assert_eq!(token(&tokens).await.unwrap(), "3600");
        seconds.store(3_400, Ordering::SeqCst);
        let renewing = token(&tokens);
        let others = async {
            assert_eq!(token(&tokens).await.unwrap(), "3600");
            credential.permits.add_permits(1);
        };
        let (renewed, ()) = tokio::join!(renewing, others);
        assert_eq!(renewed.unwrap(), "7000");
        assert_eq!(token(&tokens).await.unwrap(), "7000");
    }
}
