//! The email of `human-oversight check --mail-to`.

use askama::Template;
use uuid::Uuid;

use super::brand::Brand;
use super::template::render;
use crate::mailer::Email;
use crate::values::{Address, Timestamp};

#[derive(Template)]
#[template(path = "test.html")]
struct TestHtml<'a> {
    mail: &'a TestEmail<'a>,
}

#[derive(Template)]
#[template(path = "test.txt", escape = "none")]
struct TestText<'a> {
    mail: &'a TestEmail<'a>,
}

struct TestEmail<'a> {
    brand: &'a Brand,
    what: &'static str,
    advice: &'static str,
    /// The gate's address.
    gate: &'a str,
}

/// An email that asks nothing, named `name`.
pub fn render_test_email(
    to: Address,
    name: &str,
    base_url: &str,
    brand: &Brand,
    now: Timestamp,
) -> Email {
    let mail = TestEmail {
        brand,
        what: "This is a test: the gate can send email with its settings.",
        advice: "It asks for no decision. You do not need to do anything.",
        gate: base_url,
    };
    let prefix = brand.subject_prefix.as_deref();
    let prefix = prefix.map(|it| format!("{it} ")).unwrap_or_default();
    Email {
        to,
        queue: "check".to_owned(),
        subject: format!("{prefix}[Test] {} can send email", brand.name),
        name: name.to_owned(),
        message_id: Uuid::now_v7(),
        in_reply_to: None,
        urgent: false,
        date: now,
        text: render(&TestText { mail: &mail }),
        html: render(&TestHtml { mail: &mail }),
    }
}
