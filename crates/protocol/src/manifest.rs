//! Manifests: the gate's signed list of the files of an evidence folder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::jws;
use crate::signing_key::SigningKey;
use crate::types::KeySet;

/// The `typ` of a manifest's header.
pub const TYPE: &str = "oversight-evidence+jwt";

/// The content of a manifest. Unknown claims, which a later version may add, are ignored (RFC 7519, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// When the folder was written, in seconds since 1970.
    pub iat: i64,
    /// The beginning of the time of the requests in it, RFC 3339.
    pub since: String,
    /// The end of that time, which is not part of it.
    pub until: String,
    /// Whether the rows have their parameters.
    pub with_parameters: bool,
    /// The version of the program that wrote it.
    pub version: String,
    /// The SHA-256 of each file, in 64 hexadecimal digits, by its path in the folder.
    pub files: BTreeMap<String, String>,
}

jws::define_error!(ManifestError, "manifest");

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &SigningKey) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// Verifies the signature and returns the claims.
///
/// # Errors
/// When it is not a manifest that the holder of a receipt key signed.
pub fn verify(manifest: &str, keys: &KeySet) -> Result<Claims, ManifestError> {
    Ok(jws::verify(TYPE, manifest, keys)?)
}
