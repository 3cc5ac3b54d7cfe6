//! A stand-in for the Azure Functions host.
//!
//! It was written from the host's published source, for tests on a machine that cannot run the real
//! host, and is held against a recording of the real one (`recording`). It reads the real `host.json` and
//! `function.json` files, starts and supervises a handler, matches routes and keys, and delivers requests
//! in the host's two modes, proxying and forwarding, with their quirks. If a test enables sign-in, it signs
//! people in as App Service authentication does.
//! Not included: throttling, the 230 s limit of the cloud's front end, `functionTimeout`, triggers
//! other than HTTP and timer, connections to the handler that are kept, requests that are passed on before
//! their body has arrived.

mod app;
mod front;
mod handler;
mod kestrel;
mod modes;
mod sign_in;
mod timer;
mod wire;

pub(crate) use app::{AuthLevel, FunctionApp, Trigger};
pub(crate) use front::Front;
pub(crate) use handler::{Health, Host, Level, ReservedPort};
pub(crate) use sign_in::{PRINCIPAL, SignIn};
pub(crate) use timer::{Invocation, tick};
pub(crate) use wire::{Framing, Head, from_latin1, latin1};

/// The version that the stand-in reports.
const VERSION: &str = "4.1037.0.0";

/// The keys that functions of level `function` require.
pub(crate) const KEY: &str = "the-agents-function-key";
pub(crate) const OTHER_KEY: &str = "another-agents-function-key";

/// The host's master key, which functions of level `admin` require and those of level `function` accept.
pub(crate) const MASTER_KEY: &str = "the-hosts-master-key";

/// How the host forwards HTTP requests to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `enableProxyingHttpRequest`: raw path and query, streamed.
    Proxying,
    /// `enableForwardingHttpRequest` alone, as older hosts know it: rebuilt and buffered.
    Forwarding,
}

impl Mode {
    /// The mode in which the host of the tests delivers, as `HO_TEST_HOST` says.
    pub(crate) fn of_tests() -> Self {
        match std::env::var("HO_TEST_HOST").as_deref() {
            Err(_) | Ok("proxying") => Self::Proxying,
            Ok("forwarding") => Self::Forwarding,
            Ok(other) => panic!("HO_TEST_HOST={other}"),
        }
    }
}
