//! Passwords of service users: which ones are taken, and the hash (argon2id, RFC 9106) that is kept of them.
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;

/// Fewest characters of a password (NIST SP 800-63B allows 8 to people, but nobody has to remember these).
pub const MIN_CHARS: usize = 12;
/// Most characters of a password.
pub const MAX_CHARS: usize = 128;
/// Random bytes in a hash.
pub const SALT_BYTES: usize = 16;

/// What it costs to make one hash, and to try one password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory that it takes, in KiB.
    memory_kib: u32,
    /// How often all of that memory is gone over.
    passes: u32,
}

impl Cost {
    /// With one lane it is OWASP's least for argon2id: 19 MiB, and tens of milliseconds.
    pub const FULL: Cost = Cost { memory_kib: 19 * 1024, passes: 2 };
    /// About a millisecond: for passwords that protect nothing, such as a demo's.
    pub const TOKEN: Cost = Cost { memory_kib: 1024, passes: 1 };
}

/// Most memory that a hash may ask for, in KiB: what stands in the store can't make a node run out of it.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// Most passes that a hash may ask for.
const MAX_PASSES: u32 = 8;

/// The commonest of those that are long enough, in lower case: everybody tries them first.
const COMMON: [&str; 42] = [
    "000000000000",
    "111111111111",
    "121212121212",
    "123123123123",
    "123412341234",
    "123456123456",
    "1234567890123",
    "123456789012",
    "1234567890ab",
    "1234567891011",
    "123456789123",
    "123456789abc",
    "123456789qwe",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "aaaaaaaaaaaa",
    "abc123abc123",
    "abcdefghijkl",
    "adminadmin12",
    "administrator",
    "asdfghjkl123",
    "changemechangeme",
    "changeme1234",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "letmeinletmein",
    "p@ssw0rd1234",
    "p@ssword1234",
    "passw0rd1234",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "welcome12345",
];

/// The hash of a password, in the form of a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A text is no hash of a password, or one that takes too much to check. It is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash of a password can't be read")]
pub struct NoPasswordHash;

impl PasswordHash {
    /// Reads a hash as it is kept.
    ///
    /// # Errors
    /// [`NoPasswordHash`]: it is not one of argon2id, or asks for more memory or time than any made here.
    pub fn parse(text: &str) -> Result<PasswordHash, NoPasswordHash> {
        let parsed = argon2::PasswordHash::new(text).map_err(|_| NoPasswordHash)?;
        let params = Params::try_from(&parsed).map_err(|_| NoPasswordHash)?;
        let good = parsed.algorithm == argon2::ARGON2ID_IDENT
            && parsed.version == Some(Version::V0x13.into())
            && params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() == 1
            && parsed.salt.is_some()
            && parsed.hash.is_some();
        if good { Ok(PasswordHash(text.into())) } else { Err(NoPasswordHash) }
    }

    /// As it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn argon2id(cost: Cost) -> Argon2<'static> {
    let params =
        Params::new(cost.memory_kib, cost.passes, 1, None).expect("these are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password with a random salt. At full cost it is not for a thread that serves.
#[must_use]
pub fn hash(password: &str, salt: &[u8; SALT_BYTES], cost: Cost) -> PasswordHash {
    let salt = SaltString::encode_b64(salt).expect("so many bytes are a salt");
    let hash = argon2id(cost).hash_password(password.as_bytes(), &salt);
    PasswordHash(hash.expect("a password is far shorter than argon2 can take").to_string().into())
}

/// Compares passwords with what is kept of them.
#[derive(Clone, Debug)]
pub struct Comparer {
    /// What those are compared with that nobody has.
    nobody: PasswordHash,
}

impl Comparer {
    /// For hashes of that cost.
    #[must_use]
    pub fn new(cost: Cost) -> Comparer {
        Comparer { nobody: hash("", &[0; SALT_BYTES], cost) }
    }

    /// Whether a password is the one that was hashed. Where there is none, the answer is no and takes as long.
    #[must_use]
    pub fn fits(&self, password: &str, known: Option<&PasswordHash>) -> bool {
        fits(password, known.unwrap_or(&self.nobody)) && known.is_some()
    }
}

/// Whether a password is the one that was hashed.
#[must_use]
pub fn fits(password: &str, known: &PasswordHash) -> bool {
    // The hash says itself what it costs.
    let parsed = argon2::PasswordHash::new(&known.0);
    parsed.is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// Sees that a password can be taken for the user of that name. It is not told in the error.
///
/// # Errors
/// A sentence for whoever chose it.
pub fn check(password: &str, user: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if !(MIN_CHARS..=MAX_CHARS).contains(&chars) {
        return Err(format!("a password has {MIN_CHARS} to {MAX_CHARS} characters, and this one {chars}"));
    }
    // RFC 6749, A.16: others can't be sent.
    if password.chars().any(char::is_control) {
        return Err("a password has no control characters, and is one line".to_owned());
    }
    let lower = password.to_lowercase();
    if lower == user.to_lowercase() {
        return Err("the password is the user's name; choose another one".to_owned());
    }
    if COMMON.contains(&lower.as_str()) {
        return Err("the password is one that everybody tries first; choose another one".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_alone_and_is_never_shown() {
        let known = hash("swordfish & chips", &[7; SALT_BYTES], Cost::FULL);
        assert!(known.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", known.as_str());
        assert!(fits("swordfish & chips", &known));
        assert!(!fits("swordfish & chip", &known) && !fits("swordfish & chips ", &known));
        for cost in [Cost::FULL, Cost::TOKEN] {
            let comparer = Comparer::new(cost);
            assert!(comparer.fits("swordfish & chips", Some(&known)), "hashes of any cost are compared");
            assert!(!comparer.fits("swordfish & chips", None) && !comparer.fits("", None));
        }
        let other = hash("swordfish & chips", &[8; SALT_BYTES], Cost::FULL);
        assert_ne!(known, other, "the salt makes the difference");
        assert_eq!(PasswordHash::parse(known.as_str()), Ok(known.clone()));
        assert_eq!(format!("{known:?}"), "PasswordHash(..)");
    }

    #[test]
    fn only_what_could_be_made_here_is_read() {
        let good = hash("swordfish & chips", &[7; SALT_BYTES], Cost::FULL);
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("argon2id", "argon2d"),
            ("argon2id", "scrypt"),
            ("v=19", "v=16"),
            ("v=19$", ""),
            ("m=19456", "m=1048576"),
            ("t=2", "t=200"),
            ("p=1", "p=4"),
            ("$argon2id", "argon2id"),
        ] {
            let bad = good.as_str().replacen(from, to, 1);
            assert_eq!(PasswordHash::parse(&bad), Err(NoPasswordHash), "{bad}");
        }
        let (head, _) = good.as_str().rsplit_once('$').unwrap();
        assert_eq!(PasswordHash::parse(head), Err(NoPasswordHash));
        assert_eq!(PasswordHash::parse(""), Err(NoPasswordHash));
    }

    #[test]
    fn weak_passwords_are_refused_with_a_sentence() {
        let long = |n: usize| "x7".repeat(n / 2);
        for good in [&long(12), &long(128), "ünïcödé is fine", "  spaces stay  "] {
            assert_eq!(check(good, "svc"), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("short", "12 to 128"),
            (&long(130), "12 to 128"),
            ("", "12 to 128"),
            ("two lines\nare not", "control"),
            ("Password1234", "everybody"),
            ("correct horse battery staple", "everybody"),
            ("Acme.Service@shop", "user's name"),
        ] {
            let told = check(bad, "acme.service@SHOP").unwrap_err();
            assert!(told.contains(why), "{bad}: {told}");
            assert!(bad.len() < 6 || !told.contains(bad), "{told}");
        }
        let (mut long_enough, mut lower) = (COMMON.iter(), COMMON.iter());
        assert!(long_enough.all(|p| p.chars().count() >= MIN_CHARS));
        assert!(lower.all(|p| p.to_lowercase() == **p));
    }
}
