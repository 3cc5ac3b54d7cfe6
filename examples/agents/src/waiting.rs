//! What somebody at the terminal sees while others decide.

use std::sync::Once;
use std::time::Duration;

use human_oversight_client::types::Approval;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A spinner once a request is pending; one line where stdout is no terminal. Gone when dropped.
pub struct Waiting(ProgressBar);

impl Waiting {
    pub fn start() -> Self {
        let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        Self(spinner.with_style(style.expect("a template")))
    }

    /// What [`human_oversight_client::Action::on_pending`] takes.
    pub fn told(&self) -> impl Fn(&Approval) + Send + Sync + 'static {
        let spinner = self.0.clone();
        let first = Once::new();
        move |approval| first.call_once(|| show(&spinner, approval))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn show(spinner: &ProgressBar, approval: &Approval) {
    let asked = approval.notifications.iter();
    let asked: Vec<&str> = asked.map(|asked| asked.approver.as_str()).collect();
    let (asked, until) = (asked.join(", "), &approval.expires_at);
    let what = format!("Waiting for {asked} to decide, until {until}");
    if spinner.is_hidden() {
        println!("{what}");
        return;
    }
    spinner.set_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
}
