//! Connections that change their protocol: at every split, the bytes behind the heads arrive as they are, once, and not before
//! the upstream has agreed.
use super::{Run, heard, run};
use crate::sockets_tests::mock::{Script, Trouble};

const ASK: &[u8] =
    b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfrom the caller";
const AGREES: &[u8] =
    b"HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nfrom the upstream";
const DECLINES: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";

fn script(says: Vec<(usize, &[u8])>, ends: bool) -> Script {
    Script {
        says: says.into_iter().map(|(after, bytes)| (after, bytes.to_vec())).collect(),
        splits: vec![],
        takes: usize::MAX,
        trouble: Trouble::None,
        ends,
    }
}

fn behind(bytes: &[u8]) -> &[u8] {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(b"", |at| &bytes[at + 4..])
}

fn check(r: &Run, how: &str) {
    let (caller, upstream) = (heard(&r.caller), heard(&r.upstreams[0]));
    assert!(caller.starts_with(b"HTTP/1.1 101 Fine\r\n"), "{how}: {}", String::from_utf8_lossy(&caller));
    assert_eq!(behind(&caller), b"from the upstream", "{how}");
    assert_eq!(behind(&upstream), b"from the caller", "{how}");
    assert_eq!((r.events, r.kept), (1, 0), "{how}: {}", r.lines);
    assert!(r.lines.contains("\"status\":101"), "{how}: {}", r.lines);
    assert!(r.caller.state.borrow().shut, "{how}: the end is passed on");
}

#[test]
fn every_split_gives_the_same_bytes_behind_101() {
    for takes in [1, 7, usize::MAX] {
        for at in 0..=ASK.len() {
            let mut from = script(vec![(0, ASK)], false);
            (from.splits, from.takes) = (vec![at], takes);
            let mut to = script(vec![(1, AGREES)], true);
            to.takes = takes;
            check(&run(from, vec![to]), &format!("caller split at {at}, writes of {takes}"));
        }
        for at in 0..=AGREES.len() {
            let mut to = script(vec![(1, AGREES)], true);
            (to.splits, to.takes) = (vec![at], takes);
            check(&run(script(vec![(0, ASK)], false), vec![to]), &format!("upstream split at {at}, {takes}"));
        }
    }
}

#[test]
fn nothing_behind_the_head_goes_on_without_101() {
    for at in 0..=ASK.len() {
        for answer in [DECLINES, &b"HTTP/1.1 101 Fine\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n"[..]] {
            let mut from = script(vec![(0, ASK)], false);
            from.splits = vec![at];
            let r = run(from, vec![script(vec![(1, answer)], false)]);
            assert_eq!(behind(&heard(&r.upstreams[0])), b"", "split at {at}");
            assert_eq!(r.kept, 0, "split at {at}");
        }
    }
}

/// Whatever stops wherever, the connection ends and has its event; what arrived is a beginning of what was sent.
#[test]
fn either_side_may_fail_anywhere() {
    for side in 0..2 {
        let length = [ASK.len(), AGREES.len()][side];
        for at in 0..length {
            for trouble in [Trouble::Silence(at), Trouble::End(at), Trouble::Reset(at), Trouble::Deaf(at)] {
                let mut both = [script(vec![(0, ASK)], false), script(vec![(1, AGREES)], true)];
                both[side].trouble = trouble;
                let [from, to] = both;
                let r = run(from, vec![to]);
                let how = format!("{trouble:?} at side {side}");
                let (caller, upstream) = (heard(&r.caller), heard(&r.upstreams[0]));
                assert!(b"from the caller".starts_with(behind(&upstream)), "{how}");
                if caller.starts_with(b"HTTP/1.1 101 ") {
                    assert_eq!(r.events, 1, "{how}: {}", r.lines);
                    assert!(b"from the upstream".starts_with(behind(&caller)), "{how}");
                }
                assert_eq!(r.kept, 0, "{how}");
                // Without 101, what stands behind the head is the next request.
                assert!(r.events <= 2, "{how}: {}", r.lines);
            }
        }
    }
}
