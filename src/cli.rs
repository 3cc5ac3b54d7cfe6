//! The command line: the gate behind the Azure Functions host or for development, and its tools.

#[cfg(unix)]
mod ask;
mod backup;
mod clock;
mod demo;
mod keygen;
mod log;
mod maintenance;
mod purge;
mod serve;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use human_oversight::config::TableSettings;

use clock::clock;

const USAGE: &str = "usage: human-oversight [COMMAND]

  (none)                    run the gate
  demo [--timeout SECONDS]  run the gate and an agent that asks it; decide in the inbox
  ask OPTIONS -- COMMAND    run a command only after a person approved it (not on Windows)
  verify [--keys FILE]      hold every row of the table against its proofs; FILE as /api/keys gives it
  backup FILE               copy the table into a new file, a row a line
  restore FILE              put rows of such a copy back, never over one that is there;
                            with --gate-id ID those of the gate ID too
  purge --older-than DAYS   say what ended so long ago; with --delete, delete it
  keygen                    print fresh keys as HO_LINK_KEYS and HO_RECEIPT_KEYS take them
";

/// Runs the command that the arguments name.
pub(crate) async fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> = std::env::args_os()
        .skip(1)
        .map(OsString::into_string)
        .collect();
    let Ok(arguments) = arguments else {
        eprintln!("human-oversight: an argument is no UTF-8, so nobody could read it");
        return ExitCode::from(2);
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => serve::run().await,
        ["demo"] => demo::run(demo::TIMEOUT).await,
        ["demo", "--timeout", seconds] => match seconds.parse() {
            Ok(seconds) => demo::run(std::time::Duration::from_secs(seconds)).await,
            Err(_) => Err(anyhow!("--timeout takes a whole number of seconds")),
        },
        #[cfg(unix)]
        ["ask", arguments @ ..] => return ask(arguments).await,
        ["verify"] => {
            return table("verify", |settings| verify::run(settings, clock(), None)).await;
        }
        ["verify", "--keys", file] => {
            let keys = Some(Path::new(file));
            return table("verify", |settings| verify::run(settings, clock(), keys)).await;
        }
        ["backup", file] => {
            let file = Path::new(file);
            return table("back up", |settings| backup::run(settings, clock(), file)).await;
        }
        ["restore", file] => return restore(file, None).await,
        ["restore", file, "--gate-id", id] | ["restore", "--gate-id", id, file] => {
            return restore(file, Some(id)).await;
        }
        ["purge", "--older-than", days] | ["purge", "--older-than", days, "--delete"] => {
            let Ok(days) = days.parse() else {
                eprintln!("human-oversight: --older-than takes a whole number of days");
                return ExitCode::from(2);
            };
            let delete = arguments.last() == Some(&"--delete");
            return table("purge", |settings| {
                purge::run(settings, clock(), days, delete)
            })
            .await;
        }
        ["keygen"] => {
            keygen::run();
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("human-oversight does not start: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ends as the command does, or with a code that says why it did not run.
#[cfg(unix)]
async fn ask(arguments: &[&str]) -> ExitCode {
    let code = ask::run(arguments).await;
    ExitCode::from(code.unwrap_or_else(|wrong| {
        eprintln!("human-oversight ask: {wrong:#}");
        2
    }))
}

/// Works on the table by itself. Ends with 2 when it could not.
async fn table<Fut>(name: &str, work: impl FnOnce(TableSettings) -> Fut) -> ExitCode
where
    Fut: Future<Output = anyhow::Result<ExitCode>>,
{
    let done = match TableSettings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => work(settings).await,
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("human-oversight cannot {name}: {error:#}");
        ExitCode::from(2)
    })
}

async fn restore(file: &str, other_gate: Option<&str>) -> ExitCode {
    let file = Path::new(file);
    table("restore", |settings| {
        backup::restore(settings, clock(), file, other_gate)
    })
    .await
}
