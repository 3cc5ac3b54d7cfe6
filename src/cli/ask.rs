//! `human-oversight ask`: a command that runs only after a person approved exactly this command line.
//!
//! stdin, stdout and stderr belong to the command; what is said here goes to stderr before it starts
//! and after it ended.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{IsTerminal, Read, stderr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf, absolute};
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::FutureExt;
use human_oversight::render::format_duration;
use human_oversight::values::Timestamp;
use human_oversight_client::{Action, Error, Gate, Handle, Permit, Reason, Refusal};
use human_oversight_protocol::parameters::hex;
use human_oversight_protocol::types::{Approval, Deliverable};
use ring::digest::{self, SHA256};
use serde::Serialize;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::clock::now;
use super::log;

const USAGE: &str = "\
usage: human-oversight ask --agent NAME --action TEXT [OPTION]... -- COMMAND [ARGUMENT]...

  --agent NAME             who asks
  --action TEXT            what the command does, in words for people
  --approver ADDRESS       who may approve; may be given often (else APPROVER_EMAILS)
  --timeout SECONDS        how long they have, 10 to 2592000 (else the gate's default)
  --reason TEXT            why, shown to them as not verified
  --on-behalf-of ADDRESS   whom it is done for, who is never asked
  --file PATH              a file the command uses, which must not change either; may be given often

HO_URL is the gate's address, HO_KEY the function key if it asks for one. The exit code is the
command's own; 3 if it did not run for want of an approval, 2 if this was called in a wrong way.";

/// Nobody approved this, or it was no longer this.
const REFUSED: u8 = 3;
/// This was called in a wrong way.
const WRONG: u8 = 2;
/// What shells say of a command that was found and could not be started.
const NOT_STARTED: u8 = 126;

/// How often the wait is told where nobody watches a terminal.
const NEWS: Duration = Duration::from_secs(300);

fn say(what: impl std::fmt::Display) {
    eprintln!("human-oversight: {what}");
}

/// The exit code, or what is wrong with the call.
pub(crate) async fn run(arguments: &[&str]) -> anyhow::Result<u8> {
    let ask = Ask::parse(arguments).map_err(|wrong| anyhow!("{wrong}\n\n{USAGE}"))?;
    log::init("warn")?;
    let action = ask.action()?;
    let line = CommandLine::read(&ask.command, &ask.files)?;
    let mut signals = Signals::listen()?;
    let permit = match approval(&action, &line, &mut signals).await {
        Ok(permit) => permit,
        Err(code) => return Ok(code),
    };
    if let Err(changed) = line.is_still_so(&ask.files) {
        say(format_args!(
            "Not run: {changed:#}. This is not what was approved."
        ));
        permit.failed(format!("not run: {changed:#}")).await;
        return Ok(REFUSED);
    }
    // Came while the files were read again, and reached nobody else.
    if let Some(signal) = signals.next().now_or_never() {
        say("not run; the approval is used up");
        permit.failed("not run: stopped by a signal").await;
        return Ok(stopped_by(signal));
    }
    let mut child = match line.start() {
        Ok(child) => child,
        Err(error) => {
            say(format_args!(
                "approved, but the command cannot be started: {error}"
            ));
            permit.failed(format!("not started: {error}")).await;
            return Ok(NOT_STARTED);
        }
    };
    let (code, failure) = match signals.until_ended(&mut child).await {
        Ok(ended) => judge(ended),
        Err(error) => (1, Some(format!("its end is not known: {error}"))),
    };
    match failure {
        None => permit.executed().await,
        Some(failure) => permit.failed(failure).await,
    }
    Ok(code)
}

/// As shells do: 128 and the number of the signal.
fn stopped_by(signal: SignalKind) -> u8 {
    known(128 + signal.as_raw_value())
}

fn known(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The exit code, and for the report what was wrong.
fn judge(ended: ExitStatus) -> (u8, Option<String>) {
    match (ended.code(), ended.signal()) {
        (Some(0), _) => (0, None),
        (Some(code), _) => (known(code), Some(format!("exit code {code}"))),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            (
                known(128 + signal),
                Some(format!("killed by signal {signal}")),
            )
        }
    }
}

/// What was asked for on the command line.
#[derive(Default)]
struct Ask {
    agent: String,
    action: String,
    approvers: Vec<String>,
    timeout: Option<Duration>,
    reason: Option<String>,
    on_behalf_of: Option<String>,
    files: Vec<String>,
    command: Vec<String>,
}

impl Ask {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut ask = Self::default();
        let mut rest = arguments.iter().copied();
        loop {
            let option = rest
                .next()
                .ok_or("the command is missing: give it after --")?;
            if option == "--" {
                break;
            }
            let mut value = || {
                let value = rest.next().filter(|value| *value != "--");
                value
                    .map(str::to_owned)
                    .ok_or_else(|| format!("{option} needs a value"))
            };
            match option {
                "--agent" => ask.agent = value()?,
                "--action" => ask.action = value()?,
                "--approver" => ask.approvers.push(value()?),
                "--timeout" => {
                    let seconds = value()?.parse();
                    let seconds =
                        seconds.map_err(|_| "--timeout takes a whole number of seconds")?;
                    ask.timeout = Some(Duration::from_secs(seconds));
                }
                "--reason" => ask.reason = Some(value()?),
                "--on-behalf-of" => ask.on_behalf_of = Some(value()?),
                "--file" => ask.files.push(value()?),
                other => return Err(format!("there is no option {other}")),
            }
        }
        ask.command = rest.map(str::to_owned).collect();
        match &ask {
            Self { agent, .. } if agent.is_empty() => Err("--agent is missing".to_owned()),
            Self { action, .. } if action.is_empty() => Err("--action is missing".to_owned()),
            Self { command, .. } if command.is_empty() => {
                Err("the command is missing: give it after --".to_owned())
            }
            _ => Ok(ask),
        }
    }

    /// The gate is where the environment says.
    fn action(&self) -> anyhow::Result<Action> {
        let mut gate = Gate::from_env()?.agent(&self.agent);
        let listed = std::env::var("APPROVER_EMAILS").unwrap_or_default();
        match self.approvers.as_slice() {
            [] if listed.trim().is_empty() => {
                bail!("nobody is there to ask: give --approver, or set APPROVER_EMAILS")
            }
            [] => {}
            named => gate = gate.approvers(named),
        }
        let mut action = gate.action(&self.action);
        if let Some(timeout) = self.timeout {
            action = action.timeout(timeout);
        }
        if let Some(reason) = &self.reason {
            action = action.reason(reason);
        }
        if let Some(person) = &self.on_behalf_of {
            action = action.on_behalf_of(person);
        }
        Ok(action)
    }
}

/// What people approve, and nothing else is run.
#[derive(PartialEq, Serialize)]
struct CommandLine {
    command: Vec<String>,
    directory: String,
    /// What is in the program's file, and in those that the caller named, by their whole paths.
    sha256: BTreeMap<String, String>,
}

impl CommandLine {
    fn read(command: &[String], files: &[String]) -> anyhow::Result<Self> {
        let directory = std::env::current_dir().context("there is no working directory")?;
        let mut digests = BTreeMap::new();
        let program = program(&command[0])?;
        for file in files.iter().map(Path::new).chain([program.as_path()]) {
            digests.insert(text(absolute(file)?)?, sha256(file)?);
        }
        Ok(Self {
            command: command.to_vec(),
            directory: text(directory)?,
            sha256: digests,
        })
    }

    fn is_still_so(&self, files: &[String]) -> anyhow::Result<()> {
        let now = Self::read(&self.command, files)?;
        for (file, digest) in &self.sha256 {
            if now.sha256.get(file) != Some(digest) {
                bail!("{file} has changed");
            }
        }
        match now == *self {
            true => Ok(()),
            false => bail!("the working directory has changed"),
        }
    }

    /// In this process's group, so that what the terminal's keys send reaches it too.
    fn start(&self) -> anyhow::Result<Child> {
        let mut command = Command::new(program(&self.command[0])?);
        command.arg0(&self.command[0]).args(&self.command[1..]);
        Ok(command.spawn()?)
    }
}

/// The file that a command's name means, found as shells do.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let runs = |file: &PathBuf| {
        let metadata = file.metadata();
        metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = files.find(runs);
    Ok(absolute(found.with_context(|| {
        format!("{name} is no command in PATH")
    })?)?)
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let shown = file.display();
    // Anything else may never end.
    if !file
        .metadata()
        .with_context(|| format!("{shown} cannot be found"))?
        .is_file()
    {
        bail!("{shown} is no file");
    }
    let unreadable = || format!("{shown} cannot be read");
    let mut content = File::open(file).with_context(unreadable)?;
    let mut digest = digest::Context::new(&SHA256);
    // Images have gigabytes.
    let mut piece = vec![0; 1 << 16];
    loop {
        match content.read(&mut piece).with_context(unreadable)? {
            0 => return Ok(hex(digest.finish().as_ref())),
            length => digest.update(&piece[..length]),
        }
    }
}

/// What a person cannot read as it is, nobody can approve.
fn text(path: PathBuf) -> anyhow::Result<String> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| anyhow!("the path {} is no UTF-8", path.display()))
}

/// Asks and waits. Without an approval that is now this process's to use: the exit code.
async fn approval(
    action: &Action,
    line: &CommandLine,
    signals: &mut Signals,
) -> Result<Permit, u8> {
    let handle = action.prepare();
    let mut asked = pin!(async {
        let pending = action.submit_as(handle.clone(), line).await?;
        let mut expires_at = now();
        if let Some(approval) = pending.approval() {
            expires_at = Timestamp::parse(&approval.expires_at).unwrap_or(expires_at);
            announce(approval, expires_at);
        }
        let permit = tokio::select! {
            permit = pending.claim(line) => permit,
            never = show_wait(expires_at) => match never {},
        };
        clear_line();
        permit
    });
    let signal = tokio::select! {
        permit = &mut asked => return permit.map_err(|refusal| refused(&refusal)),
        signal = signals.next() => signal,
    };
    clear_line();
    tokio::select! {
        () = take_back(action, handle.clone(), asked) => {}
        // Whoever says it twice does not want to wait for the gate.
        _ = signals.next() => say("not run; whether the request was withdrawn is not known"),
    }
    Err(stopped_by(signal))
}

fn refused(refusal: &Refusal) -> u8 {
    say(refusal);
    if let Some(detail) = &refusal.detail {
        say(detail);
    }
    match refusal.reason {
        // The gate did not take it: nobody was asked.
        Reason::Invalid => WRONG,
        _ => REFUSED,
    }
}

async fn take_back(
    action: &Action,
    handle: Handle,
    asked: Pin<&mut impl Future<Output = Result<Permit, Refusal>>>,
) {
    match action.resume(handle).withdraw().await {
        Ok(_) => say("not run; the request is withdrawn"),
        Err(Error::Problem(problem)) if problem.status == 409 => {
            say("not run; the request was decided already");
            // It may be claimed at this very moment: then nobody waits for what will not happen.
            let moment = Duration::from_secs(5);
            if let Ok(Ok(permit)) = tokio::time::timeout(moment, asked).await {
                permit.failed("not run: stopped by a signal").await;
            }
        }
        Err(error) => say(format_args!(
            "not run; the request could not be withdrawn: {error}"
        )),
    }
}

fn announce(approval: &Approval, expires_at: Timestamp) {
    let asked = approval.notifications.iter();
    let people: Vec<&str> = asked.map(|one| one.approver.as_str()).collect();
    say(format_args!(
        "{} may approve until {} (request {})",
        people.join(", "),
        expires_at.in_words(),
        approval.id
    ));
    match approval.deliverable {
        Deliverable::Ok => {}
        Deliverable::None => say("none of them could be mailed so far; the gate goes on trying"),
        _ => say("not all of them could be mailed so far"),
    }
}

/// Each second where somebody watches, now and then where it is a log.
async fn show_wait(expires_at: Timestamp) -> Infallible {
    let watched = stderr().is_terminal();
    loop {
        tokio::time::sleep(if watched {
            Duration::from_secs(1)
        } else {
            NEWS
        })
        .await;
        let left = format_duration(expires_at.since(now()));
        match watched {
            true => eprint!("\r\x1b[2Khuman-oversight: waiting for a decision ({left} left)"),
            false => say(format_args!("waiting for a decision ({left} left)")),
        }
    }
}

fn clear_line() {
    if stderr().is_terminal() {
        eprint!("\r\x1b[2K");
    }
}

/// What would end this process if it did not listen.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let [interrupt, terminate, hangup] = [
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        ];
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn next(&mut self) -> SignalKind {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hangup.recv() => SignalKind::hangup(),
        }
    }

    /// Stays until the command has ended, whatever comes. A terminal sends its signals to the whole
    /// group, and a second Ctrl-C means something else to many programs; but what stops a job in a
    /// pipeline sends SIGTERM to this process alone.
    async fn until_ended(&mut self, child: &mut Child) -> std::io::Result<ExitStatus> {
        loop {
            let signal = tokio::select! {
                ended = child.wait() => return ended,
                signal = self.next() => signal,
            };
            if signal == SignalKind::terminate()
                && let Some(id) = child.id()
            {
                let kill = format!("kill -TERM {id}");
                Command::new("/bin/sh")
                    .args(["-c", &kill])
                    .status()
                    .await
                    .ok();
            }
        }
    }
}
