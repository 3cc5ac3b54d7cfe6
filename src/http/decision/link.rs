//! Reads an approver's link, also as mail systems damage it. What is repaired is only its spelling: the token is
//! then checked as any other.

use percent_encoding::percent_decode_str;

use crate::values::ApprovalId;

/// The characters of a token's MAC, base64url of 32 bytes.
const MAC_CHARS: usize = 43;

/// How often a link may have been percent-encoded.
const ENCODINGS: usize = 4;

/// A link as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The request; `None` if the path names none.
    id: Option<ApprovalId>,
    /// The token; empty without one.
    token: String,
}

/// What a link lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Request,
    Token,
    Both,
}

impl Link {
    /// Reads the last segment of the path, decoded once, and the query as it arrived.
    pub(super) fn parse(segment: &str, query: &str) -> Self {
        let segment = from_url_defense(decode(segment));
        // A question mark that was encoded leaves the query in the path.
        let end = segment.find(['?', '&', ';', '#']);
        let (id, in_path) = segment.split_at(end.unwrap_or(segment.len()));
        // Spaces, and what is left of broken lines.
        let id: String = id.chars().filter(|&c| is_plain(c)).collect();
        let token = find_token(query).or_else(|| find_token(in_path));
        Self {
            id: id.parse().ok(),
            token: token.unwrap_or_default(),
        }
    }

    /// The request and the token, whether or not there is such a request. People who sign in need no token.
    ///
    /// # Errors
    /// What the link lacks.
    pub(super) fn into_parts(self, needs_token: bool) -> Result<(ApprovalId, String), Missing> {
        match (self.id, needs_token && self.token.is_empty()) {
            (Some(id), false) => Ok((id, self.token)),
            (Some(_), true) => Err(Missing::Token),
            (None, false) => Err(Missing::Request),
            (None, true) => Err(Missing::Both),
        }
    }
}

/// The text as it was before mail systems encoded it.
fn decode(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 1..ENCODINGS {
        text = percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    text
}

/// The text as it was before Proofpoint's URL Defense, version 2, wrote `-` for `%` of each character that it encoded: a
/// link that was copied out of such a one.
fn from_url_defense(text: String) -> String {
    if !text.contains("-3Fk-3D") {
        return text;
    }
    let text = text.replace('_', "/").replace('-', "%");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// The token in a query: that of `k`, or what is left of it.
fn find_token(query: &str) -> Option<String> {
    let mut text = query.to_owned();
    for _ in 0..ENCODINGS {
        // Quoted-printable writes `=` as `=3D`, and breaks lines by `=`.
        let plain = text.replace("=3D", "=").replace("=3d", "=");
        let plain = plain.replace("&equals;", "=");
        let mut parameters = plain.split(['&', '?', ';', '#']);
        if let Some(token) = parameters.find_map(token_of) {
            return Some(token);
        }
        text = percent_decode_str(&plain).decode_utf8_lossy().into_owned();
    }
    None
}

/// The token in one parameter `k=…`.
fn token_of(parameter: &str) -> Option<String> {
    let parameter = parameter.trim_start_matches(|c: char| !is_plain(c));
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("k") || value.contains('%') {
        // Another parameter, or one that is still encoded.
        return None;
    }
    // Spaces and the rest of broken lines, wherever a mail system put them.
    let text: String = value.chars().filter(|&c| is_plain(c)).collect();
    let text = text.strip_prefix("3D").unwrap_or(&text);
    // A key's name may have dots; what follows the MAC is punctuation of the text around the link.
    text.match_indices('.').find_map(|(dot, _)| {
        let end = dot + 1 + MAC_CHARS;
        let mac = text.get(dot + 1..end)?;
        (!mac.contains('.')).then(|| text[..end].to_owned())
    })
}

/// Whether a character occurs in ids and tokens.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "VXNlck1hbmFnZXJBZ2VudA.0192-a_b.c";
    const TOKEN: &str = "1k1.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";

    fn is_found(segment: &str, query: &str) -> bool {
        let expected = Link {
            id: ID.parse().ok(),
            token: TOKEN.to_owned(),
        };
        Link::parse(segment, query) == expected
    }

    fn percent(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn a_whole_link_is_read_as_it_is() {
        assert!(is_found(ID, &format!("k={TOKEN}")));
        assert!(is_found(ID, &format!("k={TOKEN}&forms=1")));
    }

    #[test]
    fn a_damaged_link_is_repaired() {
        for at in 0..TOKEN.len() {
            let (one, two) = TOKEN.split_at(at);
            for middle in [
                "%20",
                "+",
                "%0A",
                "%0D%0A",
                "%09",
                "=%0A",
                "=%0D%0A",
                "%3D%0A",
                "%C2%AD",
                "%E2%80%8B",
            ] {
                assert!(
                    is_found(ID, &format!("k={one}{middle}{two}")),
                    "{middle} at {at}"
                );
            }
        }
        for at in 0..=ID.len() {
            let (one, two) = ID.split_at(at);
            for middle in [
                " ",
                "%20",
                "\n",
                "\r\n",
                "=\n",
                "%3D%0A",
                "=\r\n",
                "\t",
                "\u{ad}",
                "\u{200b}",
                "%E2%80%8B",
            ] {
                let broken = format!("{one}{middle}{two}");
                assert!(is_found(&broken, &format!("k={TOKEN}")), "{broken:?}");
                let broken = format!("{broken}%3Fk={TOKEN}");
                assert!(is_found(&broken, ""), "{broken:?}");
            }
        }
        for before in [
            "k=3D",
            "k%3D",
            "k%3d3D",
            "K=",
            "amp;k=",
            "utm_source=mail&k=",
            "a=b&amp;k=",
            "k&equals;",
            "%6B=",
        ] {
            assert!(is_found(ID, &format!("{before}{TOKEN}")), "{before}");
        }
        for after in [
            ".",
            ",",
            ")",
            ">",
            "%3E",
            ";",
            "\"",
            "%22",
            "'",
            "]",
            "&utm_medium=email",
            "&fbclid=x",
            "#top",
            "%20and",
            "&amp;x=y",
            "%23top",
        ] {
            assert!(is_found(ID, &format!("k={TOKEN}{after}")), "{after}");
        }
        let mut encoded = format!("k={TOKEN}");
        for _ in 1..ENCODINGS {
            encoded = percent(&encoded);
            assert!(is_found(ID, &encoded), "{encoded}");
        }
        // The question mark was encoded, once or twice.
        for mark in ["?", "%3F"] {
            assert!(is_found(&format!("{ID}{mark}k={TOKEN}"), ""), "{mark}");
        }
    }

    /// `https://urldefense.proofpoint.com/v2/url?u=LINK&d=…`, of which the link was copied.
    #[test]
    fn a_link_in_the_spelling_of_url_defense_is_read() {
        let encode = |text: &str| text.replace('-', "-2D").replace('_', "-5F");
        let link = format!("{}-3Fk-3D{}", encode(ID), encode(TOKEN));
        for more in ["", "&d=DwMFaQ&c=euGZstcaTDllvimEN8b7jXrwqOf-v5A", "."] {
            assert!(is_found(&format!("{link}{more}"), ""), "{more}");
        }
        // Version 3 puts its marks behind the link.
        assert!(is_found(ID, &format!("k={TOKEN}__;!!Ab-c_12!x$")));
    }

    #[test]
    fn what_is_lost_or_changed_is_no_token() {
        let lower = TOKEN.to_lowercase();
        assert_ne!(Link::parse(ID, &format!("k={lower}")).token, TOKEN);
        for query in [
            "",
            "k=",
            "k",
            &format!("k={}", &TOKEN[..TOKEN.len() - 1]),
            &format!("kk={TOKEN}"),
            TOKEN,
        ] {
            assert_eq!(Link::parse(ID, query).token, "", "{query}");
        }
        assert_eq!(Link::parse("", &format!("k={TOKEN}")).id, None);
    }

    #[test]
    fn what_is_missing_is_known_without_looking_for_the_request() {
        let token = format!("k={TOKEN}");
        for (id, query, needs_token, missing) in [
            (ID, token.as_str(), true, None),
            (ID, "", true, Some(Missing::Token)),
            (ID, "", false, None),
            (&ID[..8], token.as_str(), true, Some(Missing::Request)),
            (&ID[..8], "k=1k1.Ab", true, Some(Missing::Both)),
            (&ID[..8], "", false, Some(Missing::Request)),
        ] {
            let link = Link::parse(id, query);
            let parts = link.into_parts(needs_token);
            assert_eq!(parts.err(), missing, "{id}?{query}");
        }
    }
}
