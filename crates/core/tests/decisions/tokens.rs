//! Tokens for the tables, and who has them.
use crate::{NOW, world};
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::jwt::{Algorithm, KeySet, SigningKey, VerifyKey};
use doorward_core::live::Live;
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::schemes::{Outgoing, bearer};
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use doorward_core::token::{Grant, Issuer, Jti, TokenRecord, issue};
use std::sync::OnceLock;

pub(crate) const EPOCH: &str = "0123456789abcdef0123456789abcdef";
/// The number of the change that every credential's tokens count from.
pub(crate) const SINCE: i64 = 7;

pub(crate) fn key(alg: Algorithm) -> &'static SigningKey {
    static KEYS: [OnceLock<SigningKey>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
    let at = Algorithm::ALL.iter().position(|a| *a == alg).unwrap();
    KEYS[at].get_or_init(|| SigningKey::generate(alg).unwrap())
}

/// The keys that tokens are signed with here. EdDSA is none of them.
pub(crate) fn key_set() -> KeySet {
    let mut set = KeySet::default();
    for alg in [Algorithm::Es256, Algorithm::Rs256] {
        set.add(VerifyKey::from_jwk(key(alg).public().jwk()).unwrap()).unwrap();
    }
    set
}

/// A world that takes tokens, with a credential of each dialect that has the dialect's name.
pub(crate) fn world_with_tokens(policy: &str) -> Live {
    taking_tokens(world(policy))
}

/// The same for a world that is there.
pub(crate) fn taking_tokens(live: Live) -> Live {
    live.tokens.replace(EPOCH, &key_set());
    for dialect in ["standard", "voucherify", "antavo", "vista"] {
        live.directory.put(credential(dialect, dialect));
    }
    live.directory.put(credential("US:app", "avanan"));
    live
}

pub(crate) fn credential(id: &str, dialect: &str) -> Credential {
    let scopes: &[&str] = match dialect {
        "standard" => &["read", "write"],
        "antavo" => &["loyalty.async_events"],
        _ => &[],
    };
    let dialect = Dialect::named(dialect).unwrap();
    Credential {
        id: id.into(),
        pseudonym: None,
        workspace: "live".into(),
        kind: Kind::Server,
        name: "".into(),
        dialect,
        plain_key: false,
        password_grant: false,
        status: Status::Active,
        expires_at: None,
        scopes: scopes.iter().map(|name| Box::from(*name)).collect(),
        origins: Box::default(),
        secret: Keys::derive(&[3; 32]).hash(id.as_bytes(), b"secret"),
        signing: (dialect.avanan || dialect.signing.is_some()).then(|| SigningSecret::new(b"secret")),
        own: None,
        tokens_since: SINCE,
    }
}

/// A token, as somebody asks for it.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) record: &'static TokenRecord,
    pub(crate) subject: String,
    pub(crate) scope: &'static str,
    pub(crate) resources: &'static [&'static str],
    pub(crate) since: i64,
    pub(crate) epoch: &'static str,
    pub(crate) at: UnixMillis,
    pub(crate) alg: Algorithm,
    pub(crate) jti: u8,
    pub(crate) issuer: &'static str,
}

impl Wanted {
    /// A token of a dialect for its credential, issued a minute ago.
    pub(crate) fn of(dialect: &str) -> Wanted {
        let record = TokenRecord::of(dialect).unwrap();
        Wanted {
            record,
            subject: if dialect == "avanan" { "US:app".to_owned() } else { dialect.to_owned() },
            scope: match dialect {
                "voucherify" => "api",
                "antavo" => "loyalty.async_events",
                "standard" => "read",
                _ => "",
            },
            resources: &[],
            since: SINCE,
            epoch: EPOCH,
            at: NOW.plus_ms(-60_000),
            alg: record.algorithms[0],
            jti: 1,
            issuer: "https://api.example",
        }
    }

    pub(crate) fn make(&self) -> String {
        let grant = Grant {
            record: self.record,
            subject: &self.subject,
            client: None,
            label: None,
            scope: self.scope,
            resources: self.resources,
            since: self.since,
            life_s: None,
        };
        let issuer = Issuer::parse(self.issuer).unwrap();
        issue(&grant, &issuer, self.epoch, key(self.alg), Jti::new([self.jti; 16]), self.at).unwrap().token
    }

    pub(crate) fn sent(&self) -> Outgoing {
        sent(&self.make())
    }
}

pub(crate) fn sent(token: &str) -> Outgoing {
    let mut out = Outgoing::default();
    bearer::sign(token, &mut out);
    out
}
