//! Keys of a maker whose primes were all powers of 65537 for a public modulus (CVE-2017-15361): they can be factored.

/// The primes by which such a modulus is told from others.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
/// The number that all of them are powers of.
const GENERATOR: u32 = 65_537;

/// Whether a modulus, big end first, is a power of [`GENERATOR`] for every one of the primes. Of sound keys fewer than one
/// in a hundred million is.
pub(super) fn is_roca(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|p| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % p);
        let mut power = 1;
        for _ in 1..*p {
            if power == rest {
                return true;
            }
            power = power * (GENERATOR % p) % p;
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiplies a number, big end first, by [`GENERATOR`]: itself, and itself two bytes up.
    fn times_generator(n: &[u8]) -> Vec<u8> {
        let (a, b) = ([&[0, 0], n].concat(), [n, &[0, 0]].concat());
        let mut carry = 0;
        let mut out: Vec<u8> = Vec::new();
        for (x, y) in a.iter().zip(&b).rev() {
            let sum = u16::from(*x) + u16::from(*y) + carry;
            out.push(sum as u8);
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        out.reverse();
        out
    }

    /// S8725-5
    #[test]
    fn powers_of_the_generator_are_told_from_other_numbers() {
        let mut n = vec![1];
        for _ in 0..128 {
            n = times_generator(&n);
        }
        assert!(is_roca(&n), "65537 to the power of 128");
        let mut told = 0;
        for other in 1..=100u8 {
            let last = n.len() - 1;
            n[last] = n[last].wrapping_add(other);
            told += u32::from(!is_roca(&n));
            n[last] = n[last].wrapping_sub(other);
        }
        assert_eq!(told, 100);
    }
}
