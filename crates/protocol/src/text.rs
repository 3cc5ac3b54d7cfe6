//! What texts and addresses are, for the gate and for the mocks of its clients.

/// Whether a character keeps a text from being one line that reads as it is written: a control character, a
/// bidirectional control, or the line or paragraph separator.
pub fn breaks_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// An address in lower case, without `+tag`: equal for all its spellings.
pub fn address_name(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let local = local.split_once('+').map_or(local, |(name, _)| name);
    format!("{local}@{domain}").to_lowercase()
}
