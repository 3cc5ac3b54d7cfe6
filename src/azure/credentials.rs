//! Who the gate is to the services it stands on: signing in with `azure_identity`, and keeping tokens.

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

/// As whom to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// As the managed identity of the machine: the system's, or the one with this client id.
    ManagedIdentity(Option<String>),
    /// As whoever is signed in to the Azure CLI.
    AzureCli,
}

/// Nobody vouched for us. The text is for the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the sign-in failed: {0}")]
pub(crate) struct TokenError(String);

/// A token is renewed when it has less than this left; while that fails, so often it is tried again.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// Without any, so soon: meanwhile the answer is the last failure, and nobody stands in line for it.
const SIGN_IN_AGAIN: Duration = Duration::from_secs(3);

/// How long a sign-in may take: a cold Azure CLI needs several seconds.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(10);

/// The tokens of one principal for one service. The Azure CLI takes a second for each, so they are
/// kept here.
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
    /// When to sign in next.
    renew_at: Option<Timestamp>,
    /// Why the last sign-in failed, if it did.
    error: Option<TokenError>,
}

impl TokenCache {
    /// For the service that names its tokens by `scope`. Nothing is asked yet.
    pub(crate) fn new(principal: Principal, scope: String, clock: Clock) -> Self {
        Self {
            principal,
            scope,
            clock,
            state: Mutex::default(),
        }
    }

    /// A token that is good for now. Who has none waits for the one that asks for it; who has one
    /// waits for nobody.
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
                let made = self.credential().map_err(|error| self.failed(&error))?;
                state.credential.insert(made).clone()
            }
        };
        if let Some(held) = held {
            state.renew_at = Some(now + RENEW_AGAIN);
            drop(state);
            let renewed = self.sign_in(credential).await;
            let mut state = self.state.lock().await;
            return match renewed {
                Ok(token) => Ok(self.keep(&mut state, token)),
                // Whoever gives out tokens is away: the one we have is good to its end.
                Err(error) => {
                    tracing::warn!(cause = %error, "a token could not be renewed");
                    state.error = Some(error);
                    Ok(held)
                }
            };
        }
        match self.sign_in(credential).await {
            Ok(token) => Ok(self.keep(&mut state, token)),
            Err(error) => {
                state.renew_at = Some((self.clock)() + SIGN_IN_AGAIN);
                state.error = Some(error.clone());
                Err(error)
            }
        }
    }

    fn keep(&self, state: &mut CacheState, token: AccessToken) -> AccessToken {
        let now = (self.clock)();
        let left = expiry(&token).since(now);
        state.renew_at = Some(now + left.saturating_sub(RENEW_BEFORE).max(RENEW_AGAIN));
        state.token = Some(token.clone());
        state.error = None;
        token
    }

    async fn sign_in(
        &self,
        credential: Arc<dyn TokenCredential>,
    ) -> Result<AccessToken, TokenError> {
        let scope = [self.scope.as_str()];
        match timeout(SIGN_IN_WITHIN, credential.get_token(&scope, None)).await {
            Ok(signed_in) => signed_in.map_err(|error| self.failed(&error)),
            Err(_) => Err(TokenError("it took too long".to_owned())),
        }
    }

    fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_id = match &self.principal {
            Principal::AzureCli => return Ok(AzureCliCredential::new(None)?),
            Principal::ManagedIdentity(client_id) => client_id.clone(),
        };
        let client =
            http::direct().map_err(|why| azure_core::Error::with_message(ErrorKind::Other, why))?;
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

    /// One line, and nothing of a body, which the library puts into its texts; of the Azure CLI what it
    /// says itself, without addresses.
    fn failed(&self, error: &azure_core::Error) -> TokenError {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let words = line.split(' ').filter(|word| !word.contains('@'));
        let said: String = words
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(200)
            .collect();
        TokenError(match (&self.principal, http_status(error)) {
            (Principal::ManagedIdentity(_), Some(status)) => {
                format!("the identity service answered {status}")
            }
            (Principal::ManagedIdentity(_), None) => {
                "the identity service gave no answer that makes sense".to_owned()
            }
            (Principal::AzureCli, _) => said,
        })
    }
}

fn http_status(error: &azure_core::Error) -> Option<u16> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        let inner_error = inner.downcast_ref::<azure_core::Error>();
        if let Some(status) = inner_error.and_then(azure_core::Error::http_status) {
            return Some(status.into());
        }
        source = inner.source();
    }
    None
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

    /// Gives out tokens with these lives in seconds; fails where there is none, and waits for a permit.
    #[derive(Debug)]
    struct Giver {
        lives: StdMutex<VecDeque<Option<i64>>>,
        seconds: Arc<AtomicU64>,
        permits: Semaphore,
    }

    #[async_trait::async_trait]
    impl TokenCredential for Giver {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            self.permits.acquire().await.unwrap().forget();
            let life = self.lives.lock().unwrap().pop_front().unwrap();
            let now = START + i64::try_from(self.seconds.load(Ordering::SeqCst)).unwrap();
            let Some(life) = life else {
                let text = "away\nand alice@example.com";
                return Err(azure_core::Error::with_message(ErrorKind::Credential, text));
            };
            let until = OffsetDateTime::from_unix_timestamp(now + life).unwrap();
            Ok(AccessToken::new(format!("{}", now + life - START), until))
        }
    }

    fn tokens(lives: &[Option<i64>], permits: usize) -> (TokenCache, Arc<Giver>, Arc<AtomicU64>) {
        let seconds: Arc<AtomicU64> = Arc::default();
        let giver = Arc::new(Giver {
            lives: StdMutex::new(lives.iter().copied().collect()),
            seconds: seconds.clone(),
            permits: Semaphore::new(permits),
        });
        let of_clock = seconds.clone();
        let clock: Clock = Arc::new(move || {
            let passed = i64::try_from(of_clock.load(Ordering::SeqCst)).unwrap();
            Timestamp::from_unix_millis((START + passed) * 1_000).unwrap()
        });
        let mut tokens = TokenCache::new(Principal::AzureCli, "scope".to_owned(), clock);
        tokens.state.get_mut().credential = Some(giver.clone());
        (tokens, giver, seconds)
    }

    async fn token(tokens: &TokenCache) -> Result<String, String> {
        let token = tokens.get().await.map_err(|error| error.to_string())?;
        Ok(token.token.secret().to_owned())
    }

    #[tokio::test]
    async fn a_token_is_kept_and_renewed_before_its_end() {
        let (tokens, giver, seconds) = tokens(&[Some(3_600), Some(3_600)], 9);
        for passed in [0, 1, 3_299] {
            seconds.store(passed, Ordering::SeqCst);
            assert_eq!(token(&tokens).await.unwrap(), "3600");
        }
        seconds.store(3_300, Ordering::SeqCst);
        assert_eq!(token(&tokens).await.unwrap(), "6900");
        assert!(giver.lives.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_renewed_is_good_to_its_end() {
        let (tokens, giver, seconds) = tokens(&[Some(3_600), None, None, None], 9);
        for passed in [0, 3_300, 3_301, 3_329, 3_330, 3_599] {
            seconds.store(passed, Ordering::SeqCst);
            assert_eq!(token(&tokens).await.unwrap(), "3600");
        }
        assert_eq!(giver.lives.lock().unwrap().len(), 0, "tried every 30 s");
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_moment_and_said_in_one_line() {
        let (tokens, _, seconds) = tokens(&[None, Some(3_600)], 9);
        for passed in [0, 2] {
            seconds.store(passed, Ordering::SeqCst);
            assert_eq!(
                token(&tokens).await.unwrap_err(),
                "the sign-in failed: away"
            );
        }
        seconds.store(3, Ordering::SeqCst);
        assert_eq!(token(&tokens).await.unwrap(), "3603");
    }

    #[tokio::test]
    async fn who_has_a_token_does_not_wait_for_its_renewal() {
        let (tokens, giver, seconds) = tokens(&[Some(3_600), Some(3_600)], 1);
        assert_eq!(token(&tokens).await.unwrap(), "3600");
        seconds.store(3_400, Ordering::SeqCst);
        let renewing = token(&tokens);
        let others = async {
            assert_eq!(token(&tokens).await.unwrap(), "3600");
            giver.permits.add_permits(1);
        };
        let (renewed, ()) = tokio::join!(renewing, others);
        assert_eq!(renewed.unwrap(), "7000");
        assert_eq!(token(&tokens).await.unwrap(), "7000");
    }
}
