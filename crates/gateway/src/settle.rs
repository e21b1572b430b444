//! What a decision asks for: the whole body, where a request is signed or answered here. Nothing of it goes anywhere before
//! the request was permitted.
use crate::clock::Slot;
use crate::deadlines::{Why, due};
use crate::input::Input;
use crate::io::{self as sockets, Io};
use crate::pool::Dial;
use crate::pump::{Body, Broken, Pump};
use crate::settings::Limits;
use crate::wire::{Expect, Framing, Head, Reject};
use crate::worker::Worker;
use doorward_core::canonical::{BodyDigest, BodyHasher, Hash};
use doorward_core::decide::{Denial, Received, Refusal};
use doorward_core::reason::Reason;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How much room a body takes at a time, in bytes: as it comes, since announcing a length costs a caller nothing.
const STEP_BYTES: u64 = 16 * 1024;

/// What is known of a body before it is read.
pub(crate) fn received(head: &Head) -> Received<'static> {
    match head.framing {
        Framing::None | Framing::Length(0) => Received::Nothing,
        _ => Received::NotYet,
    }
}

/// The room for bodies that wait, of a whole node.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_caller: HashMap<Option<IpAddr>, u64>,
}

impl Room {
    /// How much of it is taken, in bytes.
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

/// How much may be taken, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Most {
    pub(crate) caller: u64,
    pub(crate) node: u64,
}

/// Room that was taken; given back when dropped.
pub(crate) struct Place {
    room: Arc<Room>,
    caller: Option<IpAddr>,
    bytes: u64,
}

/// Who counts as one caller: an IPv4 address, or the 64 bits that a network of IPv6 has for its own addresses.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => {
            let bits = u128::from(six) >> 64 << 64;
            IpAddr::V6(bits.into())
        }
        four => four,
    }
}

impl Place {
    fn new(room: &Arc<Room>, caller: Option<IpAddr>) -> Place {
        Place { room: Arc::clone(room), caller: caller.map(network), bytes: 0 }
    }

    /// Takes more; `false`: there is none.
    fn grow(&mut self, bytes: u64, most: Most) -> bool {
        let mut taken = self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_caller.get(&self.caller).copied().unwrap_or(0);
        if taken.all + bytes > most.node || own + bytes > most.caller {
            return false;
        }
        taken.all += bytes;
        taken.by_caller.insert(self.caller, own + bytes);
        self.bytes += bytes;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= self.bytes;
        let left = taken.by_caller.get_mut(&self.caller).map(|own| {
            *own -= self.bytes;
            *own
        });
        if left == Some(0) {
            taken.by_caller.remove(&self.caller);
        }
    }
}

/// A body that waits.
pub(crate) struct Collected {
    pub(crate) digest: BodyDigest,
    pub(crate) bytes: Vec<u8>,
    /// Held for as long as the bytes are.
    pub(crate) place: Place,
}

/// Why a body waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It is signed.
    ForProof,
    /// It is answered here.
    ForAnswer,
}

impl Waits {
    /// How long it may be at most, in bytes.
    pub(crate) fn most(self, limits: &Limits) -> u64 {
        match self {
            Waits::ForProof => limits.signed_body_bytes.min(limits.body_bytes),
            Waits::ForAnswer => limits.local_body_bytes.min(limits.body_bytes),
        }
    }
}

/// Why a body could not be collected.
pub(crate) enum Stop {
    /// The caller is to be told.
    Refused(Denial),
    /// The caller has left.
    Gone,
}

fn refused(reason: Reason, detail: &'static str, note: String) -> Stop {
    Stop::Refused(Refusal::new(reason, detail).saying(note).into())
}

fn no_room() -> Denial {
    Refusal::new(Reason::Overloaded, "waiting-bodies")
        .saying("Too many requests whose bodies have to be read first are waiting at the moment.")
        .into()
}

/// Room for what is kept of a request beside its body.
pub(crate) fn place<D: Dial>(
    worker: &Worker<D>,
    caller: Option<IpAddr>,
    bytes: u64,
) -> Result<Place, Denial> {
    let mut place = Place::new(&worker.room, caller);
    if place.grow(bytes, room(&worker.settings.limits)) { Ok(place) } else { Err(no_room()) }
}

fn room(limits: &Limits) -> Most {
    Most { caller: limits.signed_bodies_caller_bytes, node: limits.signed_bodies_node_bytes }
}

fn broken(broken: &Broken, why: Waits, most: u64) -> Stop {
    let ambiguous =
        |reject: &Reject| refused(Reason::RequestAmbiguous, reject.detail(), reject.sentence().to_owned());
    match broken {
        Broken::TooLarge => Stop::Refused(too_large(why, most)),
        Broken::Framing(reject) => ambiguous(reject),
        Broken::Source | Broken::Sink => Stop::Gone,
    }
}

/// A body that is longer than what waits may be.
pub(crate) fn too_large(why: Waits, most: u64) -> Denial {
    let (detail, note) = match why {
        Waits::ForProof => (
            "signed-body",
            format!(
                "The body of a signed request has at most {most} bytes here: all of it waits for the proof."
            ),
        ),
        Waits::ForAnswer => ("local-body", format!("The body has at most {most} bytes here.")),
    };
    Refusal::new(Reason::BodyTooLarge, detail).saying(note).into()
}

/// Reads the whole body of a request. `pump` takes it apart.
pub(crate) async fn collect<S: Io, D: Dial>(
    worker: &Worker<D>,
    (io, input, slot): (&mut S, &mut Input, &Slot),
    pump: &mut Pump,
    head: &Head,
    caller: Option<IpAddr>,
    (hash, why): (Hash, Waits),
) -> Result<Collected, Stop> {
    let limits = &worker.settings.limits;
    let (most, room) = (why.most(limits), room(limits));
    let mut place = Place::new(&worker.room, caller);
    let mut bytes = Vec::new();
    // It never comes to more than this.
    let mut longest = most;
    if let Framing::Length(n) = head.framing {
        if n > most {
            return Err(Stop::Refused(too_large(why, most)));
        }
        longest = n;
        bytes.reserve_exact(n.min(STEP_BYTES) as usize);
    }
    if head.expect == Expect::Continue && input.is_empty() {
        slot.set(worker.clock.after(worker.settings.timeouts.write_ms));
        let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
        sockets::write_all(io, &worker.clock, slot, go_on).await.map_err(|_| Stop::Gone)?;
    }
    pump.reset();
    pump.body = Body::new(head.framing, &worker.wire);
    pump.allowed = most;
    let mut hasher = BodyHasher::new(hash);
    let since = worker.clock.now();
    loop {
        pump.take(input, &|_| false).map_err(|b| broken(&b, why, most))?;
        for piece in pump.output(input) {
            let needed = (bytes.len() + piece.len()) as u64;
            if needed > place.bytes {
                let step = STEP_BYTES.min(longest.saturating_sub(place.bytes));
                if !place.grow(step.max(needed - place.bytes), room) {
                    return Err(Stop::Refused(no_room()));
                }
            }
            hasher.update(piece);
            bytes.extend_from_slice(piece);
        }
        pump.drop_output();
        if pump.body.done() {
            return Ok(Collected { digest: hasher.finish(), bytes, place });
        }
        input.make_room(&worker.buffers);
        slot.set(due(Why::CallerSends, &worker.clock, &worker.settings, since, pump.taken));
        match sockets::read(io, &worker.clock, slot, input.space()).await {
            Ok(n) if n > 0 => input.filled(n),
            Err(e) if e.kind() == ErrorKind::TimedOut && worker.is_cut_off() => {
                return Err(Stop::Refused(Refusal::new(Reason::Unavailable, "node-stops").into()));
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                return Err(refused(
                    Reason::RequestTimeout,
                    "body-timeout",
                    "The body of the request did not arrive in time.".to_owned(),
                ));
            }
            Err(e) => {
                return Err(crate::h2::rejected(&e)
                    .map_or(Stop::Gone, |reject| broken(&Broken::Framing(reject), why, most)));
            }
            Ok(_) => return Err(Stop::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_for_each_caller_and_for_all() {
        let (room, most) = (Arc::new(Room::default()), Most { caller: 10, node: 15 });
        let place = |n: u8| Place::new(&room, Some([10, 0, 0, n].into()));
        let (mut a, mut b) = (place(1), place(2));
        assert!(a.grow(10, most) && !a.grow(1, most) && !place(1).grow(1, most));
        assert!(b.grow(5, most) && !b.grow(1, most) && !place(3).grow(1, most));
        drop(a);
        assert!(place(3).grow(10, most), "what is given back is there again");
        drop(b);
        let taken = room.0.lock().unwrap();
        assert_eq!((taken.all, taken.by_caller.len()), (0, 0));
    }
}
