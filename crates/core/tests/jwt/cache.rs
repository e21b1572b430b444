//! Tokens that were seen before.
use crate::support::{key, key_set};
use crate::tokens::{EPOCH, NOW, NOW_S, grant, issued_at, record, tokens};
use doorward_core::jwt::{Algorithm, KeySet, SigningKey, VerifyKey};
use doorward_core::time::UnixMillis;
use doorward_core::token::cache::MOST_KEPT_BYTES;
use doorward_core::token::{Cache, Grant, Issued, RECORDS, TokenFault, TokenRecord, Tokens, Why, check};
use std::hash::{BuildHasher, Hasher, RandomState};

fn take(cache: &mut Cache<RandomState>, made: &Issued, tokens: &Tokens) -> Result<(), TokenFault> {
    cache.check(&made.token, record("standard"), &[], NOW, tokens).map(|_| ())
}

fn made(n: u8) -> Issued {
    issued_at(&grant(record("standard")), NOW, n)
}

#[test]
fn a_token_is_verified_once() {
    let (tokens, mut cache) = (tokens(), Cache::new(8, RandomState::new()));
    for n in 0..4 {
        let made = made(n);
        let first = cache.check(&made.token, record("standard"), &[], NOW, &tokens).unwrap();
        let again = cache.check(&made.token, record("standard"), &[], NOW, &tokens).unwrap();
        assert_eq!(first, again);
        assert_eq!(*first, check(&made.token, record("standard"), &[], NOW, &tokens).unwrap());
        assert_eq!(cache.counts(), (u64::from(n) + 1, u64::from(n) + 1));
    }
    assert_eq!(cache.len(), 4);
    // What is like a token that is known, is not known.
    let known = made(9);
    take(&mut cache, &known, &tokens).unwrap();
    for other in
        [&known.token[..known.token.len() - 1], &format!("{}A", known.token), &known.token.to_uppercase(), ""]
    {
        assert!(cache.check(other, record("standard"), &[], NOW, &tokens).is_err(), "{other}");
    }
    assert_eq!(cache.len(), 5, "what is not good is not remembered");
}

/// Whoever asks for long tokens fills nobody's memory with them.
#[test]
fn long_tokens_are_not_remembered() {
    let (tokens, mut cache) = (tokens(), Cache::new(8, RandomState::new()));
    let mut lengths = Vec::new();
    for length in [100, 4_000] {
        let scope = "s".repeat(length);
        let made = issued_at(&Grant { scope: &scope, ..grant(record("standard")) }, NOW, 1);
        for _ in 0..2 {
            take(&mut cache, &made, &tokens).unwrap();
        }
        lengths.push(made.token.len() > MOST_KEPT_BYTES);
    }
    assert_eq!(lengths, [false, true]);
    assert_eq!((cache.len(), cache.counts()), (1, (1, 3)));
}

/// A hasher by which all are the same.
struct Same;
impl BuildHasher for Same {
    type Hasher = Same;
    fn build_hasher(&self) -> Same {
        Same
    }
}
impl Hasher for Same {
    fn finish(&self) -> u64 {
        7
    }
    fn write(&mut self, _: &[u8]) {}
}

#[test]
fn the_whole_text_is_compared() {
    let (tokens, mut cache) = (tokens(), Cache::new(64, Same));
    let all: Vec<Issued> = (0..10).map(made).collect();
    for _ in 0..2 {
        for one in &all {
            let taken = cache.check(&one.token, record("standard"), &[], NOW, &tokens).unwrap();
            assert_eq!(taken.jti, one.jti);
        }
    }
    assert_eq!(cache.counts(), (10, 10));
    let mut forged = all[0].token.clone().into_bytes();
    *forged.last_mut().unwrap() ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    assert!(cache.check(&forged, record("standard"), &[], NOW, &tokens).is_err());
}

/// Cases 15: no verdict crosses dialect, audience, key or time.
#[test]
fn what_changes_is_asked_each_time() {
    let (tokens, mut cache) = (tokens(), Cache::new(64, RandomState::new()));
    for own in &RECORDS {
        let made = issued_at(&grant(own), NOW, 1);
        assert!(cache.check(&made.token, own, &[], NOW, &tokens).is_ok());
        for here in &RECORDS {
            let expected = if own == here { Ok(()) } else { Err(TokenFault::Invalid(Why::Dialect)) };
            assert_eq!(cache.check(&made.token, here, &[], NOW, &tokens).map(|_| ()), expected);
        }
        let at = |cache: &mut Cache<_>, ms: i64| {
            cache.check(&made.token, own, &[], UnixMillis(ms), &tokens).map(|_| ())
        };
        let until = made.expires_s * 1000;
        assert_eq!(at(&mut cache, until - 1), Ok(()));
        assert_eq!(at(&mut cache, until), Err(TokenFault::Expired));
        assert_eq!(at(&mut cache, NOW_S * 1000 - 60_001), Err(TokenFault::Invalid(Why::Future)));
    }
    assert_eq!(cache.counts().1, 5, "each was verified once");
    let standard = record("standard");
    let for_a = issued_at(&Grant { resources: &["https://a.example"], ..grant(standard) }, NOW, 2);
    let mut of =
        |audience: &str| cache.check(&for_a.token, standard, &[audience.into()], NOW, &tokens).map(|_| ());
    assert_eq!(of("https://a.example"), Ok(()));
    assert_eq!(of("https://b.example"), Err(TokenFault::Invalid(Why::Audience)));
    assert_eq!(of("https://a.example"), Ok(()));
    tokens.revoke(for_a.jti, UnixMillis(for_a.expires_s * 1000));
    assert_eq!(of("https://a.example"), Err(TokenFault::Revoked));
}

#[test]
fn other_keys_and_another_epoch_make_it_forget() {
    let (tokens, mut cache) = (tokens(), Cache::new(64, RandomState::new()));
    let made = made(1);
    assert_eq!(take(&mut cache, &made, &tokens), Ok(()));
    tokens.replace(EPOCH, &KeySet::default());
    assert!(take(&mut cache, &made, &tokens).is_err());
    tokens.replace(EPOCH, &key_set());
    assert_eq!(take(&mut cache, &made, &tokens), Ok(()));
    assert_eq!(cache.len(), 1);
    tokens.replace("another", &key_set());
    assert_eq!(take(&mut cache, &made, &tokens), Err(TokenFault::Revoked));
    // Another key under the name of the first.
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let named = stranger.public().jwk().replace(stranger.kid(), key(Algorithm::Es256).kid());
    let mut others = KeySet::default();
    others.add(VerifyKey::from_jwk(&named).unwrap()).unwrap();
    tokens.replace(EPOCH, &others);
    assert!(take(&mut cache, &made, &tokens).is_err());
}

/// Memory is bounded, and who calls often stays.
#[test]
fn the_oldest_leave() {
    let (tokens, mut cache) = (tokens(), Cache::new(20, RandomState::new()));
    let often = made(255);
    for n in 0..200 {
        assert_eq!(take(&mut cache, &often, &tokens), Ok(()));
        assert_eq!(take(&mut cache, &made(n), &tokens), Ok(()));
        assert!(cache.len() <= 20, "{}", cache.len());
    }
    assert_eq!(cache.counts().1, 201, "the frequent caller was verified once");
    for none in [0, 1] {
        let mut cache = Cache::new(none, RandomState::new());
        assert_eq!(take(&mut cache, &often, &tokens), Ok(()));
        assert_eq!(take(&mut cache, &often, &tokens), Ok(()));
        assert!(cache.is_empty());
    }
}

/// What is refused when it is first seen costs no place.
#[test]
fn only_good_tokens_take_a_place() {
    let (tokens, mut cache) = (tokens(), Cache::new(64, RandomState::new()));
    let standard: &TokenRecord = record("standard");
    let made = made(1);
    let late = UnixMillis(made.expires_s * 1000);
    assert!(cache.check(&made.token, standard, &[], late, &tokens).is_err());
    assert!(cache.check(&made.token, record("vista"), &[], NOW, &tokens).is_err());
    tokens.revoke(made.jti, late);
    assert!(cache.check(&made.token, standard, &[], NOW, &tokens).is_err());
    assert!(cache.is_empty());
}
