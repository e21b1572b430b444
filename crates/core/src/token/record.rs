//! What a token of each dialect is, as data.
use super::Issuer;
use crate::jwt::Algorithm;

/// Whom a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceRule {
    /// The resources that were asked for (RFC 8707), else the issuer.
    Resources,
    /// The issuer with this after it.
    Suffixed(&'static str),
    /// Always this.
    Fixed(&'static str),
    /// It does not say.
    None,
}

/// The tokens of one dialect.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// The dialect's name.
    pub dialect: &'static str,
    /// How they may be signed; the first one, unless a setting says otherwise.
    pub algorithms: &'static [Algorithm],
    /// What kind of token they say they are.
    pub typ: &'static str,
    /// What follows the issuer in `iss`. No two records have the same, so that `iss` tells the dialect.
    pub issuer_suffix: &'static str,
    /// Whom they are for.
    pub audience: AudienceRule,
    /// How long they are good, in seconds.
    pub life_s: i64,
    /// Whether they carry a `scope`.
    pub scope: bool,
    /// Whether they carry a `client_id`.
    pub client: bool,
    /// Whether they carry `nbf`, which is `iat`.
    pub not_before: bool,
    /// What `token_usage` says, where there is such a claim.
    pub usage: Option<&'static str>,
    /// Whether a label that the caller chose may stand in `client_label`.
    pub label: bool,
}

/// Every record there is.
pub static RECORDS: [TokenRecord; 5] = [
    // RFC 9068.
    TokenRecord {
        dialect: "standard",
        algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
        typ: "at+jwt",
        issuer_suffix: "",
        audience: AudienceRule::Resources,
        life_s: 3_600,
        scope: true,
        client: true,
        not_before: false,
        usage: None,
        label: false,
    },
    TokenRecord {
        dialect: "antavo",
        algorithms: &[Algorithm::Es256],
        typ: "JWT",
        issuer_suffix: "/v1/auth",
        audience: AudienceRule::Suffixed("/v1/async"),
        life_s: 3_600,
        scope: true,
        client: false,
        not_before: false,
        usage: None,
        label: false,
    },
    TokenRecord {
        dialect: "voucherify",
        algorithms: &[Algorithm::Es256],
        typ: "JWT",
        issuer_suffix: "/v1/oauth",
        audience: AudienceRule::Suffixed("/v1"),
        life_s: 900,
        scope: true,
        client: false,
        not_before: false,
        usage: None,
        label: false,
    },
    TokenRecord {
        dialect: "vista",
        algorithms: &[Algorithm::Rs256],
        typ: "JWT",
        issuer_suffix: "/",
        audience: AudienceRule::Fixed("all"),
        life_s: 43_200,
        scope: false,
        client: false,
        not_before: true,
        usage: Some("access_token"),
        label: true,
    },
    // Its clients decode without saying who they are, and refuse any audience.
    TokenRecord {
        dialect: "avanan",
        algorithms: &[Algorithm::Rs256],
        typ: "JWT",
        issuer_suffix: "/v1.0",
        audience: AudienceRule::None,
        life_s: 3_600,
        scope: false,
        client: false,
        not_before: false,
        usage: None,
        label: false,
    },
];

impl TokenRecord {
    /// The record of a dialect.
    #[must_use]
    pub fn of(dialect: &str) -> Option<&'static TokenRecord> {
        RECORDS.iter().find(|record| record.dialect == dialect)
    }

    /// The record that an `iss` names.
    #[must_use]
    pub fn by_iss(iss: &str, issuer: &Issuer) -> Option<&'static TokenRecord> {
        let suffix = iss.strip_prefix(issuer.as_str())?;
        RECORDS.iter().find(|record| record.issuer_suffix == suffix)
    }

    /// What stands in `iss`.
    #[must_use]
    pub fn iss(&self, issuer: &Issuer) -> String {
        format!("{issuer}{}", self.issuer_suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iss_names_one_dialect() {
        let issuer = Issuer::parse("https://api.example").unwrap();
        for record in &RECORDS {
            let iss = record.iss(&issuer);
            assert_eq!(TokenRecord::by_iss(&iss, &issuer), Some(record));
            assert_eq!(TokenRecord::of(record.dialect), Some(record));
            let others = RECORDS.iter().filter(|r| r.iss(&issuer) == iss || r.dialect == record.dialect);
            assert_eq!(others.count(), 1);
            assert!(!record.algorithms.is_empty());
        }
        for other in [
            "",
            "https://api.example.org",
            "https://api.exampl",
            "https://api.example/v1",
            "HTTPS://api.example",
        ] {
            assert_eq!(TokenRecord::by_iss(other, &issuer), None, "{other}");
        }
    }
}
