//! The email of `human-oversight check --mail-to`.

use uuid::Uuid;

use super::brand::Brand;
use crate::mailer::Email;
use crate::values::{Address, Timestamp};

/// An email that asks nothing, named `name`.
pub fn render_test_email(
    to: Address,
    name: &str,
    base_url: &str,
    brand: &Brand,
    now: Timestamp,
) -> Email {
    let words = [
        "This is a test: the gate can send email with its settings.",
        "It asks for no decision. You do not need to do anything.",
    ];
    let [what, advice] = words;
    let text = format!(
        "{what}\n\n{advice}\n\nThe gate: {base_url}\n\n-- \n{}\n",
        brand.name
    );
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Test</title></head><body>\
         <p>{what}</p><p>{advice}</p></body></html>"
    );
    let prefix = brand.subject_prefix.as_deref();
    let subject = "[Test] Human Oversight can send email";
    Email {
        to,
        queue: "check".to_owned(),
        subject: prefix.map_or_else(
            || subject.to_owned(),
            |prefix| format!("{prefix} {subject}"),
        ),
        name: name.to_owned(),
        message_id: Uuid::now_v7(),
        in_reply_to: None,
        urgent: false,
        date: now,
        text,
        html,
    }
}
