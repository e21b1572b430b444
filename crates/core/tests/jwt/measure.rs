//! What tokens cost. Not asserted: `cargo test -p doorward-core --test jwt measure -- --ignored --nocapture`.
use crate::support::key;
use crate::tokens::{EPOCH, NOW, grant, record, tokens};
use doorward_core::jwt::Algorithm;
use doorward_core::time::UnixMillis;
use doorward_core::token::{Cache, Grant, Issued, Issuer, Jti, check, issue};
use hashbrown::DefaultHashBuilder;
use std::hint::black_box;
use std::time::Instant;

fn ns(what: &str, times: u32, mut run: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        (0..times).for_each(|_| run());
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(times));
    }
    println!("{what}: {best:.0} ns");
}

fn made(grant: &Grant<'_>, alg: Algorithm, n: u128) -> Issued {
    let issuer = Issuer::parse("https://api.example").unwrap();
    issue(grant, &issuer, EPOCH, key(alg), Jti::new(n.to_be_bytes()), NOW).unwrap()
}

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
#[ignore = "it measures, and asserts nothing"]
fn time() {
    let (tokens, standard) = (tokens(), record("standard"));
    for alg in Algorithm::ALL {
        let made = made(&grant(standard), *alg, 1);
        println!("{}: a token of {} bytes", alg.name(), made.token.len());
        ns("  verify, first seen", 500, || {
            black_box(check(black_box(&made.token), standard, &[], NOW, &tokens)).unwrap();
        });
        let mut cache = Cache::new(1_000, DefaultHashBuilder::default());
        ns("  verify, seen before", 20_000, || {
            black_box(cache.check(black_box(&made.token), standard, &[], NOW, &tokens)).unwrap();
        });
        let mut cache = Cache::new(1_000, std::hash::RandomState::new());
        ns("  the same, hashed by SipHash", 20_000, || {
            black_box(cache.check(black_box(&made.token), standard, &[], NOW, &tokens)).unwrap();
        });
        ns("  issue", 200, || {
            black_box(crate::measure::made(&grant(standard), *alg, 2));
        });
    }
}

#[test]
#[ignore = "it measures, and asserts nothing"]
fn memory() {
    const MANY: usize = 100_000;
    let tokens = tokens();
    let before = resident();
    for n in 0..MANY as u128 {
        tokens.revoke(
            Jti::new((n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes()),
            UnixMillis(1 << 40),
        );
    }
    println!("revoked: {} bytes each", (resident() - before) / MANY);
    let standard = record("standard");
    let mut cache = Cache::new(2 * MANY, DefaultHashBuilder::default());
    let before = resident();
    let mut len = 0;
    for n in 1..=MANY as u128 {
        let made = made(&grant(standard), Algorithm::Es256, n);
        len = made.token.len();
        cache.check(&made.token, standard, &[], NOW, &tokens).unwrap();
    }
    println!("remembered: {} bytes each, of a token of {len} bytes", (resident() - before) / cache.len());
}
