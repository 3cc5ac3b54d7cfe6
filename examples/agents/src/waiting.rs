//! What somebody at the terminal sees while another person decides.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows a spinner while `work` runs, where stdout is a terminal; else one line.
pub async fn shown<T>(what: &str, work: impl Future<Output = T>) -> T {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
    if spinner.is_hidden() {
        println!("{what}");
        return work.await;
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    spinner.set_style(style.expect("a template"));
    spinner.set_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    let result = work.await;
    spinner.finish_and_clear();
    result
}
