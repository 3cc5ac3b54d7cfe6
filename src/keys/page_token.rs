//! The page token, in the forms of a decision page: this gate showed this request to this person. It is verified
//! without the row, so that the gate can read and write beside the row what their form may need. It opens and
//! decides nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use subtle::ConstantTimeEq;

use super::link_keys::{LinkKey, LinkKeys};
use crate::values::ApprovalId;

impl LinkKeys {
    /// The page token for a request and the name of a person, which has no full stop: `{name}.{43 characters}`.
    pub fn page_token(&self, id: &ApprovalId, person: &str) -> String {
        format!("{person}.{}", mac(self.current(), id, person))
    }

    /// The person of a page token; `None` unless one of the keys made it, and for this request.
    pub fn verify_page_token<'a>(&self, id: &ApprovalId, token: &'a str) -> Option<&'a str> {
        let (person, tag) = token.split_once('.')?;
        let is_of = |key| bool::from(mac(key, id, person).as_bytes().ct_eq(tag.as_bytes()));
        self.all().any(is_of).then_some(person)
    }
}

fn mac(key: &LinkKey, id: &ApprovalId, person: &str) -> String {
    let id = id.to_string();
    BASE64URL.encode(key.mac([b"oversight page 1", id.as_bytes(), person.as_bytes()]))
}
