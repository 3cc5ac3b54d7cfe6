//! What people read: the decision page, emails, and the inbox of local development.
//!
//! Text from an agent is never shown raw: see [`crate::reveal`]. Templates escape HTML.

mod brand;
mod email;
mod inbox;
mod page;
mod request;
mod template;

pub use brand::Brand;
pub use email::{MailParameters, Secrets, email};
pub use inbox::{InboxMail, inbox_mail_page, inbox_page};
pub use page::{DecisionPage, Form, PageStyle, Proof, STYLE, message_page};
pub use request::duration;
