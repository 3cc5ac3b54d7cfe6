//! `human-oversight keygen`: prints fresh keys.

use human_oversight::keys::keyring;

#[expect(clippy::print_stdout, reason = "this is its output")]
pub(crate) fn run() {
    println!("HO_LINK_KEYS={}", keyring::generate_link_key());
    println!("HO_RECEIPT_KEYS={}", keyring::generate_receipt_key());
}
