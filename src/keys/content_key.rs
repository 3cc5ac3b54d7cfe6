//! The keyed name of a content: a copy of the table gives nothing against which values could be guessed.

use human_oversight_protocol::parameters::hex;

use super::link_keys::LinkKeys;
use crate::values::Digest;

impl LinkKeys {
    /// The names of a content in a scope, one for each key; the first is that of new rows. All keys count, so
    /// that a content is still recognised after a rotation.
    pub fn content_names(&self, scope: &str, content: &Digest) -> Vec<String> {
        let parts = [b"oversight content 1", scope.as_bytes(), &content.0];
        self.all().map(|key| hex(key.mac(parts).as_ref())).collect()
    }
}
