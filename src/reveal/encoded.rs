//! Encoded words, as in the headers of emails.

/// More than the length of an encoded word, in characters.
const ENCODED_WORD: usize = 256;

/// Encoded words of RFC 2047, such as `=?utf-8?q?x?=`, also with spaces, which some programs decode.
pub(super) fn encoded_words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find("=?")?..];
            let end = rest.char_indices().nth(ENCODED_WORD).map(|(at, _)| at);
            let line = rest[..end.unwrap_or(rest.len())].lines().next();
            let line = line.unwrap_or_default();
            let mut parts = line.splitn(4, '?').skip(2);
            let is_encoding = parts
                .next()
                .is_some_and(|it| ["q", "b"].contains(&it.to_lowercase().as_str()));
            let word = parts
                .next()
                .and_then(|it| it.find("?=").map(|end| line.len() - it.len() + end + 2));
            let (word, behind) = rest.split_at(word.filter(|_| is_encoding).unwrap_or(2));
            rest = behind;
            if word.len() > 2 {
                return Some(word);
            }
        }
    })
}
