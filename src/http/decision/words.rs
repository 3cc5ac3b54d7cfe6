//! What people type in the forms.

/// What was typed in the fields of a name, of which a page has one; `None` if nothing was.
pub(super) fn read_words(body: &str, name: &str) -> Option<String> {
    let typed = form_urlencoded::parse(body.as_bytes()).filter(|(field, _)| field == name);
    let typed = typed.map(|(_, it)| clean_comment(&it.replace("\r\n", "\n")));
    let typed: Vec<String> = typed.filter(|it| !it.is_empty()).collect();
    Some(typed.join("\n")).filter(|it| !it.is_empty())
}

/// Removes control characters: they are invisible to people.
fn clean_comment(typed: &str) -> String {
    typed
        .trim()
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}
