//! The operator's list of approvers.

use uuid::Uuid;

use super::address::Address;

/// Who may be named as an approver: addresses and `*@domain` patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowList {
    /// Anyone: for development only.
    Anyone,
    /// People and domains on the list.
    These(Vec<Allowed>),
}

/// One entry of an [`AllowList`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Every address at a domain; the name is in lower case and ASCII.
    Domain(String),
    /// One address, and the object id of its holder in the directory, if listed.
    Person(Address, Option<Uuid>),
}

impl AllowList {
    /// Parses a comma-separated list of `address`, `address=object id` and `*@domain`.
    ///
    /// # Errors
    /// The entry at fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let entries: Result<Vec<_>, _> = entries
            .map(|entry| {
                let parsed = match entry.strip_prefix("*@") {
                    // Valid if an address can be at it.
                    Some(domain) => Address::parse(&format!("a@{domain}"))
                        .map(|a| Allowed::Domain(a.domain().to_ascii_lowercase())),
                    None => {
                        let with_id = entry.rsplit_once('=').and_then(|(address, id)| {
                            let id = Uuid::parse_str(id).ok()?;
                            Some(Allowed::Person(Address::parse(address)?, Some(id)))
                        });
                        // An address may have a `=` of its own.
                        with_id.or_else(|| {
                            Address::parse(entry).map(|address| Allowed::Person(address, None))
                        })
                    }
                };
                parsed.ok_or_else(|| entry.to_owned())
            })
            .collect();
        match entries? {
            none if none.is_empty() => Err(text.to_owned()),
            these => Ok(Self::These(these)),
        }
    }

    /// Whether `address` may be an approver.
    pub fn allows(&self, address: &Address) -> bool {
        match self {
            Self::Anyone => true,
            Self::These(entries) => entries.iter().any(|entry| match entry {
                Allowed::Domain(domain) => address.domain().eq_ignore_ascii_case(domain),
                // Exact: another `+tag` may be another mailbox.
                Allowed::Person(person, _) => person.is_same_mailbox(address),
            }),
        }
    }

    /// The object ids listed for an address.
    pub fn object_ids(&self, address: &Address) -> impl Iterator<Item = Uuid> {
        let entries = match self {
            Self::Anyone => &[],
            Self::These(entries) => entries.as_slice(),
        };
        entries.iter().filter_map(|entry| match entry {
            Allowed::Person(person, id) if person.is_same_mailbox(address) => *id,
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn the_list_is_the_operators() {
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
