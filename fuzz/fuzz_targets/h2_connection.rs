//! HTTP/2: whatever comes over a connection, from a caller or from an upstream, nothing panics and nothing grows beyond its
//! bounds.
#![no_main]
use doorward_gateway::stranger::{connection, put};
use libfuzzer_sys::fuzz_target;

/// What a caller sends first (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The kind of the frame that has to come first.
const SETTINGS: u8 = 4;
/// The longest input that is looked at, in bytes.
const MOST_BYTES: usize = 16 * 1024;

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else { return };
    let upstream = choice & 1 != 0;
    let mut bytes = if upstream { Vec::new() } else { PREFACE.to_vec() };
    if choice & 2 != 0 {
        put(&mut bytes, SETTINGS, 0, 0, &[]);
    }
    bytes.extend_from_slice(rest);
    let step = [1, 9, 200, usize::MAX / 2][usize::from(choice >> 2 & 3)];
    connection(&bytes, upstream, step);
});
