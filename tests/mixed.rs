//! Bodies of all sizes and framings, up and down, over many connections: every byte arrives, in its place.
use crate::support::{Conn, Dice, World, noise, number_of_trials, sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const CONNECTIONS: u64 = 24;
const LARGEST: u64 = 200 * 1024;

fn a_length(dice: &mut Dice) -> usize {
    const FEW: [u64; 7] = [0, 1, 7, 60, 300, 900, 4_096];
    const MANY: [u64; 6] = [10, 4_096, 16_384, 16_385, 65_536, LARGEST];
    match dice.roll(10) {
        0 => dice.roll(LARGEST) as usize,
        1 | 2 => MANY[dice.roll(6) as usize] as usize,
        _ => FEW[dice.roll(7) as usize] as usize,
    }
}

/// The body in chunks of changing sizes.
fn chunked(body: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() * 2);
    let mut rest = body;
    while !rest.is_empty() {
        let sizes: [usize; 5] = [1, 5, 100, 5_000, 40_000];
        let size = sizes[dice.roll(5) as usize].max(body.len() / 50).min(rest.len());
        out.extend(format!("{size:X}\r\n").bytes());
        out.extend_from_slice(&rest[..size]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[size..];
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn one(world: &World, connection: &mut Conn, pool: &[u8], dice: &mut Dice) -> bool {
    let length = a_length(dice);
    let from = dice.roll((pool.len() - length) as u64) as usize;
    let body = &pool[from..from + length];
    let framings: &[&str] = if length < 5_000 {
        &["length", "length", "chunked", "close", "tiny"]
    } else {
        &["length", "chunked", "close"]
    };
    let target = format!("/v1/{}", framings[dice.roll(framings.len() as u64) as usize]);
    let up_chunked = dice.roll(10) < 4;
    let request = if up_chunked {
        world.server.post_chunks(&target, &chunked(body, dice))
    } else {
        world.server.post(&target, body)
    };
    let answer = connection.send(request).answer();
    let what = format!("{length} bytes to {target}, chunked: {up_chunked}");
    assert_eq!((answer.status, answer.code()), (200, ""), "{what}: {answer:?}");
    assert_eq!(answer.get("x-sha256"), Some(sha256(body).as_str()), "{what}: changed on the way up");
    assert!(answer.body == body, "{what}: changed on the way down");
    !answer.closes() && !answer.until_close
}

#[test]
fn mixed_bodies_arrive_intact() {
    let total = number_of_trials(1_500);
    let world = Arc::new(World::new());
    let pool = Arc::new(noise(42, 2 * LARGEST as usize));
    let done = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|seed| {
            let (world, pool, done) = (Arc::clone(&world), Arc::clone(&pool), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut dice = Dice(seed);
                let mut connection = world.gateway.connect();
                while done.fetch_add(1, Ordering::Relaxed) < total {
                    let kept = one(&world, &mut connection, &pool, &mut dice);
                    if !kept || dice.roll(100) == 0 {
                        connection = world.gateway.connect();
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().expect("every body is intact");
    }
    assert_eq!(world.production.count() as u64, total, "sent once each");
}
