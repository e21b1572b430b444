//! `publishable`: an id and a token that stand in a web page or an app. They open only what is open to client side, and
//! only from the origins that the credential names.
use super::key::{self, KeyPresented, KeySecret};
use super::{Outgoing, Scheme, SignError};
use crate::credential::{Credential, SchemeName};
use crate::decide::Refusal;
use crate::dialect::Dialect;
use crate::request::RequestView;
use crate::secret::Keys;

/// The scheme.
#[derive(Clone, Copy, Debug)]
pub struct Publishable;

impl Scheme for Publishable {
    type Presented<'a> = KeyPresented<'a>;
    type Secret = KeySecret;
    const NAME: SchemeName = SchemeName::Publishable;

    fn detect<'a>(
        dialect: &'static Dialect,
        req: &RequestView<'a>,
    ) -> Result<Option<KeyPresented<'a>>, Refusal> {
        dialect.publishable.map_or(Ok(None), |form| key::detect(form, req))
    }

    fn verify(presented: &KeyPresented<'_>, keys: &Keys, known: Option<&Credential>) -> bool {
        let known = known.filter(|c| c.scheme() == Self::NAME);
        let token = presented.secret.unwrap_or_default();
        keys.fits(presented.id.as_bytes(), token, known.map(|c| &c.secret))
    }

    fn sign(dialect: &'static Dialect, secret: &KeySecret, out: &mut Outgoing) -> Result<(), SignError> {
        key::sign(dialect.publishable.ok_or(SignError::NotInDialect)?, secret, out)
    }
}
