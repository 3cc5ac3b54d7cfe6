//! Builds the gate from its settings.

use std::sync::Arc;

use super::accounts::OwnerAccounts;
use super::calls::Calls;
use super::channel_sender::ChannelSender;
use super::code_turns::CodeTurns;
use super::index_rebuild::IndexRebuild;
use super::last_reading::LastReading;
use super::set_aside::SetAside;
use super::state::App;
use super::sweep_record::LastSweep;
use super::unseen_changes::UnseenChanges;
use crate::channels::Sender;
use crate::config::{Config, ConfigError, StoreConfig};
use crate::domain::{MISCONFIGURED_PAUSE, Pause, PauseScope};
use crate::keys::{KeyError, KeyKind, LinkKeys, NamedKey, ReceiptKeys, keyring};
use crate::mailer::Mailer;
use crate::store::EMBEDDED_FILE;
use crate::values::Clock;

/// Why the gate cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Usually because the machine has no trusted certificates.
    #[error("the HTTP client cannot be built: {0}")]
    Http(String),
    #[error("the mail transport cannot be used: {0}")]
    Mail(String),
    #[error("the key file `{file}` of local development cannot be used")]
    LocalKeys {
        file: &'static str,
        source: std::io::Error,
    },
}

impl App {
    /// Builds the gate for the `port` it listens on. Reads or creates key files; connections are opened at
    /// their first use.
    ///
    /// # Errors
    /// When a setting or a key file cannot be used.
    pub fn assemble(config: Config, port: u16, clock: Clock) -> Result<Self, AssembleError> {
        let (link_keys, receipt_keys) = keys(&config, &clock)?;
        let link_keys = Arc::new(link_keys);
        let mailer = Mailer::new(
            &config.mail,
            config.mail_from.clone(),
            &config.brand.name,
            MISCONFIGURED_PAUSE,
            clock.clone(),
        );
        let keys = Some(link_keys.clone());
        let rows = config.rows.clone();
        let store = config
            .store
            .open(config.open_limit, clock.clone(), keys, rows);
        // Certificates are read only where there is something to send.
        let sender = (!config.channels.is_empty())
            .then(|| Sender::new(config.channels_allow_private))
            .transpose();
        let paused_by_setting = config.paused.then(|| Pause {
            scope: PauseScope::All,
            since: clock(),
            reason: Some("HO_PAUSED is set".to_owned()),
        });
        let base_url = config.base_url.clone();
        Ok(Self {
            base_url: base_url.unwrap_or_else(|| format!("http://127.0.0.1:{port}")),
            store: store.map_err(AssembleError::Http)?,
            mailer: mailer.map_err(AssembleError::Mail)?,
            link_keys,
            receipt_keys,
            clock,
            changes: Arc::default(),
            calls: Calls::default(),
            waits: Arc::default(),
            code_turns: CodeTurns::default(),
            accounts: OwnerAccounts::default(),
            paused_by_setting,
            last_pauses: LastReading::of_pauses(),
            set_aside: SetAside::default(),
            last_sweep: LastSweep::default(),
            index_rebuild: IndexRebuild::default(),
            channel_sender: ChannelSender::new(sender.map_err(AssembleError::Http)?),
            last_off_channels: LastReading::of_off_channels(),
            people: config.people(),
            unseen_changes: UnseenChanges::default(),
            config,
        })
    }
}

/// The keys of the settings, or else of the key files of local development.
fn keys(config: &Config, clock: &Clock) -> Result<(LinkKeys, ReceiptKeys), AssembleError> {
    let dir = &config.home;
    // Its rows are sealed and signed with the keys that it has.
    let has_rows =
        matches!(&config.store, StoreConfig::Embedded(dir) if dir.join(EMBEDDED_FILE).exists());
    let load = |keys: &Option<Vec<NamedKey>>, kind: KeyKind| match keys {
        Some(keys) => Ok(keys.clone()),
        None => keyring::load_or_create(dir, kind, !has_rows).map_err(|source| {
            AssembleError::LocalKeys {
                file: kind.file(),
                source,
            }
        }),
    };
    let link_keys = load(&config.link_keys, KeyKind::Link)?;
    let receipt_keys = load(&config.receipt_keys, KeyKind::Receipt)?;
    let unusable = |kind: KeyKind| {
        let name = kind.setting();
        move |error| ConfigError::Keys { name, error }
    };
    let link_keys = LinkKeys::new(&link_keys).map_err(unusable(KeyKind::Link))?;
    let receipt_keys = ReceiptKeys::new(&receipt_keys).map_err(unusable(KeyKind::Receipt))?;
    receipt_keys
        .signing_kid(clock())
        .map_err(|_| unusable(KeyKind::Receipt)(KeyError::NoneInForce))?;
    Ok((link_keys, receipt_keys))
}
