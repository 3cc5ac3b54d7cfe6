//! The keyed names and hashes of contents: a copy of the table gives nothing against which values could be
//! guessed.

use human_oversight_protocol::parameters::hex;

use super::link_keys::LinkKeys;
use crate::values::Digest;

/// What a hash is of.
#[derive(Clone, Copy)]
pub enum HashPurpose<'a> {
    /// Action and parameters as they are. (Earlier gates hashed their normal form, as the purpose "content".)
    Content,
    /// A value among the parameters.
    Value {
        pointer: &'a str,
    },
    Person,
    /// The pointer of a value under a name that suggests a secret.
    Secret,
    /// The person on whose behalf an agent acts, if any.
    OnBehalfOf,
}

const HASH_BYTES: usize = 6;

impl LinkKeys {
    /// The names of a content in a scope, one for each key; the first is that of new rows. All keys count, so
    /// that a content is still recognised after a rotation.
    pub fn content_names(&self, scope: &str, content: &Digest) -> Vec<String> {
        let parts = [b"oversight content 1", scope.as_bytes(), &content.0];
        self.all().map(|key| hex(key.mac(parts).as_ref())).collect()
    }

    /// A short hash of a part of a content under the key `kid`, to tell whether two are the same; `None` without
    /// that key. The purpose and the scope keep hashes of different things apart.
    pub fn content_hash(
        &self,
        kid: &str,
        purpose: HashPurpose<'_>,
        scope: &str,
        part: &str,
    ) -> Option<String> {
        let (purpose, pointer) = match purpose {
            HashPurpose::Content => ("exact content", ""),
            HashPurpose::Value { pointer } => ("value", pointer),
            HashPurpose::Person => ("person", ""),
            HashPurpose::Secret => ("secret", ""),
            HashPurpose::OnBehalfOf => ("on behalf of", ""),
        };
        let parts = ["oversight precedent 1", purpose, scope, pointer, part].map(str::as_bytes);
        let mac = self.find(kid)?.mac(parts);
        Some(hex(&mac.as_ref()[..HASH_BYTES]))
    }
}
