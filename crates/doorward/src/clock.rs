//! The clock that commands read, once each.
use doorward_core::time::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now. A clock that is set before 1970 counts as 1970.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
