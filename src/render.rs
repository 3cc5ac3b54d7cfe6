//! What people read: the decision page, emails, and the inbox of local development.
//!
//! Text from an agent is never shown raw: see [`crate::reveal`]. Templates escape HTML.

mod block;
mod block_html;
mod block_text;
mod brand;
mod diff;
mod email;
mod fold;
mod home;
mod inbox;
mod page;
mod request;
mod secrets;
mod subject;
mod template;
mod text;

pub use brand::Brand;
pub use email::{EmailSecrets, ParameterDisclosure, render_email};
pub use home::render_home;
pub use inbox::{InboxEmail, render_inbox, render_inbox_email};
pub use page::{DecisionPage, Form, Identification, PageStyle, STYLE, render_message};
pub use request::format_duration;
