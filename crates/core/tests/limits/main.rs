//! Limits, held against models of another kind: one that remembers every request, and one that counts tokens in fractions.
mod law;
mod model;
mod together;
