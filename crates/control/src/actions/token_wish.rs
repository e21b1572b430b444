//! What somebody may want of a token: scopes and resources, as far as the endpoint of its dialect would give them.
use super::Error;
use super::tokens::refused;
use crate::oauth::{is_given, is_resource};
use doorward_core::credential::Credential;
use doorward_core::scope::Held;
use doorward_core::token::{AudienceRule, MAX_RESOURCES, TokenRecord};

/// What the token may do: what was asked for, if its credential may; all that it may, where nothing was.
pub(super) fn scope(
    c: &Credential,
    held: &Held,
    record: &TokenRecord,
    asked: Option<&[String]>,
) -> Result<String, Error> {
    let Some(asked) = asked else {
        // Nothing but what the dialect's own endpoint gives.
        let given: Vec<_> =
            held.names().filter(|name| !record.scope || is_given(record.dialect, name)).collect();
        if given.is_empty() && held.names().next().is_some() {
            return refused(format!(
                "no scope of `{}` is one of tokens of {}; name what the token may do, with --scope",
                c.label(),
                record.dialect
            ));
        }
        return Ok(given.join(" "));
    };
    if !record.scope {
        return refused(format!(
            "tokens of {} carry no scope; what they may do is what their credential may",
            record.dialect
        ));
    }
    let has = |name: &str| held.hands_on(name, |own, name| c.dialect.scopes.covers(own, name));
    let mut names: Vec<&str> = Vec::new();
    for name in asked.iter().flat_map(|some| some.split(' ')).filter(|name| !name.is_empty()) {
        if !has(name) {
            return refused(format!("`{}` has not the scope `{}`", c.label(), name.escape_default()));
        }
        if !is_given(record.dialect, name) {
            return refused(format!(
                "tokens of {} have no scope `{}`: their endpoint gives none like it",
                record.dialect,
                name.escape_default()
            ));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.join(" "))
}

/// RFC 8707: absolute, and without a fragment.
pub(super) fn resources(record: &TokenRecord, asked: &[String]) -> Result<(), Error> {
    if !asked.is_empty() && record.audience != AudienceRule::Resources {
        return refused(format!("tokens of {} are for no resource of one's choice", record.dialect));
    }
    if asked.len() > MAX_RESOURCES {
        return refused(format!("a token is for at most {MAX_RESOURCES} resources"));
    }
    match asked.iter().find(|text| !is_resource(text)) {
        Some(bad) => refused(format!(
            "`{}` is no resource; write an absolute URI without `#`, as in https://orders.example",
            bad.escape_default()
        )),
        None => Ok(()),
    }
}
