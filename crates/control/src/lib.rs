//! The control plane: every verb once, whoever asks for it.
pub mod actions;
