//! The secrets in an approver's mail and on their page: the link's token, the code beside it, and
//! the token of the form.
//!
//! Each is derived with a key from the approver's seal, which is derived from the request and the
//! address (HMAC-SHA256, RFC 2104). The row holds only the key's name and the seal, so a copy of the
//! table opens nothing, and a reminder carries the same link as the first mail. With the same keys each
//! row is sealed as a whole whenever it is stored: nobody else can make or change one. Comparisons take
//! constant time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::address::Address;
use crate::approval::{Approval, Request};
use crate::keyring::{KeyError, NamedKey};

/// The keys that links are derived from; new links use the first one.
pub struct LinkKeys(Vec<LinkKey>);

struct LinkKey {
    kid: String,
    key: hmac::Key,
}

/// Why a row cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenSeal {
    /// It is not as the gate stored it.
    #[error("the row is not as it was sealed")]
    Changed,
    /// Nobody here can tell.
    #[error("the row is sealed with a key that is not in HO_LINK_KEYS")]
    UnknownKey,
}

/// The fewest bytes a link key has.
const SHORTEST_KEY: usize = 32;

impl LinkKeys {
    /// Takes the named keys; the first one is used for new links.
    ///
    /// # Errors
    /// When there is none, or one has under 32 bytes.
    pub fn new(keys: &[NamedKey]) -> Result<Self, KeyError> {
        let keys: Result<Vec<_>, _> = keys
            .iter()
            .map(|NamedKey { kid, bytes }| match bytes.len() {
                SHORTEST_KEY.. => Ok(LinkKey {
                    kid: kid.clone(),
                    key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
                }),
                _ => Err(KeyError::TooShort {
                    kid: kid.clone(),
                    bytes: SHORTEST_KEY,
                }),
            })
            .collect();
        match keys? {
            none if none.is_empty() => Err(KeyError::None),
            keys => Ok(Self(keys)),
        }
    }

    /// The name of the key for new links.
    pub fn current(&self) -> &str {
        &self.0[0].kid
    }

    /// Whether there is a key of this name.
    pub fn has(&self, kid: &str) -> bool {
        self.named(kid).is_some()
    }

    /// The token in the link of the approver at `index`: `1{kid}.{43 characters}`. Nothing when its
    /// key has been retired.
    pub fn link(&self, approval: &Approval, index: usize) -> Option<String> {
        let mac = self.mac("oversight link 1", approval, index)?;
        let kid = &approval.approvers[index].link_key;
        Some(format!("1{kid}.{}", BASE64URL.encode(mac.as_ref())))
    }

    /// Whose link `token` is.
    pub fn holder(&self, approval: &Approval, token: &str) -> Option<usize> {
        let matches = |&index: &usize| {
            self.link(approval, index)
                .is_some_and(|link| bool::from(link.as_bytes().ct_eq(token.as_bytes())))
        };
        // Every link is compared, so that the time does not tell who is meant.
        (0..approval.approvers.len())
            .filter(matches)
            .fold(None, |_, index| Some(index))
    }

    /// The six digits that the mail prints apart from the link.
    pub fn code(&self, approval: &Approval, index: usize) -> Option<String> {
        let mac = self.mac("oversight code 1", approval, index)?;
        let number = u64::from_be_bytes(mac.as_ref()[..8].try_into().expect("32 bytes"));
        Some(format!("{:06}", number % 1_000_000))
    }

    /// Whether `typed` is that code; spaces and dashes do not count.
    pub fn is_code(&self, approval: &Approval, index: usize, typed: &str) -> bool {
        let typed: String = typed
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .collect();
        self.code(approval, index)
            .is_some_and(|code| bool::from(code.as_bytes().ct_eq(typed.as_bytes())))
    }

    /// The token of the form that is shown to the approver at `index` while the request is pending:
    /// bound, through the seal, to all that was shown.
    pub fn form(&self, approval: &Approval, index: usize) -> Option<String> {
        let mac = self.mac("oversight form of a pending request 1", approval, index)?;
        Some(BASE64URL.encode(mac.as_ref()))
    }

    /// Whether `token` is that form's.
    pub fn is_form(&self, approval: &Approval, index: usize, token: &str) -> bool {
        self.form(approval, index)
            .is_some_and(|form| bool::from(form.as_bytes().ct_eq(token.as_bytes())))
    }

    /// The seal of a new request for one of its approvers.
    pub fn seal(&self, request: &Request, address: &Address) -> String {
        BASE64URL.encode(seal(&self.0[0], request, address))
    }

    /// The seal of a row as it is stored now: `{kid}.{43 characters}`.
    pub fn seal_row(&self, row: &[u8]) -> String {
        let LinkKey { kid, key } = &self.0[0];
        format!("{kid}.{}", BASE64URL.encode(row_mac(key, row)))
    }

    /// Holds a row against the seal that it was stored with.
    ///
    /// # Errors
    /// When it is not as it was stored, or its key is not here, so that nobody can tell.
    pub fn check_row(&self, row: &[u8], seal: &str) -> Result<(), BrokenSeal> {
        self.check_mac(seal, |key| row_mac(key, row))
    }

    /// The MAC over a row's columns for a gate and a table, from version 2 on: `{kid}.{43 characters}`.
    pub fn seal_columns(&self, gate: &str, table: &str, columns: &[u8]) -> String {
        let LinkKey { kid, key } = &self.0[0];
        let mac = columns_mac(key, gate, table, columns);
        format!("{kid}.{}", BASE64URL.encode(mac))
    }

    /// Checks a row's columns against such a MAC.
    ///
    /// # Errors
    /// When they are not as they were sealed, or its key is not here.
    pub fn check_columns(
        &self,
        gate: &str,
        table: &str,
        columns: &[u8],
        seal: &str,
    ) -> Result<(), BrokenSeal> {
        self.check_mac(seal, |key| columns_mac(key, gate, table, columns))
    }

    fn check_mac(
        &self,
        seal: &str,
        mac: impl Fn(&hmac::Key) -> hmac::Tag,
    ) -> Result<(), BrokenSeal> {
        let (kid, stored) = seal.rsplit_once('.').ok_or(BrokenSeal::Changed)?;
        let LinkKey { key, .. } = self.named(kid).ok_or(BrokenSeal::UnknownKey)?;
        let ours = BASE64URL.encode(mac(key));
        if bool::from(ours.as_bytes().ct_eq(stored.as_bytes())) {
            Ok(())
        } else {
            Err(BrokenSeal::Changed)
        }
    }

    fn mac(&self, purpose: &str, approval: &Approval, index: usize) -> Option<hmac::Tag> {
        let approver = &approval.approvers[index];
        let LinkKey { kid, key } = self.named(&approver.link_key)?;
        Some(sign(key, [purpose, kid, &approver.seal].map(str::as_bytes)))
    }

    fn named(&self, kid: &str) -> Option<&LinkKey> {
        self.0.iter().find(|key| key.kid == kid)
    }
}

fn seal(LinkKey { kid, key }: &LinkKey, request: &Request, address: &Address) -> hmac::Tag {
    let present = |text: Option<&str>| text.map(|text| format!("={text}")).unwrap_or_default();
    let parts = [
        "oversight seal 1".to_owned(),
        kid.clone(),
        request.id.to_string(),
        request.action.clone(),
        request.parameters.digest.to_string(),
        present(request.reason.as_deref()),
        present(request.on_behalf_of.as_ref().map(Address::as_str)),
        present(request.claimant.map(|digest| digest.to_string()).as_deref()),
        request.digest.to_string(),
        request.requested_at.to_string(),
        request.expires_at.to_string(),
        address.to_string(),
    ];
    sign(key, parts.each_ref().map(String::as_bytes))
}

fn row_mac(key: &hmac::Key, row: &[u8]) -> hmac::Tag {
    sign(key, [b"oversight row 1", row])
}

fn columns_mac(key: &hmac::Key, gate: &str, table: &str, columns: &[u8]) -> hmac::Tag {
    sign(
        key,
        [
            b"oversight row 2",
            gate.as_bytes(),
            table.as_bytes(),
            columns,
        ],
    )
}

fn sign<const PARTS: usize>(key: &hmac::Key, parts: [&[u8]; PARTS]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        // The length first, so that no two lists of parts read the same.
        context.update(
            &u64::try_from(part.len())
                .expect("a length fits")
                .to_be_bytes(),
        );
        context.update(part);
    }
    context.sign()
}
