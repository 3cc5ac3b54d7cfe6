//! Email addresses of people.

use std::fmt;

use human_oversight_protocol::text::address_name;

/// An email address that needs no quoting in a header: ASCII, one `@`, no space, quotes or comment.
/// Case is preserved; the domain is in ASCII (RFC 5890).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(String);

/// Why a text is not the address of an approver or a mailbox. The texts follow a name or `it`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("must be a plain email address, such as alice@example.com")]
    NotPlain,
    /// `mallory%evil.example@contoso.com` names a mailbox at another domain for a mail server that relays.
    #[error(
        "must be an address without any of % ! / = | {{ }} `, which mail servers can read as a route to \
         another mailbox"
    )]
    Route,
}

/// The characters before the `@` that mail servers can read as a route: `user%host` and `host!user`
/// (RFC 5321, section 3.6.1 and appendix F.2), the attributes of X.400 (`/S=user/`), and the characters of
/// gateways and shells.
const ROUTING: &[char] = &['%', '!', '/', '=', '|', '{', '}', '`'];

impl Address {
    /// Parses an address that is entered: in a request, or in a setting.
    ///
    /// # Errors
    /// When it is not a plain address, or could be a route to another mailbox.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let address = Self::from_known(text).ok_or(InvalidAddress::NotPlain)?;
        if address.is_route() {
            Err(InvalidAddress::Route)
        } else {
            Ok(address)
        }
    }

    /// Parses an address that is stored or in a directory already, for comparison: any plain address of at
    /// most 254 characters (RFC 5321, section 4.5.3.1), which earlier versions accepted as an approver's.
    pub fn from_known(text: &str) -> Option<Self> {
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

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn domain(&self) -> &str {
        self.parts().1
    }

    /// Whether a mail server can read it as a route to another mailbox.
    pub(super) fn is_route(&self) -> bool {
        self.parts().0.contains(ROUTING)
    }

    fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('@').expect("parsed")
    }

    /// Whether both are spellings of one name; ignores case and `+tag`.
    pub fn is_same_name(&self, other: &Self) -> bool {
        self.name() == other.name()
    }

    /// Whether both name one mailbox; ignores case.
    pub fn is_same_mailbox(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// Whether no email can ever be delivered to it: `.invalid` is reserved (RFC 6761, section 6.4).
    pub fn is_unreachable(&self) -> bool {
        self.0.to_ascii_lowercase().ends_with(".invalid")
    }

    /// The address in lower case, without `+tag`: equal for all its spellings. Who holds it, [`People`](super::People)
    /// says.
    pub fn name(&self) -> String {
        address_name(&self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    /// Redacted: addresses must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn only_plain_addresses_parse() {
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
            assert_eq!(
                Address::parse(bad).unwrap_err(),
                InvalidAddress::NotPlain,
                "{bad}"
            );
        }
        assert!(Address::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_route_is_known_and_cannot_be_entered() {
        for route in [
            "mallory%evil.example@example.com",
            "evil.example!m@example.com",
            "/S=m/@example.com",
        ] {
            assert_eq!(Address::parse(route).unwrap_err(), InvalidAddress::Route);
            assert_eq!(Address::from_known(route).unwrap().as_str(), route);
        }
    }

    #[test]
    fn spellings_of_an_address_have_the_same_name() {
        assert!(address("Alice+gate@Example.COM").is_same_name(&address("alice@example.com")));
        assert!(address("a@BÜCHER.example").is_same_name(&address("a@xn--bcher-kva.example")));
        assert!(!address("alice@example.com").is_same_name(&address("alice@example.org")));
    }
}
