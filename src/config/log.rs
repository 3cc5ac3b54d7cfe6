//! The filter and the form of the log.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};

/// The form of the lines of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// As the queries and alerts of Azure Monitor read it.
    Text,
    /// One JSON object a line.
    Json,
}

pub(super) fn log_format(get: &Lookup<'_>) -> Result<LogFormat, ConfigError> {
    match get("HO_LOG_FORMAT").as_deref() {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(_) => Err(unusable("HO_LOG_FORMAT", "it must be `text` or `json`")),
    }
}

pub(super) fn log_filter(get: &Lookup<'_>) -> Result<String, ConfigError> {
    let filter = get("HO_LOG").unwrap_or_else(|| "info".to_owned());
    let is_filter = EnvFilter::builder().parse(&filter).is_ok();
    if is_filter && filter.split(',').all(names_level) {
        Ok(filter)
    } else {
        Err(unusable(
            "HO_LOG",
            "it must be off, error, warn, info, debug or trace, or a list of TARGET=LEVEL, separated by commas",
        ))
    }
}

/// Whether a filter leaves out events of the lifecycle, which alerts and saved queries look for.
pub fn hides_events(filter: &str) -> bool {
    let filter = EnvFilter::builder().parse(filter);
    let most = filter.ok().and_then(|filter| filter.max_level_hint());
    most.is_some_and(|most| most < LevelFilter::INFO)
}

/// Whether a part of a filter is a level or contains one. The library takes a misspelt level for a target, and
/// then logs nothing else.
fn names_level(part: &str) -> bool {
    part.contains(['=', '[', ']', '{', '}']) || part.trim().parse::<LevelFilter>().is_ok()
}
