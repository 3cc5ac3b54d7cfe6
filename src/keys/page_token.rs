//! The page token, in the forms of a decision page: this gate showed this request to this person. It is verified
//! without the row, so that the gate can read and write beside the row what their form may need. It opens and
//! decides nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use subtle::ConstantTimeEq;

use super::link_keys::{LinkKey, LinkKeys};
use crate::values::{ApprovalId, MAX_CLOCK_SKEW, Timestamp};

/// How long a page token counts, in seconds. A form that comes later takes the longer way.
const COUNTS_FOR: i64 = 3_600;

/// How far ahead the clock of the instance that showed the page may be, in seconds.
const AHEAD: i64 = MAX_CLOCK_SKEW.as_secs() as i64;

impl LinkKeys {
    /// The page token for a request and the name of a person, which has no full stop:
    /// `{name}.{seconds of Unix time}.{43 characters}`.
    pub fn page_token(&self, id: &ApprovalId, person: &str, shown_at: Timestamp) -> String {
        let shown = format!("{person}.{}", shown_at.unix_seconds());
        format!("{shown}.{}", mac(self.current(), id, &shown))
    }

    /// The person of a page token; `None` unless one of the keys made it, for this request, in the last hour.
    pub fn verify_page_token<'a>(
        &self,
        id: &ApprovalId,
        token: &'a str,
        now: Timestamp,
    ) -> Option<&'a str> {
        let (shown, tag) = token.rsplit_once('.')?;
        let (person, shown_at) = shown.split_once('.')?;
        let is_of = |key| bool::from(mac(key, id, shown).as_bytes().ct_eq(tag.as_bytes()));
        let shown_at = self.all().any(is_of).then_some(shown_at)?;
        let age = now.unix_seconds() - shown_at.parse::<i64>().ok()?;
        (-AHEAD..COUNTS_FOR).contains(&age).then_some(person)
    }
}

fn mac(key: &LinkKey, id: &ApprovalId, shown: &str) -> String {
    let id = id.to_string();
    BASE64URL.encode(key.mac([b"oversight page 1", id.as_bytes(), shown.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::keys::keyring::{generate_link_key, parse};

    #[test]
    fn a_page_token_counts_for_its_request_and_person_for_an_hour() {
        let keys = LinkKeys::new(&parse(&generate_link_key()).unwrap()).unwrap();
        let [id, other]: [ApprovalId; 2] = ["QQ.1", "QQ.2"].map(|id| id.parse().unwrap());
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let shown_at = at("2026-11-22T12:00:00.000Z");
        let token = keys.page_token(&id, "alice", shown_at);
        let verified = |id, now| keys.verify_page_token(id, &token, now);
        assert_eq!(verified(&id, shown_at), Some("alice"));
        assert_eq!(verified(&other, shown_at), None);
        let after = |minutes: u64| shown_at + Duration::from_secs(60 * minutes);
        assert_eq!(verified(&id, after(59)), Some("alice"));
        assert_eq!(verified(&id, after(60)), None);
        assert_eq!(verified(&id, at("2026-11-22T11:50:00.000Z")), Some("alice"));
        assert_eq!(verified(&id, at("2026-11-22T11:49:59.000Z")), None);
        for changed in [
            token.replacen("alice", "bob", 1),
            token.replacen(".17", ".18", 1),
            token[..token.len() - 1].to_owned(),
            token.replacen('.', "", 1),
            String::new(),
        ] {
            assert_eq!(keys.verify_page_token(&id, &changed, shown_at), None);
        }
    }
}
