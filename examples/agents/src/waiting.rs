//! The progress that a terminal shows while a request is pending.

use std::sync::Once;
use std::time::Duration;

use human_oversight_client::types::Approval;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A spinner while a request is pending, or one line where stdout is not a terminal. Dropping it removes it.
pub struct Waiting(ProgressBar);

impl Waiting {
    pub fn start() -> Self {
        let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        Self(spinner.with_style(style.expect("a template")))
    }

    /// The callback for [`human_oversight_client::Action::on_pending`].
    pub fn callback(&self) -> impl Fn(&Approval) + Send + Sync + 'static {
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
    let notifications = approval.notifications.iter();
    let approvers: Vec<&str> = notifications.map(|it| it.approver.as_str()).collect();
    let (approvers, deadline) = (approvers.join(", "), &approval.expires_at);
    let message = format!("Waiting for {approvers} to decide, until {deadline}");
    if spinner.is_hidden() {
        println!("{message}");
        return;
    }
    spinner.set_message(message);
    spinner.enable_steady_tick(Duration::from_millis(100));
}
