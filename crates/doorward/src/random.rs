//! Random bytes.

/// Fills a buffer from the system's generator.
pub(crate) fn fill(buffer: &mut [u8]) {
    aws_lc_rs::rand::fill(buffer).expect("the system's random generator does not fail once it was seeded");
}
