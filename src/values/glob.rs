//! Patterns in which `*` stands for any text.

/// Whether a text matches a pattern.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let Some((beginning, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(beginning) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_matches_any_text() {
        for (pattern, text, matches) in [
            ("delete user", "delete user", true),
            ("delete user", "delete users", false),
            ("delete*", "delete user", true),
            ("delete*", "delete", true),
            ("delete*", "undelete", false),
            ("*account", "delete account", true),
            ("*account", "delete accounts", false),
            ("*pay*", "prepayment", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(glob_matches(pattern, text), matches, "{pattern} {text}");
        }
    }
}
