//! The store on real files.
#[cfg(test)]
mod chain;
#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod following;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod support;
#[cfg(test)]
mod writing;
