//! Black-box tests: everything goes through sockets and the command line of the built program. One story a file.
//!
//! A test names the demand that it covers: `S9112-1` is the first demand of RFC 9112, `SD-2` the second of our own,
//! `case 10` a defect that a gateway had.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, reason = "tests panic, and say why")]

mod support;

mod backup;
mod bearer;
mod bearer_end;
mod bearer_forged;
mod bulk;
mod clocks;
mod connections;
mod credentials;
mod demo;
mod drain;
mod enforcement;
mod events;
mod explain;
mod faults;
mod feed;
mod full_disk;
mod harness;
mod headers;
mod interim;
mod kill9;
mod ledger;
mod limits;
mod local;
mod main_job;
mod many;
mod migrate;
mod mixed;
mod nodes;
mod oauth;
mod oauth_crowds;
mod oauth_dialects;
mod oauth_passwords;
mod oauth_through;
mod oauth_tokens;
mod origins;
mod paths;
mod policy;
mod policy_texts;
mod proxies;
mod reasons;
mod refusals;
mod replay;
mod replay_clocks;
mod replay_lost;
mod replay_redis;
mod replay_small;
mod revocation;
mod roles;
mod rotation;
mod sdk;
mod sharing;
mod sign;
mod sign_send;
mod signed;
mod signed_before_proof;
mod signed_mutated;
mod signed_refusals;
mod signed_shown;
mod signing;
mod signing_clients;
mod splits;
mod stopped;
mod store;
mod store_bad_input;
mod streaming;
mod timeouts;
mod tls;
mod token_clients;
mod token_commands;
mod token_memory;
mod token_rotation;
mod token_secrets;
mod upstream_refusals;
mod upstream_tls;
mod users;
mod wire_refusals;
mod writes;
