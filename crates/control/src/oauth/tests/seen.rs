//! What is told about a token.
use super::super::seen::Seen;
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::secret::SecretHash;
use doorward_core::token::{Audience, Jti, TokenRecord, Verified};
use std::sync::Arc;

/// A token with a scope, of a credential that may do something by now.
fn seen(dialect: &str, scope: Option<&str>, may: &[&str]) -> Seen {
    let credential = Credential {
        id: "app".into(),
        pseudonym: None,
        workspace: "live".into(),
        kind: Kind::Server,
        name: "".into(),
        dialect: Dialect::named(dialect).unwrap(),
        plain_key: false,
        password_grant: false,
        status: Status::Active,
        expires_at: None,
        scopes: may.iter().map(|name| Box::from(*name)).collect(),
        origins: Box::default(),
        secret: SecretHash([0; 32]),
        signing: None,
        tokens_since: 1,
        own: None,
    };
    let token = Verified {
        record: TokenRecord::of(dialect).unwrap(),
        subject: "app".into(),
        client: None,
        label: None,
        scope: scope.map(Into::into),
        audience: Audience::Dialects,
        jti: Jti::new([1; 16]),
        issued_s: 0,
        expires_s: 900,
        since: 1,
    };
    Seen { token, credential: Arc::new(credential), role: None }
}

/// Nobody is told of a scope that the credential has no more: whoever asks decides by it.
#[test]
fn a_scope_is_told_as_it_is_now() {
    for (dialect, scope, may, told) in [
        ("standard", Some("read write"), &[][..], Some("read write")),
        ("standard", Some("read write"), &["read", "more"], Some("read")),
        ("standard", Some("write"), &["read"], Some("")),
        ("voucherify", Some("api"), &["vouchers"], Some("vouchers")),
        ("voucherify", Some("vouchers orders"), &["api"], Some("vouchers orders")),
        ("vista", None, &["read"], None),
    ] {
        let seen = seen(dialect, scope, may);
        assert_eq!(seen.scope().as_deref(), told, "{dialect} {scope:?} {may:?}");
    }
}
