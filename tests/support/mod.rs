//! What the stories stand on: a gateway with a store of its own, upstreams that remember, callers that hold credentials.

mod actor;
mod cli;
mod client;
mod demo;
mod engine;
mod events;
mod fake_clock;
pub(crate) mod frames;
mod gateway;
mod http2;
mod http2_upstream;
mod message;
mod nginx;
mod oauth;
mod process;
mod recorder;
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod redis;
mod signed;
mod signer;
mod signing_world;
mod site;
mod steady;
pub(crate) mod strict;
mod tls;
mod token_world;
mod upstream;
mod wait;
mod wire;
mod world;

pub(crate) use actor::Actor;
pub(crate) use cli::{PROGRAM, Run, doorward, doorward_fed, doorward_with, rows};
pub(crate) use client::{Conn, HOST};
pub(crate) use demo::Demo;
pub(crate) use engine::{Database, Engine, skips_unless_postgres, skips_unless_sqlite};
pub(crate) use fake_clock::FakeClock;
pub(crate) use gateway::{Gateway, Setup};
pub(crate) use http2::Http2;
pub(crate) use http2_upstream::Http2Upstream;
pub(crate) use message::{Answer, Fault, Inbox};
pub(crate) use nginx::Nginx;
pub(crate) use oauth::{
    ISSUER, Office, PASSWORD, POLICY as OAUTH_POLICY, basic, encoded, get, post, raw, text_of,
};
pub(crate) use process::Folder;
pub(crate) use recorder::Recorder;
pub(crate) use redis::Redis;
pub(crate) use signed::{Signed, now_s};
pub(crate) use signer::{Signer, now};
pub(crate) use signing_world::SigningWorld;
pub(crate) use site::Site;
pub(crate) use steady::{CALLERS, Seen as SteadySeen, last_of_all, steadily, this_thread};
pub(crate) use tls::{Authority, TlsVersion};
pub(crate) use token_world::{PLACES, TokenWorld, bearer};
pub(crate) use upstream::{Do, Seen, Upstream, answering};
pub(crate) use wait::{DEADLINE, eventually, never_within, number_of_trials, skipped, tag, wait_for};
pub(crate) use wire::Wire;
pub(crate) use world::{Shared, World};

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes that look like nothing in particular, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    std::iter::repeat_with(|| dice.roll(256) as u8).take(length).collect()
}

/// A small generator of numbers (xorshift): tests repeat what they did.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % sides
    }
}
