//! Branding: the organization's name, colour, words and time zone in emails and on pages.

use super::time::Zone;
use crate::reveal;

/// What emails and pages show besides the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// The display name of the sender, and the first line of pages.
    pub name: String,
    /// The colour of buttons and links in emails, `#rrggbb`; dark enough for white text.
    pub colour: String,
    /// The prefix of every subject.
    pub subject_prefix: Option<String>,
    /// Whom to contact, below every email and page.
    pub contact: Option<String>,
    /// The last line of every email and page.
    pub footer: Option<String>,
    /// The zone of all times.
    pub zone: Zone,
}

/// The minimum contrast of white text on the colour (WCAG 2.2, 1.4.3).
const MIN_CONTRAST: f64 = 4.5;

impl Default for Brand {
    fn default() -> Self {
        Self {
            name: "Human Oversight".to_owned(),
            colour: "#0050b8".to_owned(),
            subject_prefix: None,
            contact: None,
            footer: None,
            zone: Zone::default(),
        }
    }
}

impl Brand {
    /// Parses one line of text without hidden characters.
    ///
    /// # Errors
    /// Why the text cannot be used.
    pub fn parse_line(text: &str, longest: usize) -> Result<String, String> {
        let line = reveal::line(text, longest);
        // Mail clients decode `=?` in a header.
        if line == text && !text.is_empty() && !text.contains("=?") {
            Ok(line)
        } else {
            Err(format!(
                "it must be one line of at most {longest} characters, without hidden ones, several spaces in a row and `=?`"
            ))
        }
    }

    /// Parses a colour on which white text is readable.
    ///
    /// # Errors
    /// Why the colour cannot be used.
    pub fn parse_colour(text: &str) -> Result<String, String> {
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| "it must be #rrggbb".to_owned())?;
        let channel = |at: usize| {
            let value = u8::from_str_radix(&digits[at..at + 2], 16).expect("checked digits");
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let luminance = 0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4);
        let contrast = 1.05 / (luminance + 0.05);
        if contrast >= MIN_CONTRAST {
            Ok(format!("#{}", digits.to_ascii_lowercase()))
        } else {
            Err(format!(
                "it must be darker: its contrast with white text is {contrast:.1}, and must be at least \
                 {MIN_CONTRAST}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_text_is_readable_on_a_colour() {
        assert_eq!(Brand::parse_colour("#0B6B2E").unwrap(), "#0b6b2e");
        assert_eq!(Brand::parse_colour("#767676").unwrap(), "#767676");
        for text in [
            "#777777", "#ffffff", "#ffd591", "red", "#12345", "#1234567", "#12345é",
        ] {
            assert!(Brand::parse_colour(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_has_no_hidden_characters() {
        assert!(Brand::parse_line("Contoso Freigaben – Ärzte", 60).is_ok());
        for text in [
            "a\r\nBcc: x",
            "a\u{202e}b",
            "",
            "=?utf-8?Q?x?=",
            &"x".repeat(61),
        ] {
            assert!(Brand::parse_line(text, 60).is_err(), "{text:?}");
        }
    }
}
