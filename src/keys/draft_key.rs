//! Encrypts what a form leaves behind for the page that follows, in the browser's cookie.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::link_keys::{LinkKey, LinkKeys};
use super::random::random_bytes;

const LABEL: &[u8] = b"draft";

impl LinkKeys {
    /// Encrypts `text` for this `place`, without which it does not decrypt.
    pub fn encrypt_draft(&self, place: &[u8], text: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random_bytes();
        let mut sealed = text.to_vec();
        let key = draft_key(self.current());
        let nonce_of_ring = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce_of_ring, Aad::from(place), &mut sealed)
            .expect("a short text can be encrypted");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what one of the keys encrypted for this `place`.
    pub fn decrypt_draft(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        self.all().find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = sealed.to_vec();
            let opened = draft_key(key).open_in_place(nonce, Aad::from(place), &mut text);
            opened.ok().map(|text| text.to_vec())
        })
    }
}

/// A key of its own, derived from a link key.
fn draft_key(key: &LinkKey) -> LessSafeKey {
    let derived = key.mac([LABEL]);
    let key = UnboundKey::new(&AES_256_GCM, derived.as_ref()).expect("a MAC has 32 bytes");
    LessSafeKey::new(key)
}
