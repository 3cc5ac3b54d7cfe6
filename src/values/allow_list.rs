//! The operator's list of approvers.

use uuid::Uuid;

use super::address::Address;

/// The addresses and `*@domain` patterns that a request may name as approvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowList {
    /// Every address: for development only.
    Anyone,
    /// The people and domains on the list; not empty.
    Entries(Vec<AllowListEntry>),
}

/// One entry of an [`AllowList`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowListEntry {
    /// Every address at a domain, given in lower case and ASCII.
    Domain(String),
    /// One address, with its holder's object id in Microsoft Entra ID if the list has one.
    Person(Address, Option<Uuid>),
}

impl AllowList {
    /// Parses a comma-separated list of `address`, `address=object id` and `*@domain`.
    ///
    /// # Errors
    /// The first invalid entry.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let entries: Vec<_> = entries
            .map(|entry| AllowListEntry::parse(entry).ok_or_else(|| entry.to_owned()))
            .collect::<Result<_, _>>()?;
        if entries.is_empty() {
            Err(text.to_owned())
        } else {
            Ok(Self::Entries(entries))
        }
    }

    /// Whether `address` may be an approver.
    pub fn allows(&self, address: &Address) -> bool {
        match self {
            Self::Anyone => true,
            Self::Entries(entries) => entries.iter().any(|entry| match entry {
                AllowListEntry::Domain(domain) => address.domain().eq_ignore_ascii_case(domain),
                // With the `+tag`: another one may be another mailbox.
                AllowListEntry::Person(person, _) => person.is_same_mailbox(address),
            }),
        }
    }

    /// The object ids listed for an address.
    pub fn object_ids(&self, address: &Address) -> impl Iterator<Item = Uuid> {
        let entries = match self {
            Self::Anyone => &[],
            Self::Entries(entries) => entries.as_slice(),
        };
        entries.iter().filter_map(|entry| match entry {
            AllowListEntry::Person(person, id) if person.is_same_mailbox(address) => *id,
            _ => None,
        })
    }
}

impl AllowListEntry {
    fn parse(text: &str) -> Option<Self> {
        if let Some(domain) = text.strip_prefix("*@") {
            // A domain is valid if an address at it is.
            let address = Address::parse(&format!("a@{domain}"))?;
            return Some(Self::Domain(address.domain().to_ascii_lowercase()));
        }
        let with_id = text.rsplit_once('=').and_then(|(address, id)| {
            let id = Uuid::parse_str(id).ok()?;
            Some(Self::Person(Address::parse(address)?, Some(id)))
        });
        // The local part of an address may contain a `=`.
        with_id.or_else(|| Some(Self::Person(Address::parse(text)?, None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn a_list_allows_its_addresses_and_domains_only() {
        let list = AllowList::parse("*@Contoso.com, alice@fabrikam.com").unwrap();
        for yes in ["x@contoso.com", "X+y@CONTOSO.COM", "Alice@fabrikam.com"] {
            assert!(list.allows(&address(yes)), "{yes}");
        }
        for no in [
            "x@sub.contoso.com",
            "x@notcontoso.com",
            "alice+x@fabrikam.com",
            "bob@fabrikam.com",
        ] {
            assert!(!list.allows(&address(no)), "{no}");
        }
        let id = "11111111-2222-3333-4444-555555555555";
        let known = format!("*@contoso.com,alice@contoso.com={id},a=b@contoso.com");
        let known = AllowList::parse(&known).unwrap();
        let ids = |person| known.object_ids(&address(person)).collect::<Vec<_>>();
        assert_eq!(ids("ALICE@contoso.com"), [Uuid::parse_str(id).unwrap()]);
        assert!(ids("bob@contoso.com").is_empty() && ids("a=b@contoso.com").is_empty());
        for bad in [
            "",
            " , ",
            "contoso.com",
            "*@",
            "*",
            "*@*.com",
            "alice@contoso.com=1",
            "*@contoso.com=11111111-2222-3333-4444-555555555555",
        ] {
            assert!(AllowList::parse(bad).is_err(), "{bad}");
        }
    }
}
