//! Signing the manifest of an evidence folder.

use human_oversight_protocol::manifest;

use super::receipt_keys::{NoKeyInForce, ReceiptKeys};

impl ReceiptKeys {
    /// Signs the list of the files.
    ///
    /// # Errors
    /// [`NoKeyInForce`].
    pub fn sign_manifest(&self, claims: &manifest::Claims) -> Result<String, NoKeyInForce> {
        let (kid, key) = self.signer(claims.iat)?;
        Ok(manifest::sign(claims, kid, key))
    }
}
