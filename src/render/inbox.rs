//! The inbox of local development.

use askama::Template;

use super::brand::Brand;
use super::template::render;

/// An email in the inbox.
pub struct InboxEmail {
    /// The name of its file, without the extension.
    pub name: String,
    pub subject: String,
    pub from: String,
    pub to: String,
    pub date: String,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage<'a> {
    local: bool,
    brand: Brand,
    emails: &'a [InboxEmail],
}

#[derive(Template)]
#[template(path = "inbox_mail.html")]
struct InboxEmailPage<'a> {
    local: bool,
    brand: Brand,
    mail: &'a InboxEmail,
}

/// Renders the list of emails.
pub fn render_inbox(emails: &[InboxEmail]) -> String {
    let (local, brand) = (true, Brand::default());
    render(&InboxPage {
        local,
        brand,
        emails,
    })
}

/// Renders one email, in a frame that cannot run scripts.
pub fn render_inbox_email(mail: &InboxEmail) -> String {
    let (local, brand) = (true, Brand::default());
    render(&InboxEmailPage { local, brand, mail })
}
