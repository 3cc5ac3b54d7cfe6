//! Access tokens of Microsoft Entra ID, in place of a Functions key.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::http::{ClientOptions, Transport};
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::environment::setting;
use crate::error::Error;

/// A token is renewed when less than this remains of its life.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// The timeout of a sign-in; the first call of the Azure CLI takes several seconds.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(30);

/// The Azure SDKs read it too: which credential a program uses.
const KIND: &str = "AZURE_TOKEN_CREDENTIALS";

/// What is read here. One that is no text must not lead to another identity.
const VARIABLES: [&str; 7] = [
    KIND,
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
];

/// The access tokens of one program for one gate. Clones share the token that is held.
#[derive(Clone)]
pub(crate) struct Tokens {
    credential: Arc<dyn TokenCredential>,
    scope: String,
    held: Arc<Mutex<Option<AccessToken>>>,
}

impl Tokens {
    /// Tokens for the gate whose app registration has this application id URI, or this client id.
    pub(crate) fn new(credential: Arc<dyn TokenCredential>, audience: &str) -> Self {
        Self {
            credential,
            scope: format!("{}/.default", audience.trim_end_matches('/')),
            held: Arc::default(),
        }
    }

    /// A valid token. Concurrent callers wait for one sign-in: some credentials keep no token.
    pub(crate) async fn get(&self) -> Result<String, Error> {
        let mut held = self.held.lock().await;
        let token = match held.as_ref().filter(|token| lives(token, RENEW_BEFORE)) {
            Some(token) => token,
            None => {
                let renewed = self.sign_in().await;
                match held.take().filter(|token| lives(token, Duration::ZERO)) {
                    // It counts until it expires, and the next call tries again.
                    Some(token) => held.insert(renewed.unwrap_or(token)),
                    None => held.insert(renewed?),
                }
            }
        };
        Ok(token.token.secret().to_owned())
    }

    async fn sign_in(&self) -> Result<AccessToken, Error> {
        let scope = [self.scope.as_str()];
        match timeout(SIGN_IN_TIMEOUT, self.credential.get_token(&scope, None)).await {
            Ok(token) => token.map_err(|error| Error::NoToken(line(&error))),
            Err(_) => Err(Error::NoToken("the sign-in took too long".to_owned())),
        }
    }
}

/// Whether a token counts for longer than this.
fn lives(token: &AccessToken, time: Duration) -> bool {
    token.expires_on > OffsetDateTime::now_utc() + time
}

/// The credential that the environment names in [`KIND`]; else that for which it has variables, as the Azure SDKs
/// name them, in this order: a client secret, a workload identity, a managed identity; else the account of the Azure
/// CLI.
pub(crate) fn credential_of_environment() -> Result<Arc<dyn TokenCredential>, Error> {
    for name in VARIABLES {
        setting(name)?;
    }
    let any = |names: &[&str]| names.iter().any(|name| !variable(name).is_empty());
    let kind = variable(KIND).to_lowercase();
    let credential = match kind.as_str() {
        "environmentcredential" => client_secret(),
        "workloadidentitycredential" => workload_identity(),
        "managedidentitycredential" => managed_identity(),
        "azureclicredential" | "dev" => azure_cli(),
        "" | "prod" if any(&["AZURE_CLIENT_SECRET"]) => client_secret(),
        "" | "prod" if any(&["AZURE_FEDERATED_TOKEN_FILE"]) => workload_identity(),
        "" if !any(&["IDENTITY_ENDPOINT", "MSI_ENDPOINT"]) => azure_cli(),
        "" | "prod" => managed_identity(),
        _ => {
            return Err(Error::Settings(format!(
                "{KIND} must be EnvironmentCredential, WorkloadIdentityCredential, ManagedIdentityCredential, \
                 AzureCliCredential, prod or dev"
            )));
        }
    };
    credential.map_err(|error| {
        Error::Settings(format!("no access token can be obtained: {}", line(&error)))
    })
}

type Credential = azure_core::Result<Arc<dyn TokenCredential>>;

fn client_secret() -> Credential {
    let [tenant, client, secret] =
        ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"].map(variable);
    let options = ClientSecretCredentialOptions {
        client_options: client_options(false)?,
    };
    let secret = Secret::new(secret);
    Ok(ClientSecretCredential::new(
        &tenant,
        client,
        secret,
        Some(options),
    )?)
}

fn workload_identity() -> Credential {
    let options = WorkloadIdentityCredentialOptions {
        credential_options: ClientAssertionCredentialOptions {
            client_options: client_options(false)?,
        },
        ..WorkloadIdentityCredentialOptions::default()
    };
    Ok(WorkloadIdentityCredential::new(Some(options))?)
}

fn managed_identity() -> Credential {
    let client_id = Some(variable("AZURE_CLIENT_ID")).filter(|id| !id.is_empty());
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(UserAssignedId::ClientId),
        client_options: client_options(true)?,
    };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}

fn azure_cli() -> Credential {
    Ok(AzureCliCredential::new(None)?)
}

/// The value of one of the [`VARIABLES`], which are text.
fn variable(name: &str) -> String {
    setting(name).ok().flatten().unwrap_or_default()
}

/// The identity endpoint of a machine speaks plain HTTP, which no proxy may see.
fn client_options(is_local: bool) -> azure_core::Result<ClientOptions> {
    let mut http = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none());
    if is_local {
        http = http.no_proxy();
    }
    let http = http.build().map_err(|error| {
        azure_core::Error::with_message(azure_core::error::ErrorKind::Other, error.to_string())
    })?;
    Ok(ClientOptions {
        transport: Some(Transport::new(Arc::new(http))),
        ..ClientOptions::default()
    })
}

/// The first line of an error, without addresses: the rest may hold the body of a response.
fn line(error: &azure_core::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let words: Vec<&str> = line.split(' ').filter(|word| !word.contains('@')).collect();
    words.join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use azure_core::credentials::TokenRequestOptions;
    use azure_core::error::ErrorKind;

    use super::*;

    /// Signs in once, for this time.
    #[derive(Debug)]
    struct Once(Duration, AtomicU32);

    #[async_trait::async_trait]
    impl TokenCredential for Once {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            match self.1.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(AccessToken::new(
                    "token",
                    OffsetDateTime::now_utc() + self.0,
                )),
                _ => Err(azure_core::Error::with_message(
                    ErrorKind::Credential,
                    "down",
                )),
            }
        }
    }

    #[tokio::test]
    async fn a_token_counts_until_it_expires_if_its_renewal_fails() {
        for (life, counts) in [(RENEW_BEFORE, true), (Duration::ZERO, false)] {
            let credential = Arc::new(Once(life, AtomicU32::new(0)));
            let tokens = Tokens::new(credential.clone(), "api://gate");
            assert_eq!(tokens.get().await.unwrap(), "token");
            for sign_ins in [2, 3] {
                let found = tokens.get().await;
                assert_eq!(found.is_ok_and(|token| token == "token"), counts);
                assert_eq!(credential.1.load(Ordering::Relaxed), sign_ins);
            }
        }
    }
}
