//! Where requests are kept.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::ConfigError;
use super::lookup::{HOME, Lookup, non_empty, principal, resource, unusable};
use crate::azure::http;
use crate::keys::{LinkKeys, NamedKey, keyring};
use crate::store::{Account, Store};
use crate::values::Clock;

/// Where requests are kept.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// In a file of this folder.
    Embedded(PathBuf),
    /// In a table of a storage account.
    Tables {
        /// The account.
        account: Account,
        /// The table's name.
        table: String,
    },
}

/// Where a table is, and the keys that are at hand for it.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Where the rows are.
    pub store: StoreConfig,
    /// The folder of what a developer's gate keeps for itself.
    pub home: PathBuf,
    /// The keys of links and of seals.
    pub link_keys: Option<Vec<NamedKey>>,
    /// The keys of receipts.
    pub receipt_keys: Option<Vec<NamedKey>>,
}

impl Archive {
    /// Reads the settings that it takes to look at a table, and no others.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::of(&|name| non_empty(&lookup, name), false)
    }

    pub(super) fn of(get: &Lookup<'_>, production: bool) -> Result<Self, ConfigError> {
        let key_list = |name| {
            let keys = get(name).map(|list| keyring::parse(&list));
            keys.transpose()
                .map_err(|error| ConfigError::Keys { name, error })
        };
        let store = store(get, production)?;
        Ok(Self {
            home: match &store {
                StoreConfig::Embedded(dir) => dir.clone(),
                StoreConfig::Tables { .. } => PathBuf::from(HOME),
            },
            store,
            link_keys: key_list("HO_LINK_KEYS")?,
            receipt_keys: key_list("HO_RECEIPT_KEYS")?,
        })
    }
}

impl StoreConfig {
    /// Opens it; nothing is read or sent yet. For the limit and the keys see [`Store::embedded`].
    ///
    /// # Errors
    /// Why no connection can ever be made.
    pub fn open(
        &self,
        open_limit: usize,
        clock: Clock,
        keys: Option<Arc<LinkKeys>>,
    ) -> Result<Store, String> {
        match self {
            Self::Embedded(dir) => Ok(Store::embedded(dir, open_limit, keys)),
            Self::Tables { account, table } => {
                let wire = Arc::new(http::client()?);
                Ok(Store::tables(account, table, wire, clock, open_limit, keys))
            }
        }
    }
}

const ENDPOINT: &str = "HO_TABLES_ENDPOINT";
const CONNECTION_STRING: &str = "HO_TABLES_CONNECTION_STRING";

/// A table's name has 63 characters at most, and the index's begins with `open`. Power BI's connector
/// does not find tables whose names have capitals.
const TABLE_CHARS: usize = 59;

fn store(get: &Lookup<'_>, production: bool) -> Result<StoreConfig, ConfigError> {
    let store = get("HO_STORE").unwrap_or_else(|| format!("embedded:{HOME}"));
    match store.split_once(':') {
        None if store == "tables" => {}
        Some(("embedded", dir)) if !dir.is_empty() => {
            return Ok(StoreConfig::Embedded(PathBuf::from(dir)));
        }
        _ => {
            return Err(unusable(
                "HO_STORE",
                "it must be `tables` or `embedded:FOLDER`",
            ));
        }
    }
    let account = resource(
        get,
        [ENDPOINT, CONNECTION_STRING],
        "HO_STORE=tables needs an account (or HO_TABLES_CONNECTION_STRING)",
        |address| Account::at(address, principal(get, production)),
        Account::from_connection_string,
    )?;
    let table = get("HO_TABLE").unwrap_or_else(|| "approvals".to_owned());
    let is_name = (3..=TABLE_CHARS).contains(&table.len())
        && table.starts_with(|c: char| c.is_ascii_lowercase())
        && table
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !is_name {
        return Err(unusable(
            "HO_TABLE",
            "it must have 3 to 59 lower-case letters and digits, a letter first",
        ));
    }
    Ok(StoreConfig::Tables { account, table })
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn tables_take_one_account_and_a_name() {
        let endpoint = (ENDPOINT, "https://store1.table.core.windows.net");
        let string = (CONNECTION_STRING, "UseDevelopmentStorage=true");
        let tables = ("HO_STORE", "tables");
        let sign_in = |settings: &[(&str, &str)]| match read(settings).unwrap().store {
            StoreConfig::Tables { account, .. } => format!("{account:?}"),
            other => panic!("{other:?}"),
        };
        assert!(sign_in(&[tables, endpoint]).contains("AzureCli"));
        let identity = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi");
        assert!(sign_in(&[tables, endpoint, identity]).contains("ManagedIdentity(None)"));
        let named = ("AZURE_CLIENT_ID", "1-2-3");
        assert!(sign_in(&[tables, endpoint, identity, named]).contains("1-2-3"));
        assert!(sign_in(&[tables, string]).contains("devstoreaccount1"));

        for (settings, name) in [
            (vec![tables], ENDPOINT),
            (vec![tables, endpoint, string], CONNECTION_STRING),
            (vec![tables, (ENDPOINT, "http://x")], ENDPOINT),
            (vec![tables, (CONNECTION_STRING, "x")], CONNECTION_STRING),
            (vec![tables, string, ("HO_TABLE", "Approvals")], "HO_TABLE"),
            (vec![tables, string, ("HO_TABLE", "1a")], "HO_TABLE"),
        ] {
            let error = read(&settings).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
