//! The system clock.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use human_oversight::values::{Clock, Timestamp};

pub(crate) fn clock() -> Clock {
    Arc::new(now)
}

pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis())
        .ok()
        .and_then(Timestamp::from_unix_millis)
        .expect("the year has four digits")
}
