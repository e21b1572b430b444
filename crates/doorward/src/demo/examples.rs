//! A curl command for each way of calling that the demo's credentials have. Each works when pasted.
use super::policy::PRODUCTION;
use super::{REGION, token_examples};
use crate::Failure;
use crate::shell::{capitals, quoted};
use doorward_control::actions::CredentialView;
use doorward_core::credential::SchemeName;
use doorward_core::dialect::{Dialect, SigningForm};
use doorward_core::schemes::{ApiKey, KeySecret, Outgoing, Publishable, Scheme, SignError};
use serde::Serialize;
use std::path::Path;

/// One command.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Example {
    /// What it shows.
    pub(super) name: String,
    /// The command.
    pub(super) curl: String,
}

/// Where the demo is reached.
pub(super) struct Reached<'a> {
    pub(super) plain: &'a str,
    pub(super) tls: &'a str,
    pub(super) ca_file: &'a Path,
}

/// A path of the dialect's own APIs.
fn vendor_path(dialect: &str, scheme: SchemeName) -> Option<&'static str> {
    match (dialect, scheme) {
        ("voucherify", SchemeName::ApiKey) => Some("/v1/vouchers/FESTIVE-2026"),
        ("voucherify", SchemeName::Publishable) => Some("/client/v1/validate?code=FESTIVE-2026"),
        ("antavo", _) => Some("/customers/jane"),
        _ => None,
    }
}

/// Two for each credential, its own API and the echo, and one over TLS.
///
/// # Errors
/// A credential that can't be sent: none of the demo's is one.
pub(super) fn all(credentials: &[CredentialView], at: &Reached<'_>) -> Result<Vec<Example>, Failure> {
    let mut out = Vec::new();
    for c in credentials {
        // Some have tokens and nothing else, or sign in a way that takes a token.
        for scheme in ways(c)?.into_iter().filter(|s| !matches!(s, SchemeName::Bearer | SchemeName::Avanan)) {
            let own = vendor_path(c.dialect, scheme);
            for path in own.into_iter().chain(["/echo/hello"]) {
                let name = format!("{} ({}, {}): {}", c.name, c.dialect, scheme.name(), path);
                out.push(Example { name, curl: curl(at.plain, "", c, scheme, path)? });
            }
        }
    }
    out.extend(limit(credentials, at.plain)?);
    out.extend(token_examples::all(credentials, at.plain));
    if let Some(c) = credentials.first() {
        let trust = format!(" --cacert {}", quoted(&at.ca_file.display().to_string()));
        let curl = curl(at.tls, &trust, c, SchemeName::parse(c.scheme)?, "/echo/hello")?;
        out.push(Example { name: format!("{} over TLS: /echo/hello", c.name), curl });
    }
    Ok(out)
}

/// What a caller under a limit is told.
fn limit(credentials: &[CredentialView], base: &str) -> Result<Option<Example>, Failure> {
    let limited = |c: &&CredentialView| {
        c.dialect == "voucherify" && c.scheme == SchemeName::ApiKey.name() && c.workspace == PRODUCTION
    };
    let Some(c) = credentials.iter().find(limited) else { return Ok(None) };
    let curl = curl(base, " -o /dev/null -D -", c, SchemeName::ApiKey, "/v1/vouchers/FESTIVE-2026")?;
    Ok(Some(Example {
        name: format!("{} ({}): what a caller is told of limits", c.name, c.dialect),
        curl: format!("{curl} | grep -i limit"),
    }))
}

/// The ways in which a credential may be used: its scheme, and by its id alone.
fn ways(c: &CredentialView) -> Result<Vec<SchemeName>, String> {
    let own = SchemeName::parse(c.scheme)?;
    Ok(if c.plain_key && own != SchemeName::ApiKey { vec![own, SchemeName::ApiKey] } else { vec![own] })
}

/// The credential scope with which a credential of the demo signs.
pub(super) fn scope(c: &CredentialView) -> Option<String> {
    Some(Dialect::parse(c.dialect).ok()?.signing?.default_scope(Some(REGION)))
}

/// A signature is good for one request, so it is made when the command runs: by curl itself where it can, else by this
/// program.
fn signing_curl(url: &str, options: &str, c: &CredentialView, secret: &str) -> Result<String, Failure> {
    let (url, scope) = (quoted(url), scope(c).ok_or(SignError::NotInDialect)?);
    if Dialect::parse(c.dialect)?.signing == Some(SigningForm::Aws4)
        && let Some((region, service)) = scope.strip_suffix("/aws4_request").and_then(|s| s.split_once('/'))
    {
        let user = quoted(&format!("{}:{secret}", c.id));
        return Ok(format!("curl -s{options} --aws-sigv4 aws:amz:{region}:{service} --user {user} {url}"));
    }
    let program = std::env::current_exe()?;
    Ok(format!(
        "printf %s {} | {} sign --scheme {} --scope {} --id {} --secret-file - GET {url} | curl -s{options} -H @- {url}",
        quoted(secret),
        quoted(&program.display().to_string()),
        c.dialect,
        quoted(&scope),
        quoted(&c.id),
    ))
}

fn curl(
    base: &str,
    options: &str,
    c: &CredentialView,
    scheme: SchemeName,
    path: &str,
) -> Result<String, Failure> {
    let dialect = Dialect::parse(c.dialect)?;
    let secret = c.secret.as_ref().map(|s| s.0.clone()).unwrap_or_default();
    let key = KeySecret { id: c.id.clone(), secret };
    let mut out = Outgoing { target: path.to_owned(), headers: Vec::new() };
    match scheme {
        SchemeName::ApiKey => ApiKey::sign(dialect, &key, &mut out)?,
        SchemeName::Publishable => Publishable::sign(dialect, &key, &mut out)?,
        SchemeName::Escher => return signing_curl(&format!("{base}{path}"), options, c, &key.secret),
        SchemeName::Avanan | SchemeName::Bearer => return Err(SignError::NotInDialect.into()),
    }
    if let Some(origin) = c.origins.first() {
        out.headers.push(("origin".to_owned(), origin.clone()));
    }
    let mut command = format!("curl -s{options} {}", quoted(&format!("{base}{}", out.target)));
    for (name, value) in &out.headers {
        command.push_str(&format!(" -H {}", quoted(&format!("{}: {value}", capitals(name)))));
    }
    Ok(command)
}
