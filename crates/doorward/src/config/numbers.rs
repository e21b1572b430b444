//! Every time-out and every limit with the range that makes sense.
use doorward_core::document::Table;
use doorward_gateway::{Limits, Timeouts};

/// Sets each field that the table names.
macro_rules! set {
    ($table:ident, $into:ident, $($name:ident: $range:expr;)*) => {
        $(if let Some(n) = $table.integer(stringify!($name), $range) {
            $into.$name = n as _;
        })*
    };
}

/// An hour in milliseconds: a phase that takes longer will not end.
const HOUR_MS: u64 = 3_600_000;

pub(super) fn timeouts(table: &Table<'_, '_>) -> Timeouts {
    let mut t = Timeouts::default();
    set!(table, t,
        head_ms: 50..=HOUR_MS;
        idle_ms: 50..=HOUR_MS;
        body_ms: 50..=HOUR_MS;
        connect_ms: 50..=HOUR_MS;
        response_ms: 50..=HOUR_MS;
        response_body_ms: 50..=HOUR_MS;
        write_ms: 50..=HOUR_MS;
        tls_handshake_ms: 50..=HOUR_MS;
        upstream_idle_ms: 0..=HOUR_MS;
        upstream_wait_ms: 0..=HOUR_MS;
        upgraded_idle_ms: 50..=24 * HOUR_MS;
        drain_ms: 0..=HOUR_MS;
    );
    t
}

pub(super) fn limits(table: &Table<'_, '_>) -> Limits {
    let mut l = Limits::default();
    // A head is 64 KiB at most: places in it are two octets each.
    set!(table, l,
        connections: 1..=1_000_000;
        connections_per_address: 1..=1_000_000;
        requests: 1..=1_000_000;
        queue_ms: 0..=10_000;
        head_bytes: 256..=65_535;
        fields: 1..=1_000;
        body_bytes: 0..=1 << 40;
        interim_responses: 0..=1_000;
        trailer_bytes: 0..=65_535;
        signed_body_bytes: 0..=1 << 30;
        signed_bodies_caller_bytes: 0..=1 << 40;
        signed_bodies_node_bytes: 0..=1 << 40;
        local_body_bytes: 0..=1 << 20;
        unread_body_bytes: 0..=1 << 30;
        min_body_rate_bytes_per_s: 0..=1 << 30;
        min_answer_rate_bytes_per_s: 0..=1 << 30;
        upstream_idle_connections: 0..=100_000;
    );
    l
}
