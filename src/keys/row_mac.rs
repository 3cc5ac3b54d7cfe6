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
    #[error(
        "the row MAC was made with a key that is not in HO_LINK_KEYS: see docs/operations.md#keys-and-key-rotation"
    )]
    UnknownKey,
}

impl LinkKeys {
    /// The MAC of a row of version 1: `{kid}.{43 characters}`.
    pub fn row_mac_v1(&self, row: &[u8]) -> String {
        self.mac_with_kid([b"oversight row 1", row])
    }

    /// Verifies the MAC of a row of version 1.
    ///
    /// # Errors
    /// When the MAC does not match, or its key is not configured.
    pub fn verify_row_mac_v1(&self, row: &[u8], mac: &str) -> Result<(), RowMacError> {
        self.verify_mac([b"oversight row 1", row], mac)
    }

    /// The MAC of the columns of a row of version 2, for a gate and a table: `{kid}.{43 characters}`.
    pub fn row_mac_v2(&self, gate: &str, table: &str, columns: &[u8]) -> String {
        self.mac_with_kid(columns_parts(gate, table, columns))
    }

    /// Verifies the MAC of a row of version 2.
    ///
    /// # Errors
    /// When it does not match, or its key is not configured.
    pub fn verify_row_mac_v2(
        &self,
        gate: &str,
        table: &str,
        columns: &[u8],
        mac: &str,
    ) -> Result<(), RowMacError> {
        self.verify_mac(columns_parts(gate, table, columns), mac)
    }

    fn mac_with_kid<const PARTS: usize>(&self, parts: [&[u8]; PARTS]) -> String {
        let key = self.current();
        format!("{}.{}", key.kid, BASE64URL.encode(key.mac(parts)))
    }

    fn verify_mac<const PARTS: usize>(
        &self,
        parts: [&[u8]; PARTS],
        mac: &str,
    ) -> Result<(), RowMacError> {
        let (kid, mac) = mac.rsplit_once('.').ok_or(RowMacError::Mismatch)?;
        let key = self.find(kid).ok_or(RowMacError::UnknownKey)?;
        let expected = BASE64URL.encode(key.mac(parts));
        if bool::from(expected.as_bytes().ct_eq(mac.as_bytes())) {
            Ok(())
        } else {
            Err(RowMacError::Mismatch)
        }
    }
}

fn columns_parts<'a>(gate: &'a str, table: &'a str, columns: &'a [u8]) -> [&'a [u8]; 4] {
    [
        b"oversight row 2",
        gate.as_bytes(),
        table.as_bytes(),
        columns,
    ]
}
