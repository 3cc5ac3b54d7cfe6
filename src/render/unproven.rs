//! What is said of words that anyone with an approver's link can have written.

/// What the agent got of them: the reason from the list, if there is one.
pub(super) fn describe_agents_part(preset: Option<&str>) -> String {
    match preset {
        Some(preset) => format!("The agent got only the reason from the list, “{preset}”."),
        None => "The agent did not get it.".to_owned(),
    }
}
