//! What people type in the forms.

use std::borrow::Cow;

use crate::reveal;

/// The fields of a form, in order.
pub(super) struct FormFields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> FormFields<'a> {
    pub(super) fn parse(body: &'a str) -> Self {
        Self(form_urlencoded::parse(body.as_bytes()).collect())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// What the fields of a name hold.
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_ref())
    }

    /// What the first field of a name holds.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// What was typed in the fields of a name, of which a page has one; `None` if nothing of it shows.
    pub(super) fn words(&self, name: &str) -> Option<String> {
        let typed = self.values(name);
        let typed = typed.map(|it| clean_comment(&it.replace("\r\n", "\n")));
        let typed: Vec<String> = typed.filter(|it| reveal::is_shown(it)).collect();
        Some(typed.join("\n")).filter(|it| !it.is_empty())
    }
}

/// Removes control characters: they are invisible to people.
fn clean_comment(typed: &str) -> String {
    typed
        .trim()
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}
