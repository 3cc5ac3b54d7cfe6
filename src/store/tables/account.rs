//! The storage account, and how to sign in to it.

use azure_core_legacy::auth::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Url;

use crate::azure::credentials::Principal;
use crate::azure::http::is_bare;

/// The table endpoint of a storage account, and how to sign in there.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) endpoint: String,
    pub(super) sign_in: SignIn,
}

/// How to sign in. `Debug` shows no key.
#[derive(Clone, Debug)]
pub(super) enum SignIn {
    /// With the account's own key: Azurite, and accounts that still allow it.
    Key {
        /// The account's name.
        account: String,
        /// One of its two keys, in base64.
        key: Secret,
    },
    /// With tokens.
    As(Principal),
}

/// Azurite's well-known account; no secret.
/// <https://learn.microsoft.com/azure/storage/common/storage-connect-azurite>
const EMULATOR: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

impl Account {
    /// The account at `endpoint`, such as `https://ACCOUNT.table.core.windows.net`.
    ///
    /// # Errors
    /// What is wrong with the endpoint: a token is only sent over https.
    pub fn at(endpoint: &str, principal: Principal) -> Result<Self, &'static str> {
        let url = Url::parse(endpoint).map_err(|_| "it must be a URL")?;
        if url.scheme() != "https" {
            return Err("it must begin with https://, since tokens are sent to it");
        }
        Self::new(url, SignIn::As(principal))
    }

    /// Parses a connection string. Names of parts are case-insensitive; parts for other services are
    /// ignored.
    ///
    /// # Errors
    /// What is wrong; never the content.
    pub fn from_connection_string(text: &str) -> Result<Self, &'static str> {
        let mut parts = Parts::default();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or("it must be a list of NAME=VALUE; parts")?;
            match name.trim().to_ascii_lowercase().as_str() {
                "usedevelopmentstorage" => parts.emulator = value.eq_ignore_ascii_case("true"),
                "defaultendpointsprotocol" => parts.protocol = Some(value),
                "accountname" => parts.account = Some(value),
                "accountkey" => parts.key = Some(value),
                "tableendpoint" => parts.endpoint = Some(value),
                "endpointsuffix" if !value.is_empty() => parts.suffix = Some(value),
                "sharedaccesssignature" => {
                    return Err(
                        "shared access signatures are not supported: use AccountKey, or \
                                HO_TABLES_ENDPOINT with a managed identity",
                    );
                }
                _ => {}
            }
        }
        parts.into_account()
    }

    fn new(url: Url, sign_in: SignIn) -> Result<Self, &'static str> {
        let service = url.host_str().and_then(|host| host.split('.').nth(1));
        if matches!(service, Some("blob" | "dfs" | "file" | "queue" | "web")) {
            return Err(
                "it is the address of another service of the account: that of its tables is \
                 https://ACCOUNT.table.core.windows.net",
            );
        }
        match (url.scheme(), url.host(), is_bare(&url)) {
            ("http" | "https", Some(_), true) => Ok(Self {
                endpoint: url.as_str().trim_end_matches('/').to_owned(),
                sign_in,
            }),
            _ => Err("its address must be http(s)://HOST or http(s)://HOST/ACCOUNT and no more"),
        }
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.endpoint.starts_with("https://")
    }
}

#[derive(Default)]
struct Parts<'a> {
    emulator: bool,
    protocol: Option<&'a str>,
    account: Option<&'a str>,
    key: Option<&'a str>,
    endpoint: Option<&'a str>,
    suffix: Option<&'a str>,
}

impl Parts<'_> {
    fn into_account(self) -> Result<Account, &'static str> {
        let (account, key) = match (self.account, self.key) {
            (None, None) if self.emulator => (EMULATOR, EMULATOR_KEY),
            (Some(account), Some(key)) => (account, key),
            (None, _) => return Err("AccountName is missing"),
            (_, None) => return Err("AccountKey is missing"),
        };
        let is_name = (3..=24).contains(&account.len())
            && account
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !is_name {
            return Err("AccountName must have 3 to 24 lower-case letters and digits");
        }
        if BASE64.decode(key).is_err() {
            return Err("AccountKey must be base64");
        }
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint.to_owned(),
            None if self.emulator => format!("http://127.0.0.1:10002/{EMULATOR}"),
            None => format!(
                "{}://{account}.table.{}",
                self.protocol.unwrap_or("https"),
                self.suffix.unwrap_or("core.windows.net")
            ),
        };
        let url = Url::parse(&endpoint).map_err(|_| "TableEndpoint must be a URL")?;
        let sign_in = SignIn::Key {
            account: account.to_owned(),
            key: Secret::new(key.to_owned()),
        };
        Account::new(url, sign_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_another_service_is_refused() {
        for service in ["blob", "queue", "file", "dfs"] {
            let address = format!("https://store1.{service}.core.windows.net");
            let error = Account::at(&address, Principal::AzureCli).unwrap_err();
            assert!(
                error.starts_with("it is the address of another service"),
                "{error}"
            );
            let text = format!("AccountName=store1;AccountKey=a2V5;TableEndpoint={address}");
            assert_eq!(Account::from_connection_string(&text).unwrap_err(), error);
        }
        Account::at(
            "https://store1.privatelink.table.core.windows.net",
            Principal::AzureCli,
        )
        .unwrap();
    }

    #[test]
    fn reads_the_strings_that_people_have() {
        for (text, endpoint) in [
            (
                "UseDevelopmentStorage=true",
                "http://127.0.0.1:10002/devstoreaccount1",
            ),
            (
                "usedevelopmentstorage=TRUE;",
                "http://127.0.0.1:10002/devstoreaccount1",
            ),
            (
                "DefaultEndpointsProtocol=https;AccountName=store1;AccountKey=a2V5;EndpointSuffix=core.windows.net",
                "https://store1.table.core.windows.net",
            ),
            (
                "AccountName=store1;AccountKey=a2V5==;EndpointSuffix=core.usgovcloudapi.net",
                "https://store1.table.core.usgovcloudapi.net",
            ),
            (
                "accountname=store1; accountkey=a2V5; BlobEndpoint=https://x/; EndpointSuffix=; Whatever=1;",
                "https://store1.table.core.windows.net",
            ),
            (
                "AccountName=store1;AccountKey=a2V5;TableEndpoint=http://10.0.0.4:10002/store1/;",
                "http://10.0.0.4:10002/store1",
            ),
        ] {
            let text = text.replace("a2V5==", "a2V5");
            let account = Account::from_connection_string(&text).unwrap();
            assert_eq!(account.endpoint, endpoint);
            assert!(!format!("{account:?}").contains("a2V5"), "{account:?}");
        }
    }

    #[test]
    fn refuses_the_others_and_never_repeats_them() {
        for text in [
            "",
            "nonsense-SECRET",
            "AccountName=store1",
            "AccountKey=c2VjcmV0U0VDUkVU",
            "AccountName=store1;AccountKey=not base64 SECRET",
            "AccountName=Store_1;AccountKey=c2VjcmV0U0VDUkVU",
            "AccountName=store1;AccountKey=a2V5;TableEndpoint=SECRET",
            "AccountName=store1;AccountKey=a2V5;TableEndpoint=https://x/?sig=SECRET",
            "AccountName=store1;AccountKey=a2V5;DefaultEndpointsProtocol=ftp",
            "TableEndpoint=https://x.table.core.windows.net;SharedAccessSignature=sv=1&sig=SECRET",
        ] {
            let error = Account::from_connection_string(text).unwrap_err();
            assert!(
                !error.contains("SECRET") && !error.contains("c2Vj"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_token_goes_over_https_or_not_at_all() {
        for endpoint in [
            "http://store1.table.core.windows.net",
            "store1",
            "https://user:password@store1.table.core.windows.net",
            "https://store1.table.core.windows.net/?sv=1",
        ] {
            assert!(
                Account::at(endpoint, Principal::AzureCli).is_err(),
                "{endpoint}"
            );
        }
        let account = Account::at(
            "https://store1.table.core.windows.net/",
            Principal::ManagedIdentity(None),
        );
        assert_eq!(
            account.unwrap().endpoint,
            "https://store1.table.core.windows.net"
        );
    }
}
