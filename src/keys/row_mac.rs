//! The row MAC proves that a gate with these keys wrote every column of a stored row.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use subtle::ConstantTimeEq;

use super::link_keys::LinkKeys;

/// Why a row's MAC does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowMacError {
    /// The row was changed after the gate stored it.
    #[error("the row does not match its row MAC")]
    Mismatch,
    #[error("the row MAC was made with a key that is not in HO_LINK_KEYS")]
    UnknownKey,
}

const LABEL: &[u8] = b"oversight row 1";

impl LinkKeys {
    /// The MAC of a row: `{kid}.{43 characters}`.
    pub fn row_mac(&self, row: &[u8]) -> String {
        let key = self.current();
        format!("{}.{}", key.kid, BASE64URL.encode(key.mac([LABEL, row])))
    }

    /// Verifies the MAC stored with a row.
    ///
    /// # Errors
    /// When the MAC does not match, or its key is not configured.
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
