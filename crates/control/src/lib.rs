//! The control plane: every verb once, whoever asks for it, and the token server.
pub mod actions;
pub mod oauth;
