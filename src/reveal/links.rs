//! Text in which no mail client finds a link, written as security tools write it: `https[:]//evil[.]example`.
//!
//! Mail clients make links of URLs, of domains whose last label is a known one, and of addresses. Which
//! labels they know changes, so every dot before two letters counts, in file names too.

/// Schemes whose links need no `//`.
const SCHEMES: [&str; 8] = [
    "mailto",
    "tel",
    "sms",
    "sip",
    "callto",
    "skype",
    "news",
    "javascript",
];

/// Replaces what could become a link; leaves other text, such as `3.14`, `v1.2.3` and `e.g.`, unchanged.
pub fn defang(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, &c) in chars.iter().enumerate() {
        let (before, after) = (&chars[..at], &chars[at + 1..]);
        if (c == ':' && (after.starts_with(&['/', '/']) || ends_scheme(before, after)))
            || (is_dot(c) && (joins_labels(before, c, after) || joins_numbers(before, after)))
        {
            out.extend(['[', c, ']']);
        } else {
            out.push(c);
        }
    }
    out
}

/// The full stop, and what IDNA and readers take for one.
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{FF0E}' | '\u{FF61}' | '\u{2024}')
}

fn ends_scheme(before: &[char], after: &[char]) -> bool {
    let start = before.iter().rposition(|c| !c.is_ascii_alphabetic());
    let word: String = before[start.map_or(0, |at| at + 1)..].iter().collect();
    let is_followed = after.first().is_some_and(|c| !c.is_whitespace());
    is_followed && SCHEMES.iter().any(|it| word.eq_ignore_ascii_case(it))
}

/// Whether a dot stands between two labels of which the second could be the last of a domain, or the first is
/// `www`.
fn joins_labels(before: &[char], dot: char, after: &[char]) -> bool {
    let Some(&previous) = before.last() else {
        return false;
    };
    let [next, rest @ ..] = after else {
        return false;
    };
    // In Chinese and Japanese it ends a sentence.
    if dot == '\u{3002}' && !(previous.is_ascii_alphanumeric() && next.is_ascii_alphanumeric()) {
        return false;
    }
    let ends_label = previous.is_alphanumeric()
        || matches!(previous, '-' | '_')
        || !(previous.is_ascii() || previous.is_whitespace() || is_dot(previous));
    let starts_domain = next.is_alphabetic() && rest.first().is_some_and(|c| c.is_alphabetic());
    let tail: String = before[before.len().saturating_sub(3)..].iter().collect();
    let follows_www = tail.eq_ignore_ascii_case("www") && next.is_alphanumeric();
    ends_label && (starts_domain || follows_www)
}

/// Whether a dot belongs to four numbers, as in an IPv4 address.
fn joins_numbers(before: &[char], after: &[char]) -> bool {
    let is_part = |c: &char| c.is_ascii_digit() || *c == '.';
    let start = before.iter().rposition(|c| !is_part(c));
    let start = start.map_or(0, |at| at + 1);
    let end = after.iter().position(|c| !is_part(c));
    let text: String = before[start..]
        .iter()
        .chain(&['.'])
        .chain(&after[..end.unwrap_or(after.len())])
        .collect();
    let text = text.trim_end_matches('.');
    let numbers: Vec<&str> = text.split('.').collect();
    numbers.len() == 4 && numbers.iter().all(|it| (1..=3).contains(&it.len()))
}

#[cfg(test)]
mod tests {
    use super::defang;

    #[test]
    fn what_a_mail_client_would_link_is_written_apart() {
        for (text, expected) in [
            (
                "https://evil.example/a.b?c=d",
                "https[:]//evil[.]example/a.b?c=d",
            ),
            ("HTTP://EVIL.EXAMPLE", "HTTP[:]//EVIL[.]EXAMPLE"),
            ("evil.example.", "evil[.]example."),
            ("t.co/x", "t[.]co/x"),
            ("www.3com.com", "www[.]3com[.]com"),
            ("a.b@mail.evil.example", "a.b@mail[.]evil[.]example"),
            ("http://localhost", "http[:]//localhost"),
            ("http://[::1]/", "http[:]//[::1]/"),
            ("198.51.100.7:80", "198[.]51[.]100[.]7:80"),
            ("Mailto:root@host", "Mailto[:]root@host"),
            ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd[.]xn--p1ai"),
            ("пример.рф", "пример[.]рф"),
            ("evil\u{3002}example", "evil[\u{3002}]example"),
            ("evil\u{FF0E}example", "evil[\u{FF0E}]example"),
            ("i\u{2764}.ws", "i\u{2764}[.]ws"),
            ("report.pdf", "report[.]pdf"),
            ("1.co", "1[.]co"),
            ("(evil.example)", "(evil[.]example)"),
        ] {
            assert_eq!(defang(text), expected);
            assert_eq!(defang(expected), expected, "it is there already");
        }
    }

    #[test]
    fn other_text_is_unchanged() {
        for text in [
            "",
            ".",
            "3.14",
            "v1.2.3",
            "1.2.3.4.5",
            "e.g. this, i.e. that.",
            "U.S.A.",
            "It ended. Then it began.",
            "wait...what",
            "a: b, \"tel\": 1",
            "12:30",
            ".env",
            "/srv/.git",
            "終了。次へ",
            "C:\\files",
        ] {
            assert_eq!(defang(text), text);
        }
    }
}
