//! What is said of a rejection, and of words, that anyone with an approver's link can have given.

use crate::domain::{Assurance, Decision};

/// What the agent got of them: the reason from the list, if there is one.
pub(super) fn describe_agents_part(preset: Option<&str>) -> String {
    match preset {
        Some(preset) => format!("The agent got only the reason from the list, “{preset}”."),
        None => "The agent did not get it.".to_owned(),
    }
}

/// What a mail says of a vote by link alone, whose words the agent got only in part.
pub(super) fn describe_unproven(agents_part: Option<String>) -> String {
    match agents_part {
        Some(part) => format!(
            "Written without the right code: anyone with the link can have written it.\n{part}"
        ),
        None => {
            "Rejected without the right code: anyone with the link can have rejected it.".to_owned()
        }
    }
}

/// What a mail says of a decision by link alone, whose words it may show.
pub(super) fn describe_decision(decision: &Decision, with_words: bool) -> Option<String> {
    let is_by_link = decision.by.assurance() == Some(Assurance::LinkOnly);
    is_by_link.then(|| {
        let has_words = with_words && decision.words.are_unproven(decision.by.assurance());
        describe_unproven(has_words.then(|| describe_agents_part(decision.words.preset.as_deref())))
    })
}
