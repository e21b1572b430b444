//! Who a client proves to be: HTTP Basic, or the same two in the form (RFC 6749 2.3.1). One way, once.
use super::fault::Fault;
use super::form::{Form, decode};
use super::{Asked, Server};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use doorward_core::credential::{Credential, Kind};
use doorward_core::reason::Reason;
use std::sync::Arc;

/// How a client presents itself. It has no `Debug`: there are secrets in it.
pub(super) enum Presented {
    /// Not at all.
    Nobody,
    /// By its name alone, which proves nothing.
    Name(String),
    /// By a secret.
    Secret { id: String, secret: String },
}

/// Reads how a client presents itself.
pub(super) fn presented(asked: &Asked, form: &Form) -> Result<Presented, Fault> {
    let twice = || {
        Fault::request("two-authentications", "authenticate the client once, in one way")
            .coded(Reason::CredentialAmbiguous)
    };
    let in_form = form.get("client_secret").is_some();
    let asserted = form.get("client_assertion").is_some() || form.get("client_assertion_type").is_some();
    let basic = match &asked.authorizations[..] {
        [] => None,
        [one] => Some(one),
        _ => return Err(twice()),
    };
    let ways = [basic.is_some(), in_form, asserted, asked.proved.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(twice());
    }
    if asserted || asked.proved.is_some() {
        return Err(Fault::other_authentication());
    }
    let named = form.get("client_id");
    if let Some(basic) = basic {
        let (id, secret) = read_basic(basic)?;
        // A name beside it is none of two clients (RFC 6749 3.2.1).
        return match named {
            Some(named) if named != id => Err(twice()),
            _ => Ok(Presented::Secret { id, secret }),
        };
    }
    match (named, form.get("client_secret")) {
        (Some(id), Some(secret)) => Ok(Presented::Secret { id: id.to_owned(), secret: secret.to_owned() }),
        (Some(id), None) => Ok(Presented::Name(id.to_owned())),
        (None, Some(_)) => Err(Fault::client(Reason::CredentialMalformed, "secret-without-id")),
        (None, None) => Ok(Presented::Nobody),
    }
}

/// `Basic base64(encoded id:encoded secret)` (RFC 7617, RFC 6749 2.3.1).
fn read_basic(field: &[u8]) -> Result<(String, String), Fault> {
    let malformed = |detail| Fault::client(Reason::CredentialMalformed, detail);
    let text = std::str::from_utf8(field).map_err(|_| malformed("authorization-unreadable"))?;
    let (scheme, value) = text.split_once(' ').ok_or_else(|| malformed("authorization-unreadable"))?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Fault { detail: "not-basic", ..Fault::other_authentication() });
    }
    let pair = BASE64_STANDARD.decode(value.trim_matches(' ')).map_err(|_| malformed("basic-base64"))?;
    let colon = pair.iter().position(|b| *b == b':').ok_or_else(|| malformed("basic-no-colon"))?;
    let both = decode(&pair[..colon]).zip(decode(&pair[colon + 1..]));
    let (id, secret) = both.ok_or_else(|| malformed("basic-encoding"))?;
    if id.is_empty() { Err(malformed("basic-no-id")) } else { Ok((id, secret)) }
}

/// Whether a credential is a client at the endpoints of its dialect.
fn is_client(credential: &Credential) -> bool {
    match credential.kind {
        Kind::Server | Kind::Integration | Kind::OauthClient => true,
        Kind::Client | Kind::User => false,
    }
}

/// The client that has this id and this secret, at endpoints of that dialect. Unknown and wrong take the same steps.
pub(super) fn prove(
    server: &Server,
    asked: &Asked,
    id: &str,
    secret: &str,
) -> Result<Arc<Credential>, Fault> {
    let found = server.live.directory.get(id);
    let known = found.filter(|c| c.dialect.name == asked.dialect.name && is_client(c));
    let fits = server.live.keys.fits(id.as_bytes(), secret.as_bytes(), known.as_ref().map(|c| &c.secret));
    match known.filter(|_| fits) {
        Some(credential) => Ok(credential),
        // It may be new, and this node has not heard of it.
        None if !server.live.store().0 => Err(Fault::away(Reason::Unavailable, "store-away")),
        None => Err(Fault::client(Reason::CredentialInvalid, "wrong-client")),
    }
}

/// A client that has proved itself, and may call here now.
pub(super) fn authenticated(server: &Server, asked: &Asked, form: &Form) -> Result<Arc<Credential>, Fault> {
    let client = match presented(asked, form)? {
        Presented::Secret { id, secret } => prove(server, asked, &id, &secret)?,
        Presented::Name(_) => return Err(Fault::client(Reason::CredentialMissing, "no-secret")),
        Presented::Nobody => return Err(Fault::client(Reason::CredentialMissing, "no-client")),
    };
    match server.allowed(asked, &client) {
        Ok(_) => Ok(client),
        Err((Reason::NetworkDenied, detail)) => Err(Fault::elsewhere(detail).of(&client)),
        Err((code, detail)) => Err(Fault::client(code, detail).of(&client)),
    }
}
