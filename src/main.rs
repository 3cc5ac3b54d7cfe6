//! The `human-oversight` program.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// An approval takes thousands of small allocations, for which the system's allocator takes a fifth of the processor
/// time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// One thread runs everything but the writer of the embedded store: an instance of Functions has a fraction of a
/// processor, and work that hops between threads costs a futex and an eventfd each time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::main().await
}
