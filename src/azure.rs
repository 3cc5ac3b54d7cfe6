//! Azure: access tokens, HTTP clients, and App Service authentication ("Easy Auth").

pub mod credentials;
pub mod easy_auth;
pub(crate) mod http;
mod member;

pub use credentials::Principal;
pub use easy_auth::{NotAnAgent, NotSignedIn, SignIn, SignInPolicy, is_program, parse_agent};
pub use member::Member;
