//! `human-oversight keygen`: prints fresh keys, and the thumbprint by which agents trust the receipt key.
//! `human-oversight public-key`: prints the public halves of the receipt keys.

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use human_oversight::config::StoreSettings;
use human_oversight::keys::{ReceiptKeys, keyring};
use human_oversight_protocol::receipt::thumbprint;

use super::maintenance::receipt_keys;
use super::output::show;

/// The algorithm with which a receipt key signs.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Algorithm {
    /// EdDSA with Ed25519
    Ed25519,
    /// ECDSA with P-256, which .NET and Azure API Management verify too
    Es256,
}

pub(crate) fn run(algorithm: Algorithm) {
    let receipt_key = match algorithm {
        Algorithm::Ed25519 => keyring::generate_receipt_key(),
        Algorithm::Es256 => keyring::generate_es256_key(),
    };
    let parsed = keyring::parse(&receipt_key).and_then(|keys| ReceiptKeys::new(&keys));
    let receipt_keys = parsed.expect("a generated key is valid");
    show(&format!("HO_LINK_KEYS={}", keyring::generate_link_key()));
    show(&format!("HO_RECEIPT_KEYS={receipt_key}"));
    show(&format!(
        "HO_KEYS={}",
        thumbprint(&receipt_keys.public().keys[0])
    ));
}

/// Prints the JWK set of `HO_RECEIPT_KEYS`, or of the key file of local development.
///
/// # Errors
/// When there are no keys, or they cannot be used.
pub(crate) fn print_public(settings: &StoreSettings) -> anyhow::Result<ExitCode> {
    let keys = receipt_keys(settings)?.context("HO_RECEIPT_KEYS is not set")?;
    show(&serde_json::to_string_pretty(keys.public()).context("the keys cannot be written")?);
    Ok(ExitCode::SUCCESS)
}
