//! The tables that are moved from one store to another.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Text,
    Number,
    Bytes,
}
use Holds::{Bytes, Number, Text};

/// A table that is moved.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns; the first ones are the primary key, which orders the rows.
    pub(crate) columns: &'static [(&'static str, Holds)],
    /// How many columns the primary key has.
    pub(crate) key: usize,
    /// Rows that stay.
    pub(crate) unless: &'static str,
}

/// Every table but `node` (who runs on one store runs not on the other) and `head` (one number), in an order in which
/// none refers to what is not there yet.
pub(crate) const TABLES: [Table; 19] = [
    Table { name: "meta", columns: &[("key", Text), ("value", Text)], key: 1, unless: "key = 'moved_to'" },
    Table { name: "keyring", columns: &[("master", Text), ("sealed", Bytes)], key: 1, unless: "" },
    Table {
        name: "object",
        columns: &[("kind", Text), ("workspace", Text), ("id", Text), ("revision", Number), ("body", Text)],
        key: 3,
        unless: "",
    },
    Table {
        name: "credential",
        columns: &[
            ("id", Text),
            ("workspace", Text),
            ("kind", Text),
            ("name", Text),
            ("dialect", Text),
            ("plain_key", Number),
            ("status", Text),
            ("expires_at", Number),
            ("scopes", Text),
            ("origins", Text),
            ("secret", Bytes),
            ("secret_version", Number),
            ("created_at", Number),
            ("tokens_since", Number),
            ("password", Text),
            ("password_grant", Number),
            ("role", Text),
            ("networks", Text),
            ("limit_rule", Text),
        ],
        key: 1,
        unless: "",
    },
    Table {
        name: "secret_display",
        columns: &[("credential", Text), ("sealed", Bytes), ("shown_until", Number), ("key_version", Number)],
        key: 1,
        unless: "",
    },
    Table {
        name: "signing_secret",
        columns: &[("credential", Text), ("sealed", Bytes), ("key_version", Number)],
        key: 1,
        unless: "",
    },
    Table {
        name: "credential_fact",
        columns: &[("credential", Text), ("last_used", Number), ("exposed_at", Number)],
        key: 1,
        unless: "",
    },
    Table {
        name: "unsigned_use",
        columns: &[
            ("credential", Text),
            ("api", Text),
            ("calls", Number),
            ("first_at", Number),
            ("last_at", Number),
            ("signed_at", Number),
        ],
        key: 2,
        unless: "",
    },
    Table {
        name: "rule_use",
        columns: &[
            ("credential", Text),
            ("api", Text),
            ("rule", Text),
            ("calls", Number),
            ("first_at", Number),
            ("last_at", Number),
        ],
        key: 3,
        unless: "",
    },
    Table {
        name: "rule_sample",
        columns: &[
            ("credential", Text),
            ("api", Text),
            ("rule", Text),
            ("at", Number),
            ("method", Text),
            ("path", Text),
            ("client", Text),
        ],
        key: 4,
        unless: "",
    },
    Table {
        name: "anonymous_use",
        columns: &[
            ("api", Text),
            ("rule", Text),
            ("calls", Number),
            ("first_at", Number),
            ("last_at", Number),
        ],
        key: 2,
        unless: "",
    },
    Table {
        name: "anonymous_sample",
        columns: &[
            ("api", Text),
            ("rule", Text),
            ("at", Number),
            ("method", Text),
            ("path", Text),
            ("client", Text),
        ],
        key: 3,
        unless: "",
    },
    Table {
        name: "captcha",
        columns: &[
            ("workspace", Text),
            ("provider", Text),
            ("hostnames", Text),
            ("sealed", Bytes),
            ("key_version", Number),
            ("created_at", Number),
        ],
        key: 1,
        unless: "",
    },
    Table {
        name: "token_key",
        columns: &[
            ("kid", Text),
            ("alg", Text),
            ("state", Text),
            ("created_at", Number),
            ("signs_from", Number),
            ("retired_at", Number),
            ("verify_until", Number),
            ("public_jwk", Text),
            ("sealed", Bytes),
            ("key_version", Number),
        ],
        key: 1,
        unless: "",
    },
    Table {
        name: "token",
        columns: &[
            ("jti", Text),
            ("credential", Text),
            ("workspace", Text),
            ("dialect", Text),
            ("label", Text),
            ("scope", Text),
            ("gen", Text),
            ("issued_at", Number),
            ("expires_at", Number),
            ("revoked_at", Number),
        ],
        key: 1,
        unless: "",
    },
    Table {
        name: "guess",
        columns: &[("who", Text), ("failures", Number), ("last_at", Number)],
        key: 1,
        unless: "",
    },
    // The same node goes on with what it remembers, and another one still finds that there was one.
    Table {
        name: "lease",
        columns: &[
            ("name", Text),
            ("holder", Text),
            ("until", Number),
            ("turn", Number),
            ("renewals", Number),
        ],
        key: 1,
        unless: "",
    },
    Table {
        name: "ledger",
        columns: &[
            ("one", Number),
            ("reach_ms", Number),
            ("ahead_ms", Number),
            ("turn", Number),
            ("mark", Text),
            ("history", Text),
        ],
        key: 1,
        unless: "",
    },
    Table {
        name: "change",
        columns: &[
            ("seq", Number),
            ("at", Number),
            ("actor", Text),
            ("workspace", Text),
            ("kind", Text),
            ("id", Text),
            ("action", Text),
            ("before", Text),
            ("after", Text),
            ("mac", Bytes),
        ],
        key: 1,
        unless: "",
    },
];
