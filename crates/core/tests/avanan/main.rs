//! Avanan's signatures: detection, time, proof, and signing as their mirror, without a socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod law;
mod malformed;
mod support;
mod vectors;
