//! Tokens: read strictly, signed and verified like others do, issued and taken by their records.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]
mod cache;
mod keys;
mod measure;
mod opposite;
mod rfc;
mod strict;
mod support;
mod taken;
mod tokens;
mod wycheproof;
