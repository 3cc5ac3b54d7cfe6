//! The inbox of local development.

use askama::Template;

use super::brand::Brand;
use super::template::render;

/// A mail in the local inbox.
pub struct InboxMail {
    /// What its file is called, without the ending.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// The sender.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// When it was written.
    pub date: String,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage<'a> {
    local: bool,
    brand: Brand,
    mails: &'a [InboxMail],
}

#[derive(Template)]
#[template(path = "inbox_mail.html")]
struct InboxMailPage<'a> {
    local: bool,
    brand: Brand,
    mail: &'a InboxMail,
}

/// The list of mails in the local inbox.
pub fn inbox_page(mails: &[InboxMail]) -> String {
    let (local, brand) = (true, Brand::default());
    render(&InboxPage {
        local,
        brand,
        mails,
    })
}

/// One mail of the local inbox, in a frame that can run nothing.
pub fn inbox_mail_page(mail: &InboxMail) -> String {
    let (local, brand) = (true, Brand::default());
    render(&InboxMailPage { local, brand, mail })
}
