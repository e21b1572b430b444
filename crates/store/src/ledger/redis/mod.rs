//! The ledger of many nodes.
mod address;

pub use address::Address;
