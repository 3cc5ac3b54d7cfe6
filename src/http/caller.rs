//! Who is at the decision page: the holder of a personal link, or a person who has signed in.

use axum::http::HeaderMap;

use super::App;
use super::error::Error;
use crate::address::Address;
use crate::approval::{Approval, Assurance};
use crate::entra::{Member, NotSignedIn, SignIn};

/// Where the platform says who has signed in.
const PRINCIPAL: &str = "x-ms-client-principal";

/// How programs sign in: a browser sends neither.
const TOKENS: [&str; 2] = ["authorization", "x-zumo-auth"];

/// Whoever opened the page or sent its form.
pub(super) struct Caller {
    /// The token of the link that they came by; empty if there was none.
    pub(super) link: String,
    /// As whom they have signed in, where sign-in is on. Where it is off nobody's word is taken.
    pub(super) member: Option<Result<Member, NotSignedIn>>,
}

impl Caller {
    pub(super) fn of(app: &App, headers: &HeaderMap, link: Option<String>) -> Self {
        let sign_in = app.config.sign_in.as_ref();
        Self {
            link: link.unwrap_or_default(),
            member: sign_in.map(|sign_in| member(sign_in, headers)),
        }
    }

    /// Why there is nothing here for them: who has yet to sign in is not even told that there is
    /// nothing.
    pub(super) fn nothing(&self) -> Error {
        match self.member {
            Some(Err(why)) => Error::SignIn(why),
            Some(Ok(_)) | None => Error::NotFound,
        }
    }
}

fn member(sign_in: &SignIn, headers: &HeaderMap) -> Result<Member, NotSignedIn> {
    if TOKENS.iter().any(|token| headers.contains_key(*token)) {
        return Err(NotSignedIn::Program);
    }
    let mut principals = headers.get_all(PRINCIPAL).iter();
    match (principals.next(), principals.next()) {
        (None, _) => Err(NotSignedIn::Nobody),
        (Some(principal), None) => {
            sign_in.member(principal.to_str().map_err(|_| NotSignedIn::Unclear)?)
        }
        (Some(_), Some(_)) => Err(NotSignedIn::Unclear),
    }
}

impl App {
    /// Which of the approvers this is, and how that is known.
    ///
    /// # Errors
    /// When it is none of them, or one who may not decide: the operator's list counts as it is now,
    /// not as it was when the agent asked.
    pub(super) fn approver(
        &self,
        approval: &Approval,
        caller: &Caller,
    ) -> Result<(usize, Assurance), Error> {
        let asker = approval.request.on_behalf_of.as_ref();
        let signed_in = match &caller.member {
            // By whatever link: the person an agent acts for is known.
            Some(Ok(member)) if asker.is_some_and(|asker| self.may_be(asker, member)) => {
                return Err(Error::NotFound);
            }
            Some(Ok(member)) => self.approver_who_is(approval, member),
            _ => None,
        };
        let sign_in = self.config.sign_in.as_ref();
        let needs_sign_in = sign_in.is_some_and(|it| it.is_needed_for(&approval.request.action));
        let by_link = || match needs_sign_in {
            true => None,
            false => self.link_keys.holder(approval, &caller.link),
        };
        let known = signed_in.or_else(|| by_link().map(|index| (index, Assurance::Link)));
        let may = |(index, _): &(usize, Assurance)| {
            let address = &approval.approvers[*index].address;
            self.config.allowed_approvers.allows(address)
                && !asker.is_some_and(|person| person.is_same_person(address))
        };
        known.filter(may).ok_or(Error::NotFound)
    }

    fn approver_who_is(&self, approval: &Approval, member: &Member) -> Option<(usize, Assurance)> {
        let is_member = |index: &usize| self.is(&approval.approvers[*index].address, member);
        let index = (0..approval.approvers.len()).find(is_member)?;
        Some((index, Assurance::Entra(member.object_id)))
    }

    /// Whether an address may be a member's, by whatever spelling.
    fn may_be(&self, address: &Address, member: &Member) -> bool {
        let name = Address::parse(&member.name);
        self.is(address, member) || name.is_some_and(|name| name.is_same_person(address))
    }

    /// Whether an address is a member's: by the object id where the operator's list has one, else by
    /// the name they sign in with.
    fn is(&self, address: &Address, member: &Member) -> bool {
        let mut ids = self.config.allowed_approvers.object_ids(address).peekable();
        match ids.peek() {
            Some(_) => ids.any(|id| id == member.object_id),
            None => Address::parse(&member.name).is_some_and(|name| name.is_same_mailbox(address)),
        }
    }
}
