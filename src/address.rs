//! Mail addresses: of approvers, and of the person an agent acts for.

use std::fmt;

use uuid::Uuid;

/// A mail address that can be written into a mail header as it stands: ASCII, one `@`, no space,
/// no quotes, no comment. Kept as it was given, with the domain in ASCII (RFC 5890).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(String);

impl Address {
    /// Nothing unless it is a plain address of at most 254 characters (RFC 5321, section 4.5.3.1).
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let domain = idna::domain_to_ascii_strict(domain).ok()?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let fits = (1..=64).contains(&local.len())
            && local.bytes().all(plain)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && domain.contains('.')
            && !domain.ends_with('.')
            && local.len() + domain.len() < 254;
        fits.then(|| Self(format!("{local}@{domain}")))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('@').expect("parsed")
    }

    /// Whether both are one person's, as far as can be told: case and what stands behind a `+` do
    /// not count.
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.person() == other.person()
    }

    /// Whether both are one mailbox: case does not count.
    pub fn is_same_mailbox(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// Whether mail can never reach it: `.invalid` names nothing, for ever (RFC 6761, section 6.4).
    pub fn is_unreachable(&self) -> bool {
        self.0.to_ascii_lowercase().ends_with(".invalid")
    }

    /// The same text for the same person, as far as can be told.
    pub fn person(&self) -> String {
        let (local, domain) = self.parts();
        let local = local.split_once('+').map_or(local, |(name, _)| name);
        format!("{local}@{domain}").to_ascii_lowercase()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    /// Addresses do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Who may be named as an approver: the operator's list of addresses and `*@domain` patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowList {
    /// Anybody: for development only.
    Anybody,
    /// These.
    These(Vec<Allowed>),
}

/// One entry of an [`AllowList`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Everybody at a domain; the name is in lower case and ASCII.
    Domain(String),
    /// One person; and who that is in the directory, if the operator says so.
    Person(Address, Option<Uuid>),
}

impl AllowList {
    /// Reads a comma-separated list of `address`, `address=object id` and `*@domain`; the error is the
    /// entry at fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let entries: Result<Vec<_>, _> = entries
            .map(|entry| {
                let parsed = match entry.strip_prefix("*@") {
                    // A domain is one if an address can be in it.
                    Some(domain) => Address::parse(&format!("a@{domain}"))
                        .map(|a| Allowed::Domain(a.0["a@".len()..].to_ascii_lowercase())),
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

    /// Whether `address` may be asked.
    pub fn allows(&self, address: &Address) -> bool {
        match self {
            Self::Anybody => true,
            Self::These(entries) => entries.iter().any(|entry| match entry {
                Allowed::Domain(domain) => address.domain().eq_ignore_ascii_case(domain),
                // To the letter: what stands behind a `+` may be another mailbox.
                Allowed::Person(person, _) => person.is_same_mailbox(address),
            }),
        }
    }

    /// Who has this address in the directory, as the operator says.
    pub fn object_ids(&self, address: &Address) -> impl Iterator<Item = Uuid> {
        let entries = match self {
            Self::Anybody => &[],
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
    fn takes_plain_addresses_only() {
        for good in [
            "alice@example.com",
            "a.b+c@sub.example.com",
            "o'brien@example.com",
        ] {
            assert_eq!(address(good).as_str(), good);
        }
        assert_eq!(
            address("bob@bücher.example").as_str(),
            "bob@xn--bcher-kva.example"
        );
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "a b@example.com",
            "alice@example",
            "Alice <alice@example.com>",
            "alice@example.com\r\nBcc: eve@example.com",
            "a,b@example.com",
            "alice@example.com,",
            "\"a b\"@example.com",
            "a@b@c@",
            "älice@example.com",
            "a..b@example.com",
            "alice@exam ple.com",
            "alice@-example.com",
            "alice@example.com.",
            "a@[127.0.0.1]",
        ] {
            assert!(Address::parse(bad).is_none(), "{bad}");
        }
        assert!(Address::parse(&format!("{}@example.com", "a".repeat(65))).is_none());
    }

    #[test]
    fn knows_a_person_by_other_spellings() {
        assert!(address("Alice+gate@Example.COM").is_same_person(&address("alice@example.com")));
        assert!(address("a@BÜCHER.example").is_same_person(&address("a@xn--bcher-kva.example")));
        assert!(!address("alice@example.com").is_same_person(&address("alice@example.org")));
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
