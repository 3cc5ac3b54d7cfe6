//! What the commands share that work on the table by themselves.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use human_oversight::config::{Archive, StoreConfig};
use human_oversight::keys::LinkKeys;
use human_oversight::keys::keyring::{self, NamedKey};
use human_oversight::store::{Store, Stored};
use human_oversight::values::Clock;

/// Opens the table; for the limit and the keys see [`Store::embedded`].
pub(crate) fn open(
    archive: &Archive,
    open_limit: usize,
    clock: Clock,
    keys: Option<Arc<LinkKeys>>,
) -> anyhow::Result<Store> {
    let store = archive.store.open(open_limit, clock, keys);
    store.map_err(|why| anyhow!("no connection can be made: {why}"))
}

/// A store that is only looked at is not made.
pub(crate) fn must_be_there(archive: &Archive) -> anyhow::Result<()> {
    match &archive.store {
        StoreConfig::Embedded(dir) if !dir.join("approvals.db").is_file() => {
            bail!("there is no store in {}", dir.display());
        }
        _ => Ok(()),
    }
}

/// Goes through all rows, page by page.
pub(crate) async fn each(
    store: &Store,
    mut see: impl AsyncFnMut(Stored) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut place = None;
    loop {
        let (page, next) = store.all(place).await.context("the table cannot be read")?;
        for row in page {
            see(row).await?;
        }
        place = next;
        if place.is_none() {
            return Ok(());
        }
    }
}

/// The keys of the seals, if they are at hand.
pub(crate) fn link_keys(archive: &Archive) -> anyhow::Result<Option<Arc<LinkKeys>>> {
    let keys = named(archive, &archive.link_keys, "link.keys")?;
    let keys = keys.map(|keys| LinkKeys::new(&keys)).transpose();
    Ok(keys.context("HO_LINK_KEYS cannot be used")?.map(Arc::new))
}

/// The same for what cannot do without.
pub(crate) fn needed_link_keys(archive: &Archive) -> anyhow::Result<Arc<LinkKeys>> {
    let missing = "without HO_LINK_KEYS it cannot be told which rows are sound";
    link_keys(archive)?.context(missing)
}

/// Keys of the settings, or those that a developer's gate keeps beside its store; none are made.
pub(crate) fn named(
    archive: &Archive,
    configured: &Option<Vec<NamedKey>>,
    file: &str,
) -> anyhow::Result<Option<Vec<NamedKey>>> {
    let file = archive.home.join(file);
    match (configured, &archive.store) {
        (Some(keys), _) => Ok(Some(keys.clone())),
        (None, StoreConfig::Embedded(_)) if file.exists() => {
            let text = std::fs::read_to_string(&file)?;
            Ok(Some(keyring::parse(text.trim())?))
        }
        _ => Ok(None),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the commands are for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
