//! The secrets of one approver: link token, one-time code and CSRF token.
//!
//! Each is derived from the approver MAC, which is computed over the request and the address. A row
//! contains only the key's id and that MAC, so a copy of the table gives access to nothing; and a
//! reminder contains the same link as the first email. Comparisons take constant time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::hmac;
use subtle::ConstantTimeEq;

use super::link_keys::{LinkKey, LinkKeys};
use crate::domain::{Approval, Approver, Request};
use crate::values::Address;

/// What a form does. The token of one form is worth nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormPurpose {
    /// Decides a pending request.
    Decision,
    /// Revokes an approval.
    Revocation,
    /// Shows hidden values.
    Reveal,
    /// Ends a standing grant.
    Grant,
    /// Hands the approver's seat over.
    HandOver,
}

impl FormPurpose {
    fn label(self) -> &'static str {
        match self {
            Self::Decision => "oversight form of a pending request 1",
            Self::Revocation => "oversight form of an approval 1",
            Self::Reveal => "oversight form of hidden values 1",
            Self::Grant => "oversight form of a standing grant 1",
            Self::HandOver => "oversight form of a hand-over 1",
        }
    }

    /// Whether it only takes back what was allowed.
    fn takes_back(self) -> bool {
        matches!(self, Self::Revocation | Self::Grant)
    }
}

impl LinkKeys {
    /// The approver MAC for a new request and one of its approvers.
    pub fn approver_mac(&self, request: &Request, address: &Address) -> String {
        let key = self.current();
        let present = |text: Option<&str>| text.map(|text| format!("={text}")).unwrap_or_default();
        let parts = [
            "oversight seal 1".to_owned(),
            key.kid.clone(),
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
        BASE64URL.encode(key.mac(parts.each_ref().map(String::as_bytes)))
    }

    /// The link token of the approver at `index`: `1{kid}.{43 characters}`. `None` if its key is no
    /// longer configured.
    pub fn link_token(&self, approval: &Approval, index: usize) -> Option<String> {
        self.link_of(&approval.approvers[index])
    }

    fn link_of(&self, approver: &Approver) -> Option<String> {
        let mac = self.derive("oversight link 1", approver)?;
        let kid = &approver.link_key;
        Some(format!("1{kid}.{}", BASE64URL.encode(mac.as_ref())))
    }

    /// The index of the approver to whom a link token belongs.
    pub fn link_holder(&self, approvers: &[Approver], token: &str) -> Option<usize> {
        let matches = |(_, approver): &(usize, &Approver)| {
            self.link_of(approver)
                .is_some_and(|link| bool::from(link.as_bytes().ct_eq(token.as_bytes())))
        };
        // Compares all links, so that the duration does not reveal the index.
        let holders = approvers.iter().enumerate().filter(matches);
        holders.fold(None, |_, (index, _)| Some(index))
    }

    /// The one-time code: six digits, printed in the email separately from the link.
    pub fn one_time_code(&self, approval: &Approval, index: usize) -> Option<String> {
        let mac = self.derive("oversight code 1", &approval.approvers[index])?;
        let number = u64::from_be_bytes(mac.as_ref()[..8].try_into().expect("32 bytes"));
        Some(format!("{:06}", number % 1_000_000))
    }

    /// Whether `typed` is that code; ignores spaces and hyphens.
    pub fn verify_code(&self, approval: &Approval, index: usize, typed: &str) -> bool {
        self.one_time_code(approval, index)
            .is_some_and(|code| bool::from(code.as_bytes().ct_eq(typed.as_bytes())))
    }

    /// The CSRF token of a form shown to the approver at `index`. Through the approver MAC it is bound to
    /// everything that was shown. `None` if the key of that is no longer configured, unless the form only takes
    /// back: a person who signed in needs no link for that.
    pub fn csrf_token(
        &self,
        approval: &Approval,
        index: usize,
        purpose: FormPurpose,
    ) -> Option<String> {
        let approver = &approval.approvers[index];
        let key = *self.form_keys(approver, purpose).first()?;
        Some(form_token(key, approver, purpose))
    }

    /// Whether `token` is that token.
    pub fn verify_csrf_token(
        &self,
        approval: &Approval,
        index: usize,
        purpose: FormPurpose,
        token: &str,
    ) -> bool {
        let approver = &approval.approvers[index];
        let is_of = |key: &LinkKey| {
            let form = form_token(key, approver, purpose);
            bool::from(form.as_bytes().ct_eq(token.as_bytes()))
        };
        self.form_keys(approver, purpose).into_iter().any(is_of)
    }

    /// The keys whose tokens count in a form. The first one makes them.
    fn form_keys(&self, approver: &Approver, purpose: FormPurpose) -> Vec<&LinkKey> {
        match self.find(&approver.link_key) {
            Some(key) => vec![key],
            None if purpose.takes_back() => self.all().collect(),
            None => Vec::new(),
        }
    }

    pub(super) fn derive(&self, purpose: &str, approver: &Approver) -> Option<hmac::Tag> {
        let key = self.find(&approver.link_key)?;
        Some(derive_by(key, purpose, approver))
    }
}

fn form_token(key: &LinkKey, approver: &Approver, purpose: FormPurpose) -> String {
    BASE64URL.encode(derive_by(key, purpose.label(), approver).as_ref())
}

fn derive_by(key: &LinkKey, purpose: &str, approver: &Approver) -> hmac::Tag {
    key.mac([purpose, &key.kid, &approver.mac].map(str::as_bytes))
}
