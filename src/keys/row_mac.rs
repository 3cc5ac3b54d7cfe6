//! The row MAC: binds every column of a stored row to the gate that wrote it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use subtle::ConstantTimeEq;

use super::link_keys::LinkKeys;

/// Why a row's MAC does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowMacError {
    /// The row was changed after the gate stored it.
    #[error("the row is not as it was sealed")]
    Mismatch,
    /// The key is not configured, so the MAC cannot be verified.
    #[error("the row is sealed with a key that is not in HO_LINK_KEYS")]
    UnknownKey,
}

const LABEL: &[u8] = b"oversight row 1";

impl LinkKeys {
    /// The MAC of a row: `{kid}.{43 characters}`.
    pub fn row_mac(&self, row: &[u8]) -> String {
        let key = self.current();
        format!("{}.{}", key.kid, BASE64URL.encode(key.mac([LABEL, row])))
    }

    /// Verifies the MAC that a row was stored with.
    ///
    /// # Errors
    /// When it does not match, or its key is not configured.
    pub fn verify_row_mac(&self, row: &[u8], mac: &str) -> Result<(), RowMacError> {
        let (kid, mac) = mac.rsplit_once('.').ok_or(RowMacError::Mismatch)?;
        let key = self.find(kid).ok_or(RowMacError::UnknownKey)?;
        let expected = BASE64URL.encode(key.mac([LABEL, row]));
        if bool::from(expected.as_bytes().ct_eq(mac.as_bytes())) {
            Ok(())
        } else {
            Err(RowMacError::Mismatch)
        }
    }
}
