//! A proxy between an MCP client and a tool server: a tool runs only after a person approved exactly these arguments.
//!
//! It stands where the server stood: client and server speak through it over standard input and output, and everything but
//! held calls passes byte for byte, or with additions where the proxy offers tasks. So it reads lines and keeps them as
//! bytes. The types of the crate `rmcp` would write what they read in another way, and each knows the revisions of its own
//! time. The proxy reads nine methods of the client, and adds to three answers of the server.
//!
//! # Map
//!
//! Each module imports only modules above it in this table.
//!
//! | module | contents |
//! |---|---|
//! | `lock` | locks that outlive a panic |
//! | `span` | spans of time such as `45s` |
//! | `line` | texts in one line |
//! | `pattern` | names of tools with `*` |
//! | `template` | texts with placeholders |
//! | `claim_key` | the key of names and claim secrets |
//! | `members` | the members of a JSON object, as written |
//! | `id` | the id of a request |
//! | `lenient` | JSON of the server that no strict reader takes |
//! | `clear` | whether each server reads a message alike |
//! | `message` | what the proxy must know of a line of JSON-RPC |
//! | `requests` | the client's requests that the server has not answered |
//! | `answer` | answers to requests |
//! | `call` | the content of a held call, and the message that runs it |
//! | `config` | the file of settings, and the environment |
//! | `cli` | the command line |
//! | `tools` | what the server says of its tools |
//! | `server` | the tool server as a child process |
//! | `output` | the client's side |
//! | `request` | a held call as a request at the gate |
//! | `end` | what became of a held call |
//! | `held` | the held calls, from the question to the result |
//! | `words` | what a model reads |
//! | `progress` | what a client reads while people decide |
//! | `task` | a held call as a task of the proxy |
//! | `tasks` | all tasks of the proxy |
//! | `support` | what the server says of tasks, with what the proxy adds |
//! | `proxy` | between client and server |
//! | `lifetime` | the start and the end of both |
//!
//! # Invariants
//!
//! 1. A call of a tool that `pass` does not name reaches the server only after a verified and claimed approval of exactly
//!    its content, once, and while a caller waits for it.
//! 2. What reaches the server then is made of what was approved, not of what the client sent.
//! 3. A line that the server might read differently than the proxy does not reach it: as a whole, in parts, or with
//!    texts that end at a control character. Nor does one with an id that has the form of the proxy's own.
//! 4. An answer of the proxy is an error, or a task that has not ended: a call that has not run never looks as if it had.
//! 5. The client reads no answer of the server but the first to a request that the server was sent.
//! 6. No argument, result, key or address is ever logged.

mod answer;
mod call;
mod claim_key;
mod clear;
mod cli;
mod config;
mod end;
mod held;
mod id;
mod lenient;
mod lifetime;
mod line;
mod lock;
mod members;
mod message;
mod output;
mod pattern;
mod progress;
mod proxy;
mod request;
mod requests;
mod server;
mod span;
mod support;
mod task;
mod tasks;
mod template;
mod tools;
mod words;

use std::io::Write;
use std::process::exit;

use clap::Parser;
use tracing::level_filters::LevelFilter;

use claim_key::ClaimKey;
use cli::{Arguments, Command};

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if let Some(Command::Keygen) = arguments.command {
        keygen();
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        // A line that cannot be written is lost: its reader may be gone.
        .log_internal_errors(false)
        .with_ansi(false)
        .init();
    let code = match lifetime::run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            let line = format_args!("human-oversight-mcp: {error}\n");
            std::io::stderr().write_fmt(line).ok();
            2
        }
    };
    // A thread may still read the standard input.
    exit(code.into());
}

#[expect(clippy::print_stdout, reason = "this is its output")]
fn keygen() {
    println!("HO_CLAIM_KEY={}", ClaimKey::generate());
}
