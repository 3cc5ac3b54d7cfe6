//! What people read: the decision page, emails, and the inbox of local development.
//!
//! Text from an agent is never shown raw: see [`crate::reveal`]. Templates escape HTML.

mod block;
mod block_html;
mod block_text;
mod brand;
mod card;
mod changes;
mod defanger;
mod diff;
mod email;
mod email_secrets;
mod fault;
mod fold;
mod grant;
mod hand_over;
mod home;
mod identification;
mod inbox;
mod news;
mod page;
mod page_form;
mod parameters;
mod plan;
mod precedent;
mod quotes;
mod request;
mod requests;
mod secrets;
mod standing_card;
mod subject;
mod template;
mod test_email;
mod text;
mod time;
mod unproven;

pub use brand::Brand;
pub use card::{render_card, render_test_card};
pub use email::{ParameterDisclosure, render_email};
pub use email_secrets::EmailSecrets;
pub use fault::Field;
pub use grant::{GrantOffer, GrantView};
pub use hand_over::{HandOverForm, Receiver};
pub use home::render_home;
pub use identification::Identification;
pub use inbox::{InboxEmail, render_inbox, render_inbox_email};
pub use page::{DecisionPage, PageStyle, STYLE, render_message};
pub use page_form::{Form, PageForms};
pub use precedent::PrecedentView;
pub use request::format_duration;
pub use requests::{OwnGrant, RequestsPage};
pub use standing_card::render_standing_card;
pub use test_email::render_test_email;
pub use time::Zone;
