//! Signing in to the service: `azure_identity` for a crate that is older than it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_core_legacy::auth::{AccessToken, TokenCredential as LegacyCredential};
use azure_identity::{
    AzureCliCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use azure_storage::StorageCredentials;
use reqwest::Client;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::account::SignIn;
use super::fault::Fault;
use crate::timestamp::{Clock, Timestamp};

/// What the service asks a token for.
const SCOPE: &str = "https://storage.azure.com/.default";

/// A token is renewed when it has less than this left; while that fails, so often it is tried again.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// Without any, so soon: meanwhile the answer is the last failure, and nobody stands in line for it.
const SIGN_IN_AGAIN: Duration = Duration::from_secs(3);

/// How long a sign-in may take: a cold Azure CLI needs several seconds.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(10);

/// What the crate signs its requests with.
pub(super) fn credentials(sign_in: &SignIn, http: &Client, clock: Clock) -> StorageCredentials {
    let source = match sign_in {
        SignIn::Key { account, key } => {
            return StorageCredentials::access_key(account, key.clone());
        }
        SignIn::AzureCli => Source::AzureCli,
        SignIn::ManagedIdentity(client_id) => Source::ManagedIdentity {
            client_id: client_id.clone(),
            http: http.clone(),
        },
    };
    StorageCredentials::token_credential(Arc::new(Tokens {
        source,
        clock,
        kept: Mutex::default(),
    }))
}

/// The tokens of one identity. The Azure CLI takes a second for one, so they are kept here.
struct Tokens {
    source: Source,
    clock: Clock,
    kept: Mutex<Kept>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Kept {
    credential: Option<Arc<dyn TokenCredential>>,
    token: Option<AccessToken>,
    /// When to sign in next.
    renew_at: Option<Timestamp>,
    /// Why the last sign-in failed, if it did.
    fault: Option<Fault>,
}

enum Source {
    AzureCli,
    ManagedIdentity {
        client_id: Option<String>,
        http: Client,
    },
}

impl Source {
    fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(match self {
            Self::AzureCli => AzureCliCredential::new(None)?,
            Self::ManagedIdentity { client_id, http } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: ClientOptions {
                        transport: Some(Transport::new(Arc::new(http.clone()))),
                        retry: RetryOptions::exponential(ExponentialRetryOptions {
                            max_retries: 2,
                            ..ExponentialRetryOptions::default()
                        }),
                        ..ClientOptions::default()
                    },
                };
                ManagedIdentityCredential::new(Some(options))?
            }
        })
    }
}

#[async_trait]
impl LegacyCredential for Tokens {
    /// One asks for a new token at a time; the others wait for it.
    async fn get_token(&self, _: &[&str]) -> azure_core_legacy::Result<AccessToken> {
        let mut kept = self.kept.lock().await;
        let now = (self.clock)();
        let held = kept.token.clone().filter(|token| expiry(token) > now);
        if kept.renew_at > Some(now) {
            match (&held, &kept.fault) {
                (Some(token), _) => return Ok(token.clone()),
                (None, Some(fault)) => return Err(fault.clone().into()),
                (None, None) => {}
            }
        }
        let renewed = timeout(SIGN_IN_WITHIN, self.renew(&mut kept)).await;
        let fault = match renewed {
            Ok(Ok(token)) => {
                let left = expiry(&token).since(now);
                kept.renew_at = Some(now + left.saturating_sub(RENEW_BEFORE).max(RENEW_AGAIN));
                kept.token = Some(token.clone());
                kept.fault = None;
                return Ok(token);
            }
            Ok(Err(fault)) => fault,
            Err(_) => Fault::SignIn("it took too long".to_owned()),
        };
        kept.fault = Some(fault.clone());
        // Whoever gives out tokens is away: the one we have is good to its end.
        match held {
            Some(token) => {
                tracing::warn!(cause = %fault, "the storage token could not be renewed");
                kept.renew_at = Some(now + RENEW_AGAIN);
                Ok(token)
            }
            None => {
                kept.renew_at = Some(now + SIGN_IN_AGAIN);
                Err(fault.into())
            }
        }
    }

    async fn clear_cache(&self) -> azure_core_legacy::Result<()> {
        self.kept.lock().await.token = None;
        Ok(())
    }
}

fn expiry(token: &AccessToken) -> Timestamp {
    let nanos = token.expires_on.unix_timestamp_nanos();
    let millis = i64::try_from(nanos / 1_000_000).ok();
    millis
        .and_then(Timestamp::from_unix_millis)
        .expect("years ±9999 fit")
}

impl Tokens {
    async fn renew(&self, kept: &mut Kept) -> Result<AccessToken, Fault> {
        let failed = |error: azure_core::Error| Fault::SignIn(error.to_string());
        let credential = match &kept.credential {
            Some(credential) => credential.clone(),
            None => {
                let credential = self.source.credential().map_err(failed)?;
                kept.credential.insert(credential).clone()
            }
        };
        let token = credential.get_token(&[SCOPE], None).await.map_err(failed)?;
        let secret = token.token.secret().to_owned();
        Ok(AccessToken::new(secret, token.expires_on))
    }
}
