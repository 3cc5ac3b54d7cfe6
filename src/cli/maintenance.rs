//! What the commands for the table share.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use human_oversight::config::{StoreConfig, StoreSettings};
use human_oversight::keys::keyring::{self, NamedKey};
use human_oversight::keys::{KeyKind, LinkKeys, ReceiptKeys};
use human_oversight::store::{
    Cursor, EMBEDDED_FILE, Store, StoreError, StoredDecidedRow, StoredRow, StoredStandingRow,
};
use human_oversight::values::Clock;

use super::output::complain;

/// Opens the table; for the limit and the keys see [`Store::embedded`].
pub(crate) fn open(
    settings: &StoreSettings,
    open_limit: usize,
    clock: Clock,
    keys: Option<Arc<LinkKeys>>,
) -> anyhow::Result<Store> {
    let rows = settings.rows.clone();
    let store = settings.store.open(open_limit, clock, keys, rows);
    store.map_err(|why| anyhow!("no connection can be made: {why}"))
}

/// Fails if the file does not exist, since opening would create it.
pub(crate) fn ensure_store_exists(settings: &StoreSettings) -> anyhow::Result<()> {
    match &settings.store {
        StoreConfig::Embedded(dir) if !dir.join(EMBEDDED_FILE).is_file() => {
            bail!("there is no store in {}", dir.display());
        }
        _ => Ok(()),
    }
}

/// Opens a store that exists, with the link keys that verify its rows.
///
/// # Errors
/// As [`open_whole`]; or when there are no link keys.
pub(crate) async fn open_existing(settings: &StoreSettings, clock: Clock) -> anyhow::Result<Store> {
    ensure_store_exists(settings)?;
    let link_keys = required_link_keys(settings)?;
    open_whole(settings, clock, Some(link_keys)).await
}

/// Opens a store that exists, to judge its rows, by what they say alone if there are no link keys. Where the clock of this
/// machine is wrong, it says so.
///
/// # Errors
/// As [`open_whole`]; or when the table cannot be read.
pub(crate) async fn open_to_judge(
    settings: &StoreSettings,
    clock: Clock,
    keys: Option<Arc<LinkKeys>>,
) -> anyhow::Result<Store> {
    let store = open_whole(settings, clock, keys).await?;
    check_clock(&store, Access::Reads).await?;
    Ok(store)
}

/// Opens a store that exists.
///
/// # Errors
/// As [`ensure_standing_is_kept`], with link keys; or when there is no store.
async fn open_whole(
    settings: &StoreSettings,
    clock: Clock,
    keys: Option<Arc<LinkKeys>>,
) -> anyhow::Result<Store> {
    ensure_store_exists(settings)?;
    let has_keys = keys.is_some();
    let store = open(settings, 0, clock, keys)?;
    if has_keys {
        ensure_standing_is_kept(&store).await?;
    }
    Ok(store)
}

/// Fails if the standing table is lost: without the gate's id in it, no row can be trusted, and each would be called
/// damaged.
async fn ensure_standing_is_kept(store: &Store) -> anyhow::Result<()> {
    match store.ensure_gate_id_is_kept().await {
        Err(error @ StoreError::StandingLost) => Err(error.into()),
        // Each row says what else is wrong.
        _ => Ok(()),
    }
}

/// What a command does with the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Reads,
    /// What it writes depends on the time.
    Writes,
}

/// Compares the clock of this machine with that of the store. If it is so far off that a gate on this machine would
/// date nothing, a command that reads says so.
///
/// # Errors
/// When the clock is that far off and the command writes, or when the store cannot be read.
pub(crate) async fn check_clock(store: &Store, access: Access) -> anyhow::Result<()> {
    store
        .try_reading()
        .await
        .context("the table cannot be read")?;
    let Some(difference) = store.clock_difference().filter(|it| it.is_wrong()) else {
        return Ok(());
    };
    let wrong = format!("the clock of this machine is {difference}");
    if access == Access::Writes {
        bail!(
            "{wrong}, so that it would end or keep the wrong things: nothing was done. Set the clock, or work through \
             the gate where the command takes --url"
        );
    }
    complain(&format!(
        "human-oversight: {wrong}: what is said here to be open, over or active may not be so"
    ));
    Ok(())
}

/// Calls `visit` with every row, page by page.
pub(crate) async fn for_each_row(
    store: &Store,
    visit: impl AsyncFnMut(StoredRow) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for_each(async |cursor| store.all(cursor).await, "table", visit).await
}

/// As [`for_each_row`], with the rows of the standing table.
pub(crate) async fn for_each_standing_row(
    store: &Store,
    visit: impl AsyncFnMut(StoredStandingRow) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let page = async |cursor| store.all_standing(cursor).await;
    for_each(page, "standing table", visit).await
}

/// As [`for_each_row`], with the rows of the table of decisions.
pub(crate) async fn for_each_decided_row(
    store: &Store,
    visit: impl AsyncFnMut(StoredDecidedRow) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let page = async |cursor| store.all_decided(cursor).await;
    for_each(page, "table of decisions", visit).await
}

async fn for_each<Row>(
    page: impl AsyncFn(Option<Cursor>) -> Result<(Vec<Row>, Option<Cursor>), StoreError>,
    table: &str,
    mut visit: impl AsyncFnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut cursor = None;
    loop {
        let read = page(cursor).await;
        let (rows, next) = read.with_context(|| format!("the {table} cannot be read"))?;
        for row in rows {
            visit(row).await?;
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// The receipt keys, if they are configured or in the local key file.
pub(crate) fn receipt_keys(settings: &StoreSettings) -> anyhow::Result<Option<ReceiptKeys>> {
    let keys = named_keys(settings, KeyKind::Receipt)?;
    let keys = keys.map(|keys| ReceiptKeys::new(&keys)).transpose();
    keys.context("HO_RECEIPT_KEYS cannot be used")
}

/// The link keys, if they are configured or in the local key file.
pub(crate) fn link_keys(settings: &StoreSettings) -> anyhow::Result<Option<Arc<LinkKeys>>> {
    let keys = named_keys(settings, KeyKind::Link)?;
    let keys = keys.map(|keys| LinkKeys::new(&keys)).transpose();
    Ok(keys.context("HO_LINK_KEYS cannot be used")?.map(Arc::new))
}

/// As [`link_keys`], for commands that need them.
pub(crate) fn required_link_keys(settings: &StoreSettings) -> anyhow::Result<Arc<LinkKeys>> {
    let missing = "without HO_LINK_KEYS it cannot be told which rows are sound";
    link_keys(settings)?.context(missing)
}

/// The keys of the settings, or of the key file of local development; creates none.
pub(crate) fn named_keys(
    settings: &StoreSettings,
    kind: KeyKind,
) -> anyhow::Result<Option<Vec<NamedKey>>> {
    let configured = match kind {
        KeyKind::Link => &settings.link_keys,
        KeyKind::Receipt => &settings.receipt_keys,
    };
    let file = settings.home.join(kind.file());
    match (configured, &settings.store) {
        (Some(keys), _) => Ok(Some(keys.clone())),
        (None, StoreConfig::Embedded(_)) if file.exists() => {
            let read = || anyhow::Ok(keyring::parse(std::fs::read_to_string(&file)?.trim())?);
            read().map(Some).with_context(|| file.display().to_string())
        }
        _ => Ok(None),
    }
}

/// Why the store cannot be used, in the words of the program.
pub(crate) fn unusable(error: human_oversight::app::Error) -> anyhow::Error {
    let cause = error.cause().unwrap_or_default();
    anyhow::anyhow!("the store cannot be used: {cause}")
}
