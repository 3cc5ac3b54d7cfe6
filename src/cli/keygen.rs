//! `human-oversight keygen`: prints fresh keys, and the thumbprint by which agents trust the receipt key.

use human_oversight::keys::{ReceiptKeys, keyring};
use human_oversight_protocol::receipt::thumbprint;

#[expect(clippy::print_stdout, reason = "this is its output")]
pub(crate) fn run() {
    let receipt_key = keyring::generate_receipt_key();
    let parsed = keyring::parse(&receipt_key).and_then(|keys| ReceiptKeys::new(&keys));
    let receipt_keys = parsed.expect("a generated key is valid");
    println!("HO_LINK_KEYS={}", keyring::generate_link_key());
    println!("HO_RECEIPT_KEYS={receipt_key}");
    println!("HO_KEYS={}", thumbprint(&receipt_keys.public().keys[0]));
}
