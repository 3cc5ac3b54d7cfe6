//! Signing in to the service, for a crate that is older than `azure_identity`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core_legacy::auth::{AccessToken, TokenCredential};
use azure_storage::StorageCredentials;

use super::account::SignIn;
use super::fault::Fault;
use crate::azure::credentials::TokenCache;
use crate::values::Clock;

/// The scope of access tokens.
const SCOPE: &str = "https://storage.azure.com/.default";

/// The credentials for the crate.
pub(super) fn credentials(sign_in: &SignIn, clock: Clock) -> StorageCredentials {
    match sign_in {
        SignIn::Key { account, key } => StorageCredentials::access_key(account, key.clone()),
        SignIn::As(principal) => {
            let tokens = TokenCache::new(principal.clone(), SCOPE.to_owned(), clock);
            StorageCredentials::token_credential(Arc::new(Bridge(tokens)))
        }
    }
}

/// Adapts the access tokens of `azure_identity` 1.x to the trait of the older crate.
struct Bridge(TokenCache);

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for Bridge {
    async fn get_token(&self, _: &[&str]) -> azure_core_legacy::Result<AccessToken> {
        let token = self.0.get().await.map_err(Fault::SignIn)?;
        let secret = token.token.secret().to_owned();
        Ok(AccessToken::new(secret, token.expires_on))
    }

    async fn clear_cache(&self) -> azure_core_legacy::Result<()> {
        Ok(())
    }
}
