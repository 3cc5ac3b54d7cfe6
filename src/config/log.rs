//! The filter and the form of the log.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};

/// The target of this program's lines.
const PROGRAM: &str = "human_oversight";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

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

pub(super) fn log_filter(get: &Lookup<'_>) -> Result<Targets, ConfigError> {
    let filter = get("HO_LOG").unwrap_or_else(|| "info".to_owned());
    parse(&filter).ok_or_else(|| {
        unusable(
            "HO_LOG",
            "it must be off, error, warn, info, debug or trace, or a list of TARGET=LEVEL, separated by commas",
        )
    })
}

/// Whether a filter leaves out lines of this program that alerts and saved queries look for.
pub fn hides_events(filter: &Targets) -> bool {
    let own = filter
        .iter()
        .filter(|(target, _)| target.starts_with(PROGRAM));
    let mut levels = own.map(|(_, level)| level);
    !filter.would_enable(PROGRAM, &Level::INFO) || levels.any(|level| level < LevelFilter::INFO)
}

/// The library takes a misspelt level for a target, and then logs nothing else, and reads numbers and a missing level too:
/// so each part must have the word of a level. Fields and spans are in brackets. What no part names has the level `info`.
pub(super) fn parse(filter: &str) -> Option<Targets> {
    let parts = filter.split(',').map(str::trim);
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let is_level = |text: &str| LEVELS.iter().any(|word| text.eq_ignore_ascii_case(word));
    let is_target = |text: &str| !text.is_empty() && !text.contains(['[', '{']);
    let has_level = |part: &&str| match part.split_once('=') {
        None => is_level(part),
        Some((target, level)) => is_target(target) && is_level(level),
    };
    let is_filter = !parts.is_empty() && parts.iter().all(has_level);
    let filter: Targets = parts.join(",").parse().ok().filter(|_| is_filter)?;
    let level = filter.default_level().unwrap_or(LevelFilter::INFO);
    Some(filter.with_default(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_filter_has_a_level() {
        let filters = [
            ("off", LevelFilter::OFF),
            ("human_oversight=debug, warn,", LevelFilter::WARN),
            ("hyper=trace", LevelFilter::INFO),
        ];
        for (filter, level) in filters {
            let levels = parse(filter).unwrap().default_level();
            assert_eq!(levels, Some(level), "{filter}");
        }
        let refused = [
            ",",
            "inof",
            "human_oversight",
            "human_oversight=inof",
            "human_oversight=",
            "human_oversight=5",
            "=debug",
            "5",
            "[call]=debug",
            "human_oversight[{id}]=debug",
        ];
        for filter in refused {
            assert!(parse(filter).is_none(), "{filter}");
        }
    }
}
