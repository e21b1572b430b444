//! The proofs about slow callers, idle ones, and too many of them: they load a node with other programs.
use crate::prove::{BLACK_BOX, Proof};

pub(crate) const PROOFS: &[Proof] = &[
    Proof {
        name: "slow",
        what: "slow callers in each mode of slowhttptest beside others: ended in time, and what the others notice",
        binary: BLACK_BOX,
        filter: Some("slow_many::slow_callers"),
        engines: &[],
        n: &[2_000],
    },
    Proof {
        name: "idle",
        what: "idle connections: the memory of each, and what others notice",
        binary: BLACK_BOX,
        filter: Some("slow_many::many_idle"),
        engines: &[],
        n: &[10_000],
    },
    Proof {
        name: "overload",
        what: "seconds of three times as much as a core can do: what those who behave notice, and 0 let in who may not be",
        binary: BLACK_BOX,
        filter: Some("slow_many::three_times"),
        engines: &[],
        n: &[30],
    },
];
