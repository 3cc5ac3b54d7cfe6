//! The operator's list of approvers.

use uuid::Uuid;

use super::address::{Address, InvalidAddress};

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
    /// What is wrong with the first invalid entry.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let entries: Vec<_> = entries
            .map(AllowListEntry::parse)
            .collect::<Result<_, _>>()?;
        if entries.is_empty() {
            Err(InvalidAddress::NotPlain)
        } else {
            Ok(Self::Entries(entries))
        }
    }

    /// Whether it contains a `*@domain` pattern.
    pub fn has_pattern(&self) -> bool {
        match self {
            Self::Anyone => false,
            Self::Entries(entries) => entries
                .iter()
                .any(|entry| matches!(entry, AllowListEntry::Domain(_))),
        }
    }

    /// Whether `address` may be an approver.
    pub fn allows(&self, address: &Address) -> bool {
        match self {
            Self::Anyone => true,
            Self::Entries(entries) => entries.iter().any(|entry| match entry {
                // A row of an earlier version may contain a route, which leads out of the domain.
                AllowListEntry::Domain(domain) => {
                    address.domain().eq_ignore_ascii_case(domain) && !address.is_route()
                }
                // With the `+tag`: another one may be another mailbox.
                AllowListEntry::Person(person, _) => person.is_same_mailbox(address),
            }),
        }
    }

    /// The people on the list, without the domains.
    pub fn people(&self) -> impl Iterator<Item = &Address> {
        let entries = match self {
            Self::Anyone => &[],
            Self::Entries(entries) => entries.as_slice(),
        };
        entries.iter().filter_map(|entry| match entry {
            AllowListEntry::Person(person, _) => Some(person),
            AllowListEntry::Domain(_) => None,
        })
    }

    /// Whether the list gives an address this object id; `None` if it gives it none.
    pub fn lists_object_id(&self, address: &Address, object_id: Uuid) -> Option<bool> {
        let mut ids = self.object_ids(address).peekable();
        ids.peek().is_some().then(|| ids.any(|id| id == object_id))
    }

    /// The object id of an address, if the list gives it one and no other.
    pub fn object_id(&self, address: &Address) -> Option<Uuid> {
        let mut ids = self.object_ids(address);
        let first = ids.next()?;
        ids.all(|id| id == first).then_some(first)
    }

    /// The addresses to which the list gives an object id.
    pub fn addresses_of(&self, object_id: Uuid) -> Vec<Address> {
        let entries = match self {
            Self::Anyone => &[],
            Self::Entries(entries) => entries.as_slice(),
        };
        let addresses = entries.iter().filter_map(|entry| match entry {
            AllowListEntry::Person(person, Some(id)) if *id == object_id => Some(person.clone()),
            _ => None,
        });
        addresses.collect()
    }

    /// The object ids listed for an address.
    fn object_ids(&self, address: &Address) -> impl Iterator<Item = Uuid> {
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
    fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(domain) = text.strip_prefix("*@") {
            // A domain is valid if an address at it is.
            let address = Address::parse(&format!("a@{domain}"))?;
            return Ok(Self::Domain(address.domain().to_ascii_lowercase()));
        }
        let id = text
            .rsplit_once('=')
            .and_then(|(address, id)| Some((address, Uuid::parse_str(id).ok()?)));
        match id {
            Some((address, id)) => Ok(Self::Person(Address::parse(address)?, Some(id))),
            None => Ok(Self::Person(Address::parse(text)?, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::from_known(text).unwrap_or_else(|| panic!("{text}"))
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
            "mallory%evil.example@contoso.com",
            "evil.example!mallory@contoso.com",
        ] {
            assert!(!list.allows(&address(no)), "{no}");
        }
        let id = "11111111-2222-3333-4444-555555555555";
        let known = format!("*@contoso.com,alice@contoso.com={id}");
        let known = AllowList::parse(&known).unwrap();
        let ids = |person| known.object_ids(&address(person)).collect::<Vec<_>>();
        assert_eq!(ids("ALICE@contoso.com"), [Uuid::parse_str(id).unwrap()]);
        let of = |id: &str| known.addresses_of(Uuid::parse_str(id).unwrap());
        assert_eq!(of(id), [address("alice@contoso.com")]);
        assert!(of("11111111-2222-3333-4444-555555555556").is_empty());
        assert!(ids("bob@contoso.com").is_empty());
        for bad in [
            "",
            " , ",
            "contoso.com",
            "*@",
            "*",
            "*@*.com",
            "alice@contoso.com=1",
            "a=b@contoso.com",
            "mallory%evil.example@contoso.com",
            "mallory%evil.example@contoso.com=11111111-2222-3333-4444-555555555555",
            "*@contoso.com=11111111-2222-3333-4444-555555555555",
        ] {
            assert!(AllowList::parse(bad).is_err(), "{bad}");
        }
    }
}
