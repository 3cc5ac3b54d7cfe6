//! The `human-oversight` program.

mod cli;

use std::process::ExitCode;

/// One thread runs everything but the writer of the embedded store: an instance of Functions has a fraction of a
/// processor, and work that hops between threads costs a futex and an eventfd each time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::main().await
}
