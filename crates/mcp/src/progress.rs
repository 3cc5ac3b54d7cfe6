//! What a client reads while people decide.

use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;

use crate::call::Meta;
use crate::held::Stage;
use crate::words;

/// How often a client reads of progress.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);

/// Progress notifications for one call.
pub(crate) struct Progress<'a> {
    token: Option<&'a RawValue>,
    count: u32,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(meta: &'a Meta) -> Self {
        let token = meta.progress_token.as_deref();
        Self { token, count: 0 }
    }

    /// The next notification, if the client wants some. Its progress must grow, and the tool's own comes after it, so that
    /// it grows by millionths.
    pub(crate) fn line(&mut self, stage: &Stage) -> Option<String> {
        let (token, message) = (self.token?, words::progress(stage)?);
        self.count += 1;
        let progress = f64::from(self.count) / 1e6;
        let message = json!(message);
        Some(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{token},\
             \"progress\":{progress},\"message\":{message}}}}}\n"
        ))
    }
}
