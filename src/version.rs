//! The version of the program.

use std::sync::LazyLock;

/// The version, with the commit that `build.rs` found.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let build = match option_env!("HUMAN_OVERSIGHT_COMMIT") {
        Some(commit) => format!("commit {commit}"),
        None if cfg!(debug_assertions) => "debug build".to_owned(),
        None => "commit unknown".to_owned(),
    };
    format!("{} ({build})", env!("CARGO_PKG_VERSION"))
});
