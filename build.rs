//! Gives a release build the commit that `human-oversight --version` names. A debug build gets none, because each commit
//! would then compile the gate and its tests again.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    for compiled in ["Cargo.lock", "Cargo.toml", "crates", "src", "templates"] {
        println!("cargo::rerun-if-changed={compiled}");
    }
    // Sources that were unpacked inside another repository are not of its commits.
    if git(&["rev-parse", "--show-prefix"]).as_deref() != Some("") {
        return;
    }
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    if let Some(commit) = git(&[
        "describe",
        "--always",
        "--abbrev=12",
        "--exclude=*",
        "--dirty= with changes",
    ]) {
        println!("cargo::rustc-env=HUMAN_OVERSIGHT_COMMIT={commit}");
    }
}

/// The line that git prints, in the directory of this package.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| line.trim().to_owned())
}
