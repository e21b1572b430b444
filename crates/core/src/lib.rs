//! What is decided, and why: pure, without I/O, clock or runtime. Time and randomness are arguments.
pub mod checks;
pub mod credential;
pub mod decide;
pub mod dialect;
pub mod directory;
pub mod document;
pub mod ids;
pub mod live;
pub mod origin;
pub mod path;
pub mod policy;
pub mod reason;
pub mod request;
pub mod schemes;
pub mod secret;
pub mod time;
