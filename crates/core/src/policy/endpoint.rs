//! What a node answers by itself, at routes that lead to no upstream.
use crate::credential::names;
use crate::dialect::Dialect;

names! {
    /// Where a route leads that leads to no upstream.
    Endpoint:
    /// Gives tokens (RFC 6749 3.2, or as the dialect has it).
    Token = "token",
    /// Tells about a token (RFC 7662).
    Introspect = "introspect",
    /// Revokes a token (RFC 7009).
    Revoke = "revoke",
    /// Tells where everything is (RFC 8414).
    Metadata = "metadata",
    /// The keys that tokens are verified with (RFC 7517).
    Jwks = "jwks",
    /// One of these keys, for the dialects that publish it alone.
    PublicKey = "public_key"
}

impl Endpoint {
    /// The methods that it takes at APIs of a dialect, and no others: what changes something or takes secrets is never asked
    /// for by an address alone, which ends up in logs.
    #[must_use]
    pub fn methods(self, dialect: &Dialect) -> &'static [&'static str] {
        match self {
            // Its callers sign, and send nothing else.
            Endpoint::Token if dialect.avanan => &["GET", "HEAD"],
            Endpoint::Token | Endpoint::Introspect | Endpoint::Revoke => &["POST"],
            Endpoint::Metadata | Endpoint::Jwks | Endpoint::PublicKey => &["GET", "HEAD"],
        }
    }
}
