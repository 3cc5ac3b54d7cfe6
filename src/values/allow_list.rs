//! The operator's list of approvers.

use uuid::Uuid;

use super::address::{Address, InvalidAddress};
use super::directory_group::DirectoryGroup;
use super::person::People;

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
    /// Every address at a domain, given in lower case and ASCII; with a group, of people who are in it by sign-in.
    Domain(String, Option<DirectoryGroup>),
    /// One address, with its holder's object id in Microsoft Entra ID if the list has one.
    Person(Address, Option<Uuid>),
}

impl AllowList {
    /// Parses a comma-separated list of `address`, `address=object id`, `*@domain`, `*@domain=group:ID` and
    /// `*@domain=role:NAME`.
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

    /// Whether it contains a `*@domain` pattern without a group or role.
    pub fn has_pattern(&self) -> bool {
        let mut entries = self.entries().iter();
        entries.any(|entry| matches!(entry, AllowListEntry::Domain(_, None)))
    }

    /// Whether it contains a pattern with a group or role.
    pub fn has_group(&self) -> bool {
        let mut entries = self.entries().iter();
        entries.any(|entry| matches!(entry, AllowListEntry::Domain(_, Some(_))))
    }

    /// Whether it allows a whole domain both with a group or role and without.
    pub fn has_void_group(&self) -> bool {
        let domains = |with_group| {
            self.entries().iter().filter_map(move |entry| match entry {
                AllowListEntry::Domain(domain, group) if group.is_some() == with_group => {
                    Some(domain)
                }
                _ => None,
            })
        };
        domains(true).any(|domain| domains(false).any(|other| other == domain))
    }

    /// The groups and roles of which the holder of an address must have one; none if the list allows it without.
    pub fn groups_of(&self, address: &Address) -> Vec<&DirectoryGroup> {
        let entries = self.entries().iter();
        let groups = entries.filter(|it| it.allows(address)).map(|it| match it {
            AllowListEntry::Domain(_, group) => group.as_ref(),
            AllowListEntry::Person(..) => None,
        });
        groups.collect::<Option<_>>().unwrap_or_default()
    }

    /// Whether `address` may be an approver.
    pub fn allows(&self, address: &Address) -> bool {
        match self {
            Self::Anyone => true,
            Self::Entries(entries) => entries.iter().any(|entry| entry.allows(address)),
        }
    }

    fn entries(&self) -> &[AllowListEntry] {
        match self {
            Self::Anyone => &[],
            Self::Entries(entries) => entries,
        }
    }

    /// The people on the list, without the domains.
    pub fn people(&self) -> impl Iterator<Item = &Address> {
        let entries = self.entries();
        entries.iter().filter_map(|entry| match entry {
            AllowListEntry::Person(person, _) => Some(person),
            AllowListEntry::Domain(..) => None,
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

    /// The people to whom the list gives object ids.
    pub fn known_people(&self) -> People {
        let entries = self.entries().iter();
        let known = entries.filter_map(|entry| match entry {
            AllowListEntry::Person(person, id) => Some((person, (*id)?)),
            AllowListEntry::Domain(..) => None,
        });
        let mut people = People::default();
        people.extend(known);
        people
    }

    /// The addresses to which the list gives an object id.
    pub fn addresses_of(&self, object_id: Uuid) -> Vec<Address> {
        let entries = self.entries();
        let addresses = entries.iter().filter_map(|entry| match entry {
            AllowListEntry::Person(person, Some(id)) if *id == object_id => Some(person.clone()),
            _ => None,
        });
        addresses.collect()
    }

    /// The object ids listed for an address.
    fn object_ids(&self, address: &Address) -> impl Iterator<Item = Uuid> {
        let entries = self.entries();
        entries.iter().filter_map(|entry| match entry {
            AllowListEntry::Person(person, id) if person.is_same_mailbox(address) => *id,
            _ => None,
        })
    }
}

impl AllowListEntry {
    fn allows(&self, address: &Address) -> bool {
        match self {
            // A row of an earlier version may contain a route, which leads out of the domain.
            Self::Domain(domain, _) => {
                address.domain().eq_ignore_ascii_case(domain) && !address.is_route()
            }
            // With the `+tag`: another one may be another mailbox.
            Self::Person(person, _) => person.is_same_mailbox(address),
        }
    }

    fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(pattern) = text.strip_prefix("*@") {
            let (domain, group) = match pattern.split_once('=') {
                None => (pattern, None),
                Some((domain, group)) => {
                    let group = DirectoryGroup::parse(group).ok_or(InvalidAddress::NotPlain)?;
                    (domain, Some(group))
                }
            };
            // A domain is valid if an address at it is.
            let address = Address::parse(&format!("a@{domain}"))?;
            return Ok(Self::Domain(address.domain().to_ascii_lowercase(), group));
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
            "*@contoso.com=",
            "*@contoso.com=group:",
            "*@contoso.com=group:approvers",
            "*@contoso.com=role:",
            "*@contoso.com=role:a b",
            "*@contoso.com=role:a=b",
            "*@contoso.com=team:a",
            "alice@contoso.com=role:Approver",
        ] {
            assert!(AllowList::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_group_is_demanded_only_where_no_entry_allows_the_address_without() {
        let list = "*@contoso.com=role:Approver, *@contoso.com=group:11111111-2222-3333-4444-555555555555, \
                    alice@contoso.com, *@fabrikam.com";
        let list = AllowList::parse(list).unwrap();
        let groups = |person| {
            let groups = list.groups_of(&address(person)).into_iter();
            groups.map(ToString::to_string).collect::<Vec<_>>()
        };
        let both = [
            "role:Approver",
            "group:11111111-2222-3333-4444-555555555555",
        ];
        assert_eq!(groups("bob@CONTOSO.com"), both);
        assert_eq!(groups("alice+x@contoso.com"), both);
        for without in ["alice@contoso.com", "bob@fabrikam.com", "bob@example.com"] {
            assert!(groups(without).is_empty(), "{without}");
        }
        assert!(
            AllowList::Anyone
                .groups_of(&address("a@contoso.com"))
                .is_empty()
        );
        assert!(list.allows(&address("bob@contoso.com")) && list.has_group() && list.has_pattern());
        let list = AllowList::parse("*@contoso.com=role:Approver").unwrap();
        assert!(!list.has_pattern());
    }
}
