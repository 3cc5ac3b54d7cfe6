//! The subject as a header (RFC 2047).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::message::header::{Header, HeaderName, HeaderValue, Subject};

/// The bytes of an encoded word's text: at most 75 characters with the rest of the word.
const WORD_BYTES: usize = 45;

/// The header. A text that itself looks like an encoded word is encoded, since a client would decode it.
pub(super) fn subject(text: String) -> HeaderValue {
    if !text.contains("=?") {
        return Subject::from(text).display();
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        if words
            .last()
            .is_some_and(|it| it.len() + c.len_utf8() > WORD_BYTES)
        {
            words.push(String::new());
        }
        words.last_mut().expect("there is one").push(c);
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?utf-8?b?{}?=", BASE64.encode(word)))
        .collect();
    let name = HeaderName::new_from_ascii_str("Subject");
    HeaderValue::dangerous_new_pre_encoded(name, text, words.join("\r\n "))
}
