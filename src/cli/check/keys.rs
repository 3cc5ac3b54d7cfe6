//! The keys of the settings: their ages, which one signs, and until when one does.

use std::time::Duration;

use human_oversight::app::{self, Finding, Grade, SweepRecord};
use human_oversight::config::{StoreConfig, StoreSettings};
use human_oversight::keys::{KeyKind, NamedKey, ReceiptKeys};
use human_oversight::values::Timestamp;
use human_oversight_protocol::types::{Key, KeyLife};

use super::super::clock::now;
use super::super::maintenance::named_keys;

/// How long a key may make new signatures and secrets before it should be rotated.
const OLD_AFTER: Duration = Duration::from_secs(365 * 86_400);

/// The keys of each setting, one of which makes new ones, and since when a sweep has had each.
pub(super) fn check_keys(settings: &StoreSettings, record: Option<&SweepRecord>) -> Vec<Finding> {
    let ages = Ages { record, now: now() };
    let mut found = Vec::new();
    match read(settings, KeyKind::Link) {
        Ok(keys) => {
            found.push(ages.list(KeyKind::Link, &keys));
            found.extend(ages.judge(KeyKind::Link, &keys[0].kid));
        }
        Err(finding) => found.push(finding),
    }
    match read(settings, KeyKind::Receipt) {
        Ok(keys) => found.extend(check_receipt_keys(&keys, &ages)),
        Err(finding) => found.push(finding),
    }
    found
}

fn read(settings: &StoreSettings, kind: KeyKind) -> Result<Vec<NamedKey>, Finding> {
    let name = kind.setting();
    match named_keys(settings, kind) {
        Ok(Some(keys)) => Ok(keys),
        Ok(None) if matches!(settings.store, StoreConfig::Embedded(_)) => Err(Finding::ok(
            format!("{name}: the gate generates a key at its start"),
        )),
        Ok(None) => Err(Finding::warning(format!("{name} is not known here"))),
        Err(error) => Err(Finding::failed(format!("{name} cannot be used: {error:#}"))),
    }
}

fn check_receipt_keys(keys: &[NamedKey], ages: &Ages<'_>) -> Vec<Finding> {
    let name = KeyKind::Receipt.setting();
    let listed = ages.list(KeyKind::Receipt, keys);
    let keys = match ReceiptKeys::new(keys) {
        Ok(keys) => keys,
        Err(error) => return vec![Finding::failed(format!("{name} cannot be used: {error}"))],
    };
    let kid = match keys.signing_kid(ages.now) {
        Ok(kid) => kid,
        Err(error) => return vec![listed, Finding::failed(error.to_string())],
    };
    let published = &keys.public().keys;
    let mut found = vec![listed];
    found.extend(
        published
            .iter()
            .find(|key| key.kid == kid)
            .map(|signs| check_algorithm(signs, published)),
    );
    found.extend(ages.judge(KeyKind::Receipt, kid));
    found.extend(Some(app::check_receipt_keys(&keys, ages.now)).filter(|it| it.grade != Grade::Ok));
    found
}

/// Clients of earlier versions refuse what they cannot verify, so that their agents would run nothing.
fn check_algorithm(signs: &Key, published: &[Key]) -> Finding {
    let detail = format!("HO_RECEIPT_KEYS: {} signs, with {}", signs.kid, signs.alg);
    if signs.alg != "ES256" {
        return Finding::ok(detail);
    }
    let detail = format!("{detail}, which Rust crates of earlier versions do not verify");
    if published.iter().all(|key| key.alg == signs.alg) {
        Finding::ok(detail)
    } else {
        Finding::warning(format!(
            "{detail}, as they do the keys of before: upgrade every agent first"
        ))
    }
}

/// Since when a sweep has had each key.
struct Ages<'a> {
    record: Option<&'a SweepRecord>,
    now: Timestamp,
}

impl Ages<'_> {
    fn list(&self, kind: KeyKind, keys: &[NamedKey]) -> Finding {
        let described = keys.iter().map(|key| {
            let (kid, age) = (&key.kid, self.describe(kind, &key.kid));
            format!("{kid} ({age}{})", life(key.life))
        });
        let described: Vec<String> = described.collect();
        Finding::ok(format!("{}: {}", kind.setting(), described.join(", ")))
    }

    /// A warning if the key that makes new ones is old.
    fn judge(&self, kind: KeyKind, kid: &str) -> Option<Finding> {
        let (name, since) = (kind.setting(), self.since(kind, kid)?);
        (self.now.since(since) > OLD_AFTER).then(|| {
            let days = OLD_AFTER.as_secs() / 86_400;
            Finding::warning(format!(
                "{name}: {kid} has been in use for more than {days} days: rotate it"
            ))
        })
    }

    fn describe(&self, kind: KeyKind, kid: &str) -> String {
        match self.since(kind, kid) {
            None => "not seen by a sweep yet".to_owned(),
            Some(since) => {
                let days = self.now.since(since).as_secs() / 86_400;
                format!("in use for {days} days, since {since}")
            }
        }
    }

    fn since(&self, kind: KeyKind, kid: &str) -> Option<Timestamp> {
        let keys = &self.record?.keys;
        keys.get(&kind.name_key(kid)).copied()
    }
}

fn life(KeyLife { nbf, exp, revoked }: KeyLife) -> String {
    let nbf = nbf.map(|at| format!("; in force from {}", date(at)));
    let exp = exp.map(|at| format!("; until {}", date(at)));
    let revoked = revoked.then(|| "; revoked".to_owned());
    [nbf, exp, revoked].into_iter().flatten().collect()
}

fn date(seconds: i64) -> String {
    let at = Timestamp::from_unix_millis(seconds.saturating_mul(1_000));
    at.map_or_else(|| seconds.to_string(), |at| at.to_string())
}
