//! Signed requests: detection, time, proof, and signing as their mirror, without a socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod antavo;
mod explained;
mod frozen;
mod law;
mod malformed;
mod mutations;
mod public_aws;
mod public_escher;
mod support;
