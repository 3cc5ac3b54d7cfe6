//! Names of tools with `*` for any characters.

use serde::Deserialize;

/// A pattern such as `delete_*`. With a slash it is matched against `server/tool`, without one against the tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pattern(String);

#[derive(Debug, thiserror::Error)]
#[error("a pattern must not be empty: `*` matches every tool")]
pub(crate) struct EmptyPattern;

impl TryFrom<String> for Pattern {
    type Error = EmptyPattern;

    fn try_from(text: String) -> Result<Self, EmptyPattern> {
        if text.is_empty() {
            return Err(EmptyPattern);
        }
        Ok(Self(text))
    }
}

impl Pattern {
    pub(crate) fn matches(&self, server: &str, tool: &str) -> bool {
        if self.0.contains('/') {
            matches(&self.0, &format!("{server}/{tool}"))
        } else {
            matches(&self.0, tool)
        }
    }

    /// Whether it may mean this tool: also by a name of the tool's own that has a slash. So no reading of it misses one.
    pub(crate) fn may_mean(&self, server: &str, tool: &str) -> bool {
        self.matches(server, tool) || matches(&self.0, tool)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// How many characters it demands: of two patterns that match, the one with more is the closer one.
    pub(crate) fn closeness(&self) -> usize {
        self.0.chars().filter(|c| *c != '*').count()
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("delete_*", "delete_file", true),
            ("delete_*", "delete_", true),
            ("delete_*", "undelete_file", false),
            ("*_file", "delete_file", true),
            ("*_file", "delete_files", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a**a", "aa", true),
            ("read", "read", true),
            ("read", "read_file", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_slash_names_the_server() {
        let pattern = Pattern("github/merge_*".to_owned());
        assert!(pattern.matches("github", "merge_pull_request"));
        assert!(!pattern.matches("gitlab", "merge_pull_request"));
        assert!(!pattern.matches("x", "github/merge_pull_request"));
    }

    #[test]
    fn a_slash_may_be_a_part_of_the_tools_name() {
        let pattern = Pattern("repo/delete_*".to_owned());
        assert!(pattern.may_mean("repo", "delete_file"));
        assert!(pattern.may_mean("x", "repo/delete_file"));
        assert!(!pattern.may_mean("x", "delete_file"));
    }
}
