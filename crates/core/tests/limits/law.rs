//! One limit: never more than a burst and what is due, and never less.
use crate::model::{Numbers, Tokens, Windows};
use doorward_core::limits::{Bucket, Rate};

const RUNS: u64 = 400;
const REQUESTS: usize = 600;

/// Times between requests: in bursts, near the rate, and after long pauses.
fn pause(numbers: &mut Numbers, rate: Rate) -> u64 {
    let due = u64::from(rate.per_s()) * 1_000 / u64::from(rate.requests());
    match numbers.below(8) {
        0..=3 => 0,
        4 => 1,
        5 => numbers.below(due.max(1) * 2 + 2),
        6 => due + numbers.below(3).saturating_sub(1),
        _ => numbers.below(due.max(1) * u64::from(rate.burst()).min(1_000) * 2),
    }
}

#[test]
fn it_lets_through_what_a_bucket_of_tokens_does_and_no_window_holds_more() {
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let (mut through, mut refused) = (0_u64, 0_u64);
    for _ in 0..RUNS {
        let rate = numbers.rate();
        let pace = rate.pace(1);
        let (mut bucket, mut model, mut windows) =
            (Bucket::default(), Tokens::full(rate), Windows::default());
        let mut now = numbers.below(1 << 41);
        for _ in 0..REQUESTS {
            now += pause(&mut numbers, rate);
            let level = bucket.take(&pace, now, true);
            assert_eq!(level.room, model.take(now), "{rate} at {now}");
            assert_eq!(level.remaining, model.left(), "{rate} at {now}");
            if level.room {
                through += 1;
                assert!(windows.hold(rate, now), "{rate}: a window holds too many at {now}");
            } else {
                refused += 1;
                assert!(level.next_in_ms > 0 && level.remaining == 0);
            }
        }
    }
    assert!(through > 50_000 && refused > 20_000, "{through} {refused}: both happened often");
}

#[test]
fn what_is_told_of_the_future_comes_true_to_the_millisecond() {
    let mut numbers = Numbers(0xfeed_f00d_1122_3344);
    for _ in 0..RUNS {
        let rate = numbers.rate();
        let pace = rate.pace(1);
        let (mut bucket, mut now) = (Bucket::default(), numbers.below(1 << 41));
        for _ in 0..50 {
            now += pause(&mut numbers, rate);
            let level = bucket.take(&pace, now, true);
            let next = now + level.next_in_ms;
            assert!(bucket.fits(&pace, next), "{rate}: another one fits when it was told");
            if level.next_in_ms > 0 {
                assert!(!bucket.fits(&pace, next - 1), "{rate}: and not before");
            }
            let full = now + level.full_in_ms;
            assert_eq!(bucket.debt(pace.requests, full), 0, "{rate}: nothing is owed when it was told");
            assert!(
                level.full_in_ms == 0 || bucket.debt(pace.requests, full - 1) > 0,
                "{rate}: and not before"
            );
        }
    }
}

#[test]
fn looking_spends_nothing_and_a_clock_that_falls_back_gives_nothing() {
    let pace = "2/1".parse::<Rate>().unwrap().pace(1);
    let mut bucket = Bucket::default();
    assert!(bucket.take(&pace, 1_000, false).room);
    assert_eq!(bucket, Bucket::default());
    assert!(bucket.take(&pace, 1_000, true).room && bucket.take(&pace, 900, true).room);
    assert!(!bucket.take(&pace, 1_499, true).room, "what was paid back before 1000 counts from 1000");
    assert!(bucket.take(&pace, 1_500, true).room);
    assert!(!bucket.take(&pace, 0, true).room);
}

#[test]
fn shares_add_up_to_no_more_than_the_limit() {
    let mut numbers = Numbers(0xabcd_ef01_2345_6789);
    for _ in 0..100 {
        let rate = numbers.rate();
        let sharers = 1 + numbers.below(5) as u32;
        let pace = rate.pace(sharers);
        let mut nodes = vec![Bucket::default(); sharers as usize];
        let (start, mut now, mut through) = (1 << 40, 1_u64 << 40, 0_u128);
        for _ in 0..500 {
            now += pause(&mut numbers, rate);
            let node = numbers.below(u64::from(sharers)) as usize;
            through += u128::from(nodes[node].take(&pace, now, true).room);
        }
        let one = u128::from(rate.per_s()) * 1_000;
        let burst = u128::from(rate.burst().max(sharers));
        let due = u128::from(now - start) * u128::from(rate.requests());
        assert!(through * one <= burst * one + due, "{rate} of {sharers}");
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let rate = Rate::new(1, 2_678_400, 1_000_000).unwrap();
    let pace = rate.pace(u32::MAX);
    let mut bucket = Bucket::default();
    for _ in 0..pace.burst {
        assert!(bucket.take(&pace, u64::MAX, true).room);
    }
    let level = bucket.take(&pace, u64::MAX, true);
    assert!(!level.room && level.next_in_ms > 0 && level.full_in_ms >= level.next_in_ms);
    assert!(rate.pace(1).level(rate.pace(1).cost * 1_000_000, false).remaining == 0);
}
