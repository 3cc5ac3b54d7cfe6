//! Where requests are kept.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Url;

use super::address::base_url;
use super::error::{ConfigError, ConfigErrors};
use super::lookup::{HOME, Lookup, explain_quotes, non_empty, principal, resource, unusable};
use super::vault::References;
use crate::azure::http;
use crate::keys::{LinkKeys, NamedKey, keyring};
use crate::store::{Account, GateIdSetting, OpenedBy, RowSettings, RowVersion, Store};
use crate::values::{Clock, is_plain_name};

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

/// Where a table is, how its rows are written, and the keys that are at hand for it.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where the rows are.
    pub store: StoreConfig,
    /// How they are written.
    pub rows: RowSettings,
    /// The id that the gate itself takes at its first start.
    pub default_gate_id: Option<String>,
    /// The folder for the key files of local development.
    pub home: PathBuf,
    /// The link keys.
    pub link_keys: Option<Vec<NamedKey>>,
    /// The receipt keys.
    pub receipt_keys: Option<Vec<NamedKey>>,
}

impl StoreSettings {
    /// Reads the settings that it takes to read a table, and no others.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let references = References::default();
        let noted = references.noting(&lookup);
        let get = |name| non_empty(&noted, name);
        let mut errors = ConfigErrors::default();
        let settings = Self::parse(&get, false, &mut errors);
        let default_gate_id = match &settings.store {
            StoreConfig::Embedded(_) => Some("local".to_owned()),
            StoreConfig::Tables { .. } => errors
                .or(base_url(&get, false), None)
                .map(|url| gate_id_of(&url)),
        };
        drop(noted);
        references.refuse(&mut errors);
        explain_quotes(&mut errors, lookup);
        errors.finish(Self {
            default_gate_id,
            ..settings
        })
    }

    pub(super) fn parse(get: &Lookup<'_>, production: bool, errors: &mut ConfigErrors) -> Self {
        let store = store(get, production, errors);
        let store = store.unwrap_or_else(|| StoreConfig::Embedded(PathBuf::from(HOME)));
        let rows = rows(get, errors);
        let mut key_list = |name| {
            let keys = get(name).map(|list| keyring::parse(&list)).transpose();
            errors.or(
                keys.map_err(|error| ConfigError::Keys { name, error }),
                None,
            )
        };
        Self {
            home: match &store {
                StoreConfig::Embedded(dir) => dir.clone(),
                StoreConfig::Tables { .. } => PathBuf::from(HOME),
            },
            store,
            rows,
            default_gate_id: None,
            link_keys: key_list("HO_LINK_KEYS"),
            receipt_keys: key_list("HO_RECEIPT_KEYS"),
        }
    }
}

impl StoreConfig {
    /// The name, as in `HO_STORE`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Tables { .. } => "tables",
        }
    }

    /// Opens it; nothing is read or sent yet. For the limit and the keys see [`Store::embedded`].
    ///
    /// # Errors
    /// Why no connection can ever be made.
    pub fn open(
        &self,
        open_limit: usize,
        clock: Clock,
        keys: Option<Arc<LinkKeys>>,
        rows: RowSettings,
    ) -> Result<Store, String> {
        let store = match self {
            Self::Embedded(dir) => Store::embedded(dir, open_limit, keys),
            Self::Tables { account, table } => {
                let wire = Arc::new(http::client()?);
                Store::tables(account, table, wire, clock, open_limit, keys)
            }
        };
        Ok(store.with_rows(rows))
    }
}

const ENDPOINT: &str = "HO_TABLES_ENDPOINT";
const CONNECTION_STRING: &str = "HO_TABLES_CONNECTION_STRING";

/// A table's name has 63 characters at most, and the index's begins with `open`. Power BI's connector
/// does not find tables whose names have capitals.
const TABLE_CHARS: usize = 59;

fn store(get: &Lookup<'_>, production: bool, errors: &mut ConfigErrors) -> Option<StoreConfig> {
    let store = get("HO_STORE").unwrap_or_else(|| format!("embedded:{HOME}"));
    let why = match store.split_once(':') {
        None if store == "tables" => {
            let account = errors.keep(account(get, production));
            let table = errors.keep(table(get));
            return Some(StoreConfig::Tables {
                account: account?,
                table: table?,
            });
        }
        Some(("embedded", dir)) if !dir.is_empty() && !production => {
            return Some(StoreConfig::Embedded(PathBuf::from(dir)));
        }
        Some(("embedded", dir)) if !dir.is_empty() => {
            "the embedded store is for local development: its data is lost with the instance"
        }
        _ => "it must be `tables` or `embedded:FOLDER`",
    };
    errors.push(unusable("HO_STORE", why));
    None
}

fn account(get: &Lookup<'_>, production: bool) -> Result<Account, ConfigError> {
    let account = resource(
        get,
        [ENDPOINT, CONNECTION_STRING],
        "HO_STORE=tables needs an account (or HO_TABLES_CONNECTION_STRING)",
        |address| Account::at(address, principal(get, production)),
        Account::from_connection_string,
    )?;
    if production && !account.is_encrypted() {
        return Err(unusable(CONNECTION_STRING, "production requires https"));
    }
    Ok(account)
}

fn table(get: &Lookup<'_>) -> Result<String, ConfigError> {
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
    Ok(table)
}

/// The longest gate id: that of a host's name.
const GATE_ID_CHARS: usize = 253;

/// Without the id of a gate that has none yet: only a gate's first start makes one up.
fn rows(get: &Lookup<'_>, errors: &mut ConfigErrors) -> RowSettings {
    let version = match get("HO_ROWS").as_deref() {
        Some("1") => Ok(RowVersion::V1),
        None | Some("2") => Ok(RowVersion::V2),
        Some(_) => Err(unusable("HO_ROWS", "it must be 1 or 2")),
    };
    RowSettings {
        version: errors.or(version, RowVersion::V2),
        gate_id: get("HO_GATE_ID").and_then(|text| errors.keep(gate_id(&text))),
        default_gate_id: None,
        opened_by: OpenedBy::Command,
    }
}

fn gate_id(text: &str) -> Result<GateIdSetting, ConfigError> {
    let (id, replaces) = match text.split_once(',') {
        Some((id, replaced)) => (id.trim(), Some(replaced.trim())),
        None => (text, None),
    };
    if !is_gate_id(id) || !replaces.is_none_or(is_gate_id) {
        return Err(unusable(
            "HO_GATE_ID",
            &format!(
                "it must be an id of at most {GATE_ID_CHARS} characters [A-Za-z0-9._-], perhaps with `,` and the id that \
                 it replaces"
            ),
        ));
    }
    Ok(GateIdSetting {
        id: id.to_owned(),
        replaces: replaces.map(str::to_owned),
    })
}

/// Whether a text can be the id of a gate.
pub fn is_gate_id(text: &str) -> bool {
    is_plain_name(text, GATE_ID_CHARS)
}

/// The gate id that a base address gives: its host.
pub(super) fn gate_id_of(base_url: &str) -> String {
    let url = Url::parse(base_url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let plain = |c: char| Some(c).filter(is_plain).unwrap_or('-');
    host.chars().take(GATE_ID_CHARS).map(plain).collect()
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

    #[test]
    fn rows_are_of_version_2_and_sealed_for_the_base_address_unless_set() {
        let rows = |settings: &[(&str, &str)]| read(settings).unwrap().rows;
        let local = rows(&[("HO_BASE_URL", "https://gate.example.com")]);
        assert_eq!(local.version, RowVersion::V2);
        assert_eq!(local.default_gate_id.as_deref(), Some("local"));
        assert_eq!(rows(&[("HO_ROWS", "1")]).version, RowVersion::V1);
        for (setting, id, replaces) in [
            ("contoso", "contoso", None),
            ("new.example.com , old-1", "new.example.com", Some("old-1")),
        ] {
            let set = rows(&[("HO_GATE_ID", setting)]).gate_id.unwrap();
            assert_eq!((set.id.as_str(), set.replaces.as_deref()), (id, replaces));
        }
        let longest = "a".repeat(253);
        assert!(read(&[("HO_GATE_ID", &longest)]).is_ok());
        for wrong in [format!("{longest}a"), format!("new,{longest}a")] {
            let error = read(&[("HO_GATE_ID", &wrong)]).unwrap_err().to_string();
            assert!(error.contains("at most 253 characters"), "{error}");
        }
        for (url, id) in [
            ("https://Gate.example.com", "gate.example.com"),
            ("https://gate.example.com:8443", "gate.example.com"),
            ("https://[::1]:8443", "---1-"),
            ("https://gate.example.com/api", "gate.example.com"),
        ] {
            assert_eq!(gate_id_of(url), id);
        }
    }
}
