//! A byte of a signed request is changed, left out or put in: it is refused, or nothing that counts was changed.
use crate::feed::figures;
use crate::support::{Dice, Seen, Signed, SigningWorld, now_s, number_of_trials};
use std::sync::atomic::{AtomicU64, Ordering};

const CONNECTIONS: u64 = 8;

/// One request of its own; all have the same length.
fn request(world: &SigningWorld, number: u64) -> Signed {
    let signed = world.signer.signed("POST", &format!("/signed/{number:08}?b=2&a=x%20y&b=1,3"));
    let signed = signed.at(now_s()).body(format!(r#"{{"customer":"{number:08}","points":325}}"#));
    let signed = signed.signing("Content-Type", "application/json").field("User-Agent", "a client/1.0");
    signed.signing("X-Words", "two words").field("Accept", "*/*")
}

/// What of a request counts for an upstream. Numbers and dates are those of another request.
fn counts(seen: &Seen, number: u64, date: &str) -> (String, Vec<u8>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&format!("{number:08}"), "NUMBER");
    let head = text(&seen.head.raw).replace(date, "DATE");
    let lines = head.split("\r\n").filter(|line| !line.starts_with("doorward-request-id:"));
    (lines.collect::<Vec<_>>().join("\r\n"), text(&seen.body).into_bytes())
}

/// Changes one byte, or leaves one out, or puts one in.
fn mutated(mut bytes: Vec<u8>, dice: &mut Dice) -> (Vec<u8>, String) {
    const TELLING: &[u8] = b" \t\r\n\0:;,=&%+?/#\\\"'.-_~!*0aAzZ\x7f\x80\xff";
    let at = dice.roll(bytes.len() as u64) as usize;
    let byte = match dice.roll(3) {
        0 => TELLING[dice.roll(TELLING.len() as u64) as usize],
        1 => bytes[at] ^ (1 << dice.roll(8)),
        _ => dice.roll(256) as u8,
    };
    let what = match dice.roll(4) {
        0 => {
            bytes.remove(at);
            "left out"
        }
        1 => {
            bytes.insert(at, byte);
            "put in"
        }
        _ => {
            bytes[at] = byte;
            "changed"
        }
    };
    (bytes, format!("byte {at} {what} ({byte:#04x})"))
}

/// Of all mutations of one byte none is accepted, unless the upstream sees exactly what it would have seen without.
#[test]
fn no_mutation_of_one_byte_is_accepted_and_counts() {
    let world = SigningWorld::with(|s| {
        s.set("timeouts", "body_ms", 250).set("timeouts", "head_ms", 250).set("limits", "connections", 64)
    });
    let reference = request(&world, 0);
    world.ask(reference.bytes()).expect_ok();
    let whole = counts(&world.production.one("/signed/00000000"), 0, &reference.date);
    let total = number_of_trials(300);
    let (next, accepted) = (AtomicU64::new(1), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for seed in 0..CONNECTIONS {
            let (world, whole, next, accepted) = (&world, &whole, &next, &accepted);
            scope.spawn(move || {
                let mut dice = Dice(seed + 1);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > total {
                        break;
                    }
                    let request = request(world, number);
                    let original = request.bytes();
                    let (bytes, what) = mutated(original.clone(), &mut dice);
                    if bytes == original {
                        continue;
                    }
                    let shown = format!("{what}: {:?}", String::from_utf8_lossy(&bytes));
                    let mut connection = world.gateway.connect();
                    let answered = connection.send(&bytes).try_answer("POST");
                    let seen = world.production.seen_lately(&format!("{number:08}"));
                    if answered.is_ok_and(|answer| answer.status == 200) {
                        accepted.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(seen.len(), 1, "{shown}");
                        assert_eq!(counts(&seen[0], number, &request.date), *whole, "{shown}");
                    } else {
                        assert_eq!(seen.len(), 0, "refused, and yet it arrived: {shown}");
                    }
                }
            });
        }
    });
    let accepted = accepted.into_inner();
    assert_eq!(world.production.count() as u64, accepted + 1, "something else arrived");
    assert!(accepted < total / 4, "most of a request is signed: {accepted} of {total}");
    figures(format_args!(
        "{total} mutations of one byte: {accepted} were accepted, and none of these changed what the upstream saw"
    ));
}
