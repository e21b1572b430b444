//! The store on real files, and on a real server.
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod captchas;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod following;
#[cfg(test)]
mod guessing;
#[cfg(test)]
mod issuing;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod place;
#[cfg(test)]
mod relocate;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod signing;
#[cfg(test)]
mod signing_rotation;
#[cfg(test)]
mod size;
#[cfg(test)]
mod support;
#[cfg(test)]
mod token_keys;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod writing;
