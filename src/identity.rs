//! Who the gate is to the services it stands on: signing in with `azure_identity`, and keeping tokens.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use reqwest::Client;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::timestamp::{Clock, Timestamp};

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
pub(crate) struct SignInError(String);

/// A token is renewed when it has less than this left; while that fails, so often it is tried again.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// Without any, so soon: meanwhile the answer is the last failure, and nobody stands in line for it.
const SIGN_IN_AGAIN: Duration = Duration::from_secs(3);

/// How long a sign-in may take: a cold Azure CLI needs several seconds.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(10);

/// The tokens of one principal for one service. The Azure CLI takes a second for each, so they are
/// kept here.
pub(crate) struct Tokens {
    principal: Principal,
    scope: &'static str,
    http: Client,
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    credential: Option<Arc<dyn TokenCredential>>,
    token: Option<AccessToken>,
    /// When to sign in next.
    renew_at: Option<Timestamp>,
    /// Why the last sign-in failed, if it did.
    error: Option<SignInError>,
}

impl Tokens {
    /// For the service that names its tokens by `scope`. Nothing is asked yet.
    pub(crate) fn new(
        principal: Principal,
        scope: &'static str,
        http: Client,
        clock: Clock,
    ) -> Self {
        Self {
            principal,
            scope,
            http,
            clock,
            kept: Mutex::default(),
        }
    }

    /// A token that is good for now. One asks for a new one at a time; the others wait for it.
    pub(crate) async fn get(&self) -> Result<AccessToken, SignInError> {
        let mut kept = self.kept.lock().await;
        let now = (self.clock)();
        let held = kept.token.clone().filter(|token| expiry(token) > now);
        if kept.renew_at > Some(now) {
            match (&held, &kept.error) {
                (Some(token), _) => return Ok(token.clone()),
                (None, Some(error)) => return Err(error.clone()),
                (None, None) => {}
            }
        }
        let error = match timeout(SIGN_IN_WITHIN, self.sign_in(&mut kept)).await {
            Ok(Ok(token)) => {
                let left = expiry(&token).since(now);
                kept.renew_at = Some(now + left.saturating_sub(RENEW_BEFORE).max(RENEW_AGAIN));
                kept.token = Some(token.clone());
                kept.error = None;
                return Ok(token);
            }
            Ok(Err(error)) => SignInError(error.to_string()),
            Err(_) => SignInError("it took too long".to_owned()),
        };
        kept.error = Some(error.clone());
        // Whoever gives out tokens is away: the one we have is good to its end.
        match held {
            Some(token) => {
                tracing::warn!(cause = %error, "a token could not be renewed");
                kept.renew_at = Some(now + RENEW_AGAIN);
                Ok(token)
            }
            None => {
                kept.renew_at = Some(now + SIGN_IN_AGAIN);
                Err(error)
            }
        }
    }

    async fn sign_in(&self, kept: &mut Kept) -> azure_core::Result<AccessToken> {
        let credential = match &kept.credential {
            Some(credential) => credential.clone(),
            None => kept.credential.insert(self.credential()?).clone(),
        };
        credential.get_token(&[self.scope], None).await
    }

    fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_id = match &self.principal {
            Principal::AzureCli => return Ok(AzureCliCredential::new(None)?),
            Principal::ManagedIdentity(client_id) => client_id.clone(),
        };
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client_id.map(UserAssignedId::ClientId),
            client_options: ClientOptions {
                transport: Some(Transport::new(Arc::new(self.http.clone()))),
                retry: RetryOptions::exponential(ExponentialRetryOptions {
                    max_retries: 2,
                    ..ExponentialRetryOptions::default()
                }),
                ..ClientOptions::default()
            },
        };
        Ok(ManagedIdentityCredential::new(Some(options))?)
    }
}

fn expiry(token: &AccessToken) -> Timestamp {
    let nanos = token.expires_on.unix_timestamp_nanos();
    let millis = i64::try_from(nanos / 1_000_000).ok();
    millis
        .and_then(Timestamp::from_unix_millis)
        .expect("years ±9999 fit")
}
