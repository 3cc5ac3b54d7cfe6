//! The log of the program.

use std::io;

use human_oversight::config::LogFormat;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that log what they send. The filter cannot set them to more than warnings.
const VERBOSE_LIBRARIES: [&str; 5] = [
    "azure_core",
    "azure_data_tables",
    "azure_identity",
    "azure_storage",
    "typespec_client_core",
];

/// One line per event, as the Functions host reads it: warnings and errors to stderr, the rest to stdout.
pub(crate) fn init(filter: Targets, format: LogFormat) {
    let quiet = VERBOSE_LIBRARIES.map(|library| (library, LevelFilter::WARN));
    let filter = filter.with_targets(quiet);
    let by_level = io::stderr
        .with_max_level(Level::WARN)
        .or_else(io::stdout.with_min_level(Level::INFO));
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(by_level)
        // A line that cannot be written is lost: the disk may be full, or the reader of a pipe gone.
        .log_internal_errors(false)
        .with_ansi(false)
        .with_target(false);
    match format {
        LogFormat::Text => log.finish().with(filter).init(),
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_span_list(false);
            log.finish().with(filter).init();
        }
    }
    // One line, without the data being processed.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic: a bug in the gate");
    }));
}
