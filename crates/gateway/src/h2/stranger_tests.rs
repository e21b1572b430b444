//! What a hostile other end can't do.
use super::super::frame::{CONTINUATION, DATA, END_STREAM, HEADERS, PREFACE, SETTINGS};
use super::super::receive::Fed;
use super::super::{SILENT, STREAM_WINDOW_BYTES};
use super::*;
use crate::random::Random;
use std::time::{Duration, Instant};

const ANSWERED: &[(&[u8], &[u8])] = &[(b":status", b"200")];
const ASKED: &[(&[u8], &[u8])] =
    &[(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/x")];

fn shared(role: Role) -> Rc<RefCell<State>> {
    let shared = Rc::new(RefCell::new(State::new(role, window_bytes(role), wire::Limits::default())));
    let mut greeting = if role == Role::Server { PREFACE.to_vec() } else { Vec::new() };
    put(&mut greeting, SETTINGS, 0, 0, &[]);
    shared.borrow_mut().feed(&greeting).unwrap();
    shared
}

fn asked(shared: &Rc<RefCell<State>>) -> Bridge {
    let mut bridge = super::super::client::reserve(shared);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut bridge).poll_write(&mut cx, QUESTION).is_ready());
    bridge
}

fn read(bridge: &mut Bridge) -> Option<std::io::Result<Vec<u8>>> {
    let mut room = vec![0; 64 * 1024];
    let mut into = ReadBuf::new(&mut room);
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(bridge).poll_read(&mut cx, &mut into) {
        std::task::Poll::Pending => None,
        std::task::Poll::Ready(done) => Some(done.map(|()| into.filled().to_vec())),
    }
}

/// Callers that do not take their answers fill their own streams, and no other caller of that upstream waits for them.
#[test]
fn slow_callers_leave_room_for_others_on_a_connection_to_an_upstream() {
    let link = shared(Role::Client { secure: false });
    let mut callers: Vec<Bridge> = (0..MAX_STREAMS).map(|_| asked(&link)).collect();
    let piece = vec![0; 16_384];
    let mut sent = Vec::new();
    for stream in 0..MAX_STREAMS as u32 - 1 {
        put_headers(&mut sent, 2 * stream + 1, false, ANSWERED);
        let pieces = STREAM_WINDOW_BYTES as usize / piece.len();
        (0..pieces).for_each(|_| put(&mut sent, DATA, 0, 2 * stream + 1, &piece));
    }
    let last = 2 * MAX_STREAMS as u32 - 1;
    put_headers(&mut sent, last, false, ANSWERED);
    put(&mut sent, DATA, END_STREAM, last, &piece);
    let fed = link.borrow_mut().feed(&sent).unwrap();
    assert_eq!(fed.used, sent.len());
    assert!(read(callers.last_mut().unwrap()).unwrap().unwrap().len() > piece.len());
}

/// Answers before the answer that nobody reads, as a slow caller makes its exchange do.
#[test]
fn interim_answers_that_nobody_reads_end_their_stream() {
    let link = shared(Role::Client { secure: false });
    let (mut hit, other) = (asked(&link), asked(&link));
    let large = vec![b'a'; 8_000];
    let mut sent = Vec::new();
    for _ in 0..200 {
        put_headers(&mut sent, 1, false, &[(b":status", b"103"), (b"x-a", &large)]);
    }
    link.borrow_mut().feed(&sent).unwrap();
    assert_bounds(&link.borrow());
    assert!(read(&mut hit).unwrap().is_err());
    assert_eq!(link.borrow().streams[&3].incoming, Incoming::Head);
    drop(other);
}

/// What is thrown away is given back: the connection goes on.
#[test]
fn what_malformed_streams_held_is_given_back() {
    for role in [Role::Server, Role::Client { secure: false }] {
        let shared = shared(role);
        for turn in 0..60 {
            let mut sent = Vec::new();
            let id = 2 * turn + 1;
            let length: (&[u8], &[u8]) = (b"content-length", b"16400");
            let mut bridge = (role != Role::Server).then(|| asked(&shared));
            let head = if role == Role::Server { ASKED } else { ANSWERED };
            put_headers(&mut sent, id, false, &[head, &[length]].concat());
            (0..2).for_each(|_| put(&mut sent, DATA, 0, id, &[0; 16_384]));
            shared.borrow_mut().feed(&sent).unwrap();
            for born in std::mem::take(&mut shared.borrow_mut().born) {
                bridge = Some(Bridge::new(Rc::clone(&shared), born.stream));
            }
            let mut bridge = bridge.unwrap();
            let head = read(&mut bridge).unwrap().unwrap();
            assert!(head.ends_with(b"\r\n\r\n"), "{}", head.escape_ascii());
            assert!(read(&mut bridge).unwrap().is_err());
        }
        assert!(shared.borrow().streams.is_empty());
    }
}

/// A connection that has gone without a word takes no further requests; one that says anything does.
#[test]
fn a_silent_connection_is_left() {
    for (heard, left) in [(0, true), (1, false)] {
        let link = shared(Role::Client { secure: false });
        let waits = asked(&link);
        let long_ago = Instant::now().checked_sub(SILENT).unwrap();
        link.borrow_mut().streams.values_mut().for_each(|s| s.asked = Some((long_ago, 0)));
        link.borrow_mut().heard += heard;
        drop(waits);
        assert_eq!(link.borrow().closing.is_some(), left);
        // Whoever only leaves early proves nothing.
        let link = shared(Role::Client { secure: false });
        drop(asked(&link));
        assert!(link.borrow().closing.is_none());
    }
}

/// Streams that were open for long end without a trace, as long as not many of them end at once.
#[test]
fn what_was_open_for_long_is_taken_back_uncounted() {
    let link = shared(Role::Client { secure: false });
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let mut state = link.borrow_mut();
    for _ in 0..100 {
        state.spared = Some(long_ago);
        assert!(state.may_take_back(Some(long_ago)));
    }
    assert!(state.closing.is_none());
    let told = (0..100).filter(|_| state.may_take_back(Some(long_ago))).count();
    assert!(told < 20 && state.closing.is_some(), "{told}");
    let told = (0..100).filter(|_| state.may_take_back(Some(Instant::now()))).count();
    assert_eq!(told, 0);
}

#[test]
fn requests_that_were_taken_back_at_once_are_nobodys() {
    let shared = shared(Role::Server);
    let mut bytes = Vec::new();
    for stream in (1..).step_by(2).take(MAX_STREAMS) {
        put_headers(&mut bytes, stream, true, &ASKED[..if stream == 3 { 3 } else { 4 }]);
        if stream != 5 {
            put(&mut bytes, frame::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        }
    }
    put_headers(&mut bytes, 1_001, true, ASKED);
    let mut state = shared.borrow_mut();
    let Fed { used, held } = state.feed(&bytes).unwrap();
    assert!(held, "the next one waits until those have ended");
    assert_eq!(state.born.len(), MAX_STREAMS);
    state.leave_taken_back();
    let born: Vec<_> = state.born.iter().map(|born| (born.stream, born.wrong.is_some())).collect();
    assert_eq!(born, [(3, true), (5, false)], "whoever was refused is told of");
    assert_eq!(state.streams.len(), 2);
    assert_eq!(state.feed(&bytes[used..]), Ok(Fed { used: bytes.len() - used, held: false }));
}

#[test]
fn an_idle_connection_keeps_little_memory() {
    let shared = shared(Role::Server);
    let mut block = Vec::new();
    ASKED.iter().for_each(|(name, value)| hpack::put(&mut block, name, value));
    hpack::put(&mut block, &[b'a'; 9_000], &[b'b'; 30_000]);
    hpack::put(&mut block, b"cookie", &[b'c'; 9_000]);
    let mut sent = Vec::new();
    frame::put_block(&mut sent, &block, 1, true, 16_384);
    let mut state = shared.borrow_mut();
    state.feed(&sent).unwrap();
    assert!(state.decoder.value.capacity() >= 30_000);
    state.streams.clear();
    state.shrink();
    assert!(state.decoder.name.capacity() + state.decoder.value.capacity() < 4_096);
    assert!(state.fields.texts().iter().map(|text| text.capacity()).sum::<usize>() < 8_192);
}

/// A conversation of its own making, sometimes with something broken in it.
fn conversation(random: &mut Random, upstream: bool) -> Vec<u8> {
    let mut out = if upstream { Vec::new() } else { PREFACE.to_vec() };
    put(&mut out, SETTINGS, 0, 0, &[]);
    let noise = |random: &mut Random, most: usize| -> Vec<u8> {
        let length = random.below(most);
        (0..length).map(|_| random.next() as u8).collect()
    };
    for turn in 0..random.below(40) as u32 {
        let id =
            if upstream { random.below(10) as u32 } else { 2 * random.below(turn as usize + 2) as u32 + 1 };
        let head = if upstream { ANSWERED } else { ASKED };
        match random.below(8) {
            0..=3 => {
                let value = noise(random, 40);
                let some: &[(&[u8], &[u8])] =
                    &[(b"x-a", &value), (b"content-length", b"7"), (b"cookie", b"a")];
                let list = [head, &some[..random.below(4)]].concat();
                put_headers(&mut out, id, random.below(2) == 0, &list);
            }
            4 | 5 => put(&mut out, DATA, random.below(16) as u8, id, &noise(random, 400)),
            6 => put(&mut out, HEADERS, random.below(64) as u8, id, &noise(random, 60)),
            _ => {
                let kind = random.below(11) as u8;
                let payload = noise(random, if kind == CONTINUATION { 100 } else { 14 });
                put(
                    &mut out,
                    kind,
                    random.below(64) as u8,
                    if random.below(2) == 0 { 0 } else { id },
                    &payload,
                );
            }
        }
    }
    for _ in 0..random.below(3) {
        let at = random.below(out.len());
        out[at] = random.next() as u8;
    }
    out
}

/// Whatever comes: no panic, and memory stays within its bounds.
#[test]
fn anything_at_all_may_come() {
    let mut random = Random::new(7);
    let mut begun = 0;
    for turn in 0..6_000 {
        let upstream = turn % 2 == 0;
        let bytes = conversation(&mut random, upstream);
        let step = random.pick(&[1, 7, 100, 100_000]);
        begun += connection(&bytes, upstream, step);
    }
    assert!(begun > 1_000, "{begun}");
}
