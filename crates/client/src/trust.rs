//! Which keys and issuers of the gate count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::receipt::thumbprint;
use human_oversight_protocol::types::{KeyLife, KeySet};

use crate::error::Error;

/// What the program's settings trust, and what the gate published. Clones share the latter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// The thumbprints of the only keys that count, and when they do; without them, the keys that the gate publishes.
    pinned: Option<Vec<(String, KeyLife)>>,
    /// The only issuers that count; without them, those that the gate published first.
    issuers: Vec<String>,
    published: Arc<Mutex<KeySet>>,
}

impl Trust {
    /// Trusts these keys alone, and the issuers that stand beside them.
    pub(crate) fn pin_keys(&mut self, keys: KeySet) {
        let pinned = keys.keys.iter().map(|key| (thumbprint(key), key.life));
        self.pinned = Some(pinned.collect());
        if self.issuers.is_empty() {
            self.issuers = keys.issuers;
        }
    }

    pub(crate) fn pin(&mut self, thumbprints: Vec<String>) {
        let pinned = thumbprints.into_iter();
        self.pinned = Some(pinned.map(|it| (it, KeyLife::default())).collect());
    }

    pub(crate) fn set_issuers(&mut self, issuers: Vec<String>) {
        self.issuers = issuers;
    }

    /// Pins what `HO_KEYS` names: thumbprints, separated by commas, or the file of a JWK set.
    pub(crate) fn pin_setting(&mut self, setting: &str) -> Result<(), Error> {
        let parts: Vec<&str> = setting.split(',').map(str::trim).collect();
        if parts.iter().all(|part| is_thumbprint(part)) {
            self.pin(parts.into_iter().map(str::to_owned).collect());
            return Ok(());
        }
        let unusable = |why: String| {
            Error::Settings(format!(
                "HO_KEYS must be thumbprints of 43 characters, separated by commas, or the file of a JWK set: \
                 {why}"
            ))
        };
        let file = std::fs::read(setting)
            .map_err(|error| unusable(format!("the file cannot be read: {error}")))?;
        let keys = serde_json::from_slice(&file)
            .map_err(|error| unusable(format!("the file is no JWK set: {error}")))?;
        self.pin_keys(keys);
        Ok(())
    }

    /// Fails if keys are pinned and nothing says which gate they belong to.
    pub(crate) fn check_settings(&self) -> Result<(), Error> {
        if self.pinned.is_some() && self.issuers.is_empty() {
            return Err(Error::Settings(
                "with HO_KEYS, HO_ISSUER must name the gate's public address, which its receipts contain as iss"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Keeps what the gate published. The issuers are those of the first time, unless the settings name the ones that
    /// count.
    pub(crate) fn learn(&self, published: KeySet) {
        let mut known = self.published();
        known.keys = published.keys;
        if known.issuers.is_empty() || !self.issuers.is_empty() {
            known.issuers = published.issuers;
        }
    }

    /// The keys and issuers that count.
    ///
    /// # Errors
    /// When there are none, or none that both sides name, so that no approval could be verified.
    pub(crate) fn known(&self) -> Result<KeySet, Error> {
        self.check_settings()?;
        let mut known = self.published().clone();
        if known.issuers.is_empty() {
            return Err(Error::Untrusted(
                "the gate does not say that it signs permits, and without one this client runs nothing: \
                 upgrade the gate before its clients, and set its HO_ROWS to 2"
                    .to_owned(),
            ));
        }
        if let Some(pinned) = &self.pinned {
            known.keys.retain_mut(|key| {
                let named = thumbprint(key);
                let life = pinned.iter().find(|(pinned, _)| *pinned == named);
                // The file may know of a revocation that the gate, or what answers for it, does not publish.
                life.is_some_and(|(_, life)| {
                    key.life = key.life.and(*life);
                    true
                })
            });
        }
        if known.keys.iter().all(|key| key.life.revoked) {
            return Err(Error::Untrusted(
                "the gate publishes none of the keys that this client trusts (HO_KEYS), or only revoked ones"
                    .to_owned(),
            ));
        }
        if !self.issuers.is_empty() {
            if !self.issuers.iter().any(|it| known.issuers.contains(it)) {
                return Err(Error::Settings(format!(
                    "no approval could be verified: this client trusts the issuer {} (HO_ISSUER), and the gate signs as {}",
                    self.issuers.join(", "),
                    known.issuers.join(", ")
                )));
            }
            known.issuers.clone_from(&self.issuers);
        }
        Ok(known)
    }

    fn published(&self) -> MutexGuard<'_, KeySet> {
        // A panic cannot leave it half-written.
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_thumbprint(text: &str) -> bool {
    BASE64URL.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}
