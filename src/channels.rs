//! Channels: other systems of the organisation that are notified of what happens to requests. Webhooks are signed by Standard
//! Webhooks 1.0; workflows of Microsoft Teams get cards.

mod channel;
mod event;
mod guard;
mod sender;
mod standing_event;
mod url;

pub use channel::{Channel, Receiver};
pub use event::event;
pub use sender::{ChannelError, Message, Sender};
pub use standing_event::standing_event;
pub use url::{ChannelUrl, InvalidUrl};
