//! How the gate presents itself to people: an organization's own name, colour and words.

use crate::reveal;

/// What mails and pages show beside the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// Whom the mails are from, and what the pages are of.
    pub name: String,
    /// The colour of buttons and links in mails, `#rrggbb`; dark enough for white letters.
    pub colour: String,
    /// What every subject begins with.
    pub subject_prefix: Option<String>,
    /// Whom to ask, below every mail and page.
    pub contact: Option<String>,
    /// The last line of every mail and page.
    pub footer: Option<String>,
}

/// White letters on the colour must have this contrast (WCAG 2.2, 1.4.3).
const CONTRAST: f64 = 4.5;

impl Default for Brand {
    fn default() -> Self {
        Self {
            name: "Human Oversight".to_owned(),
            colour: "#0050b8".to_owned(),
            subject_prefix: None,
            contact: None,
            footer: None,
        }
    }
}

impl Brand {
    /// One line of an operator's, with nothing hidden in it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn line(text: &str, most: usize) -> Result<String, String> {
        let line = reveal::line(text, most);
        match line == text && !text.is_empty() {
            true => Ok(line),
            false => Err(format!(
                "it must be one line of at most {most} characters, none of them hidden"
            )),
        }
    }

    /// A colour that white letters can be read on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn colour(text: &str) -> Result<String, String> {
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| "it must be #rrggbb".to_owned())?;
        let channel = |at: usize| {
            let value = u8::from_str_radix(&digits[at..at + 2], 16).expect("checked digits");
            let value = f64::from(value) / 255.0;
            match value <= 0.040_45 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        };
        let luminance = 0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4);
        let contrast = 1.05 / (luminance + 0.05);
        match contrast >= CONTRAST {
            true => Ok(format!("#{}", digits.to_ascii_lowercase())),
            false => Err(format!(
                "it must be darker: white letters on it have a contrast of {contrast:.1}, and need {CONTRAST}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_carries_white_letters() {
        assert_eq!(Brand::colour("#0B6B2E").unwrap(), "#0b6b2e");
        assert_eq!(Brand::colour("#767676").unwrap(), "#767676");
        for text in [
            "#777777", "#ffffff", "#ffd591", "red", "#12345", "#1234567", "#12345é",
        ] {
            assert!(Brand::colour(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_is_what_it_looks_like() {
        assert!(Brand::line("Contoso Freigaben – Ärzte", 60).is_ok());
        for text in ["a\r\nBcc: x", "a\u{202e}b", "", &"x".repeat(61)] {
            assert!(Brand::line(text, 60).is_err(), "{text:?}");
        }
    }
}
