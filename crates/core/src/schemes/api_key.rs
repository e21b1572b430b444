//! `api_key`: an id and a secret, sent with every request; or, where the API and the credential both switch it on, the
//! id alone.
use super::key::{self, KeyPresented, KeySecret};
use super::{Outgoing, Scheme, SignError};
use crate::credential::{Credential, SchemeName};
use crate::decide::Refusal;
use crate::dialect::Dialect;
use crate::request::RequestView;
use crate::secret::Keys;

/// The scheme.
#[derive(Clone, Copy, Debug)]
pub struct ApiKey;

impl Scheme for ApiKey {
    type Presented<'a> = KeyPresented<'a>;
    type Secret = KeySecret;
    const NAME: SchemeName = SchemeName::ApiKey;

    fn detect<'a>(
        dialect: &'static Dialect,
        req: &RequestView<'a>,
    ) -> Result<Option<KeyPresented<'a>>, Refusal> {
        dialect.api_key.map_or(Ok(None), |form| key::detect(form, req))
    }

    fn verify(presented: &KeyPresented<'_>, keys: &Keys, known: Option<&Credential>) -> bool {
        match presented.secret {
            Some(secret) => {
                let known = known.filter(|c| c.scheme() == Self::NAME);
                keys.fits(presented.id.as_bytes(), secret, known.map(|c| &c.secret))
            }
            // Whoever knows the id is in, where the credential allows that.
            None => known.is_some_and(|c| c.plain_key),
        }
    }

    fn sign(dialect: &'static Dialect, secret: &KeySecret, out: &mut Outgoing) -> Result<(), SignError> {
        key::sign(dialect.api_key.ok_or(SignError::NotInDialect)?, secret, out)
    }
}
