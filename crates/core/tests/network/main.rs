//! Addresses, networks, and lists of them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests panic, and say what they measured")]

mod list;
mod measure;
mod parsing;
mod support;
