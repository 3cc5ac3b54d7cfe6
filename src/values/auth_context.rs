//! Authentication contexts of Microsoft Entra Conditional Access.

use std::fmt;

/// The id of an authentication context, `c1` to `c99`. A sign-in that satisfied its Conditional Access policies has it
/// in the claim `acrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthContext(u8);

impl AuthContext {
    /// Parses an id as Entra writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_prefix('c')?.parse().ok()?;
        let context = Self(number);
        ((1..=99).contains(&number) && context.to_string() == text).then_some(context)
    }
}

impl fmt::Display for AuthContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_c1_to_c99() {
        for text in ["c1", "c25", "c99"] {
            assert_eq!(AuthContext::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "c", "c0", "c100", "c01", "C1", "1", "c+1", "c1 ", "p1"] {
            assert_eq!(AuthContext::parse(text), None, "{text}");
        }
    }
}
