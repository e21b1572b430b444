//! Access tokens: who issues them, and how.
use super::Tokens;
use doorward_control::oauth::PasswordRules;
use doorward_core::document::Table;
use doorward_core::jwt::Algorithm;
use doorward_core::token::Issuer;
use doorward_gateway::Limits;

/// Seconds for which a key is published before it signs: verifiers fetch the keys anew at least every hour.
const PUBLISH_BEFORE_S: u64 = 3_600;
/// A day: whoever fetches the keys less often has to fetch them anew when he meets one that he does not know.
const MAX_PUBLISH_BEFORE_S: u64 = 86_400;
/// A gigabyte of them on each core.
const MAX_CACHE_ENTRIES: u64 = 1 << 20;

/// No tokens.
impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            issuer: None,
            algorithm: Algorithm::Es256,
            publish_before_s: PUBLISH_BEFORE_S,
            passwords: PasswordRules::default(),
        }
    }
}

/// Reads the section, in which the issuer must stand.
pub(super) fn read(table: &Table<'_, '_>, limits: &mut Limits) -> Tokens {
    let none = Tokens::default();
    if let Some(n) = table.integer("cache_entries", 0..=MAX_CACHE_ENTRIES) {
        limits.token_cache_entries = n as usize;
    }
    Tokens {
        issuer: table.required("issuer", Issuer::parse),
        algorithm: table.parsed("algorithm", Algorithm::parse).unwrap_or(none.algorithm),
        publish_before_s: table
            .integer("publish_before_s", 0..=MAX_PUBLISH_BEFORE_S)
            .unwrap_or(none.publish_before_s),
        passwords: none.passwords,
    }
}
