//! Text in which no mail client finds a link, written as security tools write it: `https[:]//evil[.]example`.
//!
//! Mail clients make links of URLs, of schemes without `//` (`tel:`, `ms-word:`), of domains whose last label is a
//! known one, of addresses, and of shares (`\\host\share`). Which labels and schemes they know changes, so every
//! dot before two letters counts, in file names too, and every word before a colon and what looks like a path or
//! an address. Characters count as what clients normalise them to.

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use super::words::single;

/// Schemes that clients link whatever follows.
const SCHEMES: [&str; 18] = [
    "mailto",
    "tel",
    "sms",
    "mms",
    "sip",
    "sips",
    "callto",
    "skype",
    "news",
    "im",
    "xmpp",
    "facetime",
    "facetime-audio",
    "whatsapp",
    "geo",
    "maps",
    "outlook",
    "javascript",
];

/// After another word and a colon, these characters make a URL of it.
const URL_CHARS: [char; 9] = ['/', '\\', '@', '?', '|', '#', '%', '=', '&'];

/// Replaces what could become a link; leaves other text, such as `3.14`, `v1.2.3`, `e.g.` and `C:\temp`,
/// unchanged.
pub fn defang(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let plain: Vec<char> = chars.iter().map(|c| plain(*c)).collect();
    let mut out = String::with_capacity(text.len());
    for (at, &c) in chars.iter().enumerate() {
        let (before, after) = (&plain[..at], &plain[at + 1..]);
        let is_linked = match plain[at] {
            ':' => after.starts_with(&['/', '/']) || ends_scheme(before, after),
            '\\' => belongs_to_share(before, after),
            dot @ ('.' | IDEOGRAPHIC_STOP) => {
                joins_labels(before, dot, after) || joins_numbers(before, after)
            }
            MIDDLE_DOT => joins_labels(before, MIDDLE_DOT, after) && !is_catalan(before, after),
            _ => false,
        };
        if is_linked {
            out.extend(['[', c, ']']);
        } else {
            out.push(c);
        }
    }
    out
}

/// How far a decision about one character looks, so that long texts take linear time: after a colon, and along a
/// row of backslashes, or of digits and dots.
const SCANNED: usize = 256;
const SCANNED_ROW: usize = 17;

const IDEOGRAPHIC_STOP: char = '\u{3002}';
const MIDDLE_DOT: char = '\u{B7}';

/// The dot, colon or slash that a character becomes when it is normalised (NFKC) or that readers take it for;
/// otherwise the character itself.
fn plain(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let is_meant = |c: &char| {
        matches!(
            c,
            '.' | ':' | '/' | '\\' | '@' | &IDEOGRAPHIC_STOP | &MIDDLE_DOT
        )
    };
    let text = c.to_string();
    let usual = single(text.nfkc()).filter(is_meant);
    let dot = || single(skeleton(&text)).filter(|it| *it == '.' && !c.is_alphanumeric());
    usual.or_else(dot).unwrap_or(c)
}

/// Whether a colon ends a scheme. A letter before it is a drive; before another colon, digits or a space, it
/// is a path of names, a port, a time or the end of a clause.
fn ends_scheme(before: &[char], after: &[char]) -> bool {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let start = before.iter().rposition(|c| !is_part(c));
    let scheme: String = before[start.map_or(0, |at| at + 1)..].iter().collect();
    let is_end = |c: &char| c.is_whitespace() || *c == '"';
    let rest = &after[..after.len().min(SCANNED)];
    let rest = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
    // What stands before a known scheme may be the end of another word.
    let word = scheme.rsplit(['+', '.']).next().unwrap_or_default();
    let is_known = SCHEMES.iter().any(|it| word.eq_ignore_ascii_case(it));
    let is_scheme = scheme.len() > 1 && scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let has_url_chars = rest.len() == SCANNED || rest.iter().any(|c| URL_CHARS.contains(c));
    let is_url = has_url_chars && rest.first() != Some(&':');
    !rest.is_empty() && (is_known || (is_scheme && is_url))
}

/// Whether a backslash is one of those that begin the path of a share, such as `\\host\share`: at least two, at
/// the start of a word, before a name. After a drive (`C:\\temp`, as JSON has it) they do not.
fn belongs_to_share(before: &[char], after: &[char]) -> bool {
    let is_backslash = |c: &&char| **c == '\\';
    let row = before.iter().rev().take(SCANNED_ROW);
    let earlier = row.take_while(is_backslash).count();
    let row = after.iter().take(SCANNED_ROW);
    let later = row.take_while(is_backslash).count();
    let begins_name = after
        .get(later)
        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '[' | '_'));
    let before = &before[..before.len() - earlier];
    let follows_drive = match before {
        [.., c, drive, ':'] => drive.is_ascii_alphabetic() && !c.is_alphanumeric(),
        [drive, ':'] => drive.is_ascii_alphabetic(),
        _ => false,
    };
    let begins_word = !before.last().is_some_and(|c| c.is_alphanumeric());
    earlier + later > 0 && begins_name && begins_word && !follows_drive
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
    if dot == IDEOGRAPHIC_STOP && *next >= '\u{2E80}' {
        return false;
    }
    let is_dot = |c: char| matches!(c, '.' | IDEOGRAPHIC_STOP);
    let ends_label = previous.is_alphanumeric()
        || matches!(previous, '-' | '_')
        || !(previous.is_ascii() || previous.is_whitespace() || is_dot(previous));
    let starts_domain = next.is_alphabetic() && rest.first().is_some_and(|c| c.is_alphabetic());
    let tail: String = before[before.len().saturating_sub(3)..].iter().collect();
    let follows_www = tail.eq_ignore_ascii_case("www") && next.is_alphanumeric();
    ends_label && (starts_domain || follows_www)
}

/// Catalan has a middle dot in `col·legi`; Chinese and Japanese have it between the parts of names.
fn is_catalan(before: &[char], after: &[char]) -> bool {
    let is_l = |c: Option<&char>| c.is_some_and(|c| c.eq_ignore_ascii_case(&'l'));
    let is_wide = |c: Option<&char>| c.is_some_and(|c| *c >= '\u{2E80}');
    let (previous, next) = (before.last(), after.first());
    (is_l(previous) && is_l(next)) || is_wide(next)
}

/// Whether a dot belongs to four numbers, as in an IPv4 address.
fn joins_numbers(before: &[char], after: &[char]) -> bool {
    let is_part = |c: &char| c.is_ascii_digit() || *c == '.';
    let before = &before[before.len().saturating_sub(SCANNED_ROW)..];
    let after = &after[..after.len().min(SCANNED_ROW)];
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
            ("終了\u{3002}com", "終了[\u{3002}]com"),
            ("終了\u{FF61}com/x", "終了[\u{FF61}]com/x"),
            ("evil\u{3002}рф", "evil[\u{3002}]рф"),
            ("evil\u{FE52}example", "evil[\u{FE52}]example"),
            ("evil\u{2024}example", "evil[\u{2024}]example"),
            ("evil\u{387}example", "evil[\u{387}]example"),
            ("evil\u{B7}example", "evil[\u{B7}]example"),
            ("evil\u{A4F8}example", "evil\u{A4F8}example"),
            ("evil\u{702}example", "evil[\u{702}]example"),
            ("tel:110", "tel[:]110"),
            ("(sms:110)", "(sms[:]110)"),
            ("javascript:alert(1)", "javascript[:]alert(1)"),
            ("facetime:alice", "facetime[:]alice"),
            ("ms-word:ofe|u|x", "ms-word[:]ofe|u|x"),
            ("file:/x", "file[:]/x"),
            ("file:\\\\host\\share", "file[:][\\][\\]host\\share"),
            ("x-app:?open", "x-app[:]?open"),
            ("data:text/html,x", "data[:]text/html,x"),
            (
                "https\u{FF1A}\u{FF0F}\u{FF0F}host",
                "https[\u{FF1A}]\u{FF0F}\u{FF0F}host",
            ),
            ("http:\\\\host", "http[:][\\][\\]host"),
            ("http:\\host", "http[:]\\host"),
            ("\\\\host\\share", "[\\][\\]host\\share"),
            ("see \\\\host", "see [\\][\\]host"),
            (
                "\"\\\\\\\\host\\\\share\"",
                "\"[\\][\\][\\][\\]host\\\\share\"",
            ),
            ("\\\\10.0.0.1\\x", "[\\][\\]10[.]0[.]0[.]1\\x"),
            ("\u{FF3C}\u{FF3C}host\\x", "[\u{FF3C}][\u{FF3C}]host\\x"),
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
            "\"C:\\\\files\\\\x\"",
            "contoso\\alice",
            "contoso\\\\alice",
            "a \\\\ b",
            "Re: invoice",
            "Note:",
            "at 10:30, at 10:30:15.",
            "2026-11-27T10:30:00Z",
            "localhost:7071",
            "std::fs::read",
            "key:value",
            "sha256:00ff",
            "ratio 1:2/3",
            "終了。次の手順へ",
            "終了。 Next",
            "col·legi",
            "データ・センター",
            "5·3 kW·h",
            "wait…what",
        ] {
            assert_eq!(defang(text), text);
        }
    }
}
