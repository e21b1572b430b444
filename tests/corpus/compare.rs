//! What was sent, held against what reached the upstream.
use crate::support::strict::{ADDRESSES, Fields, Framed, NEVER, ONCE, Request, folded};
use crate::support::{Actor, HOST};

/// The fields in which some dialect carries credentials, as the policy of the corpus has it.
pub(crate) const CREDENTIALS: &[&str] = &[
    "x-app-id",
    "x-app-token",
    "x-client-application-id",
    "x-client-token",
    "x-api-key",
    "authorization",
    "x-av-req-id",
    "x-av-app-id",
    "x-av-date",
    "x-av-sig",
    "x-av-token",
    "x-escher-auth",
    "x-amz-security-token",
];

/// Whether a field of a caller's stays behind, by its name alone.
fn stays_behind(name: &str) -> bool {
    let folded = folded(name);
    let family =
        |start: &str| folded == start || folded.strip_prefix(start).is_some_and(|rest| rest.starts_with('-'));
    let listed = [ONCE, NEVER, ADDRESSES, CREDENTIALS].iter().any(|list| list.contains(&folded.as_str()));
    listed || family("doorward") || family("x-forwarded")
}

/// Whether that is how an installation calls itself in `Via`, behind the version.
pub(crate) fn is_installation(name: &str) -> bool {
    name.strip_prefix(" doorward-")
        .is_some_and(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether `got` is what `sent` has to become on its way, for a caller or for nobody in particular.
///
/// # Errors
/// The first difference.
pub(crate) fn same(sent: &Request, got: &Request, target: &str, who: Option<&Actor>) -> Result<(), String> {
    let differs = |what: &str| Err(format!("{what} differs: sent {sent:?}, arrived {got:?}"));
    if (sent.method.as_str(), target) != (got.method.as_str(), got.target.as_str()) {
        return differs("method or target");
    }
    if sent.body != got.body {
        return differs("the body");
    }
    let framed_alike = match (sent.framed, got.framed) {
        (Framed::Nothing | Framed::Length(0), Framed::Nothing | Framed::Length(0)) => true,
        (sent, got) => sent == got,
    };
    if !framed_alike {
        return differs("the framing");
    }
    let named: Vec<String> = sent
        .all("connection")
        .iter()
        .flat_map(|value| value.split(','))
        .map(|option| option.trim_matches([' ', '\t']).to_ascii_lowercase())
        .collect();
    let travels = |name: &str| {
        !stays_behind(name)
            && (name.eq_ignore_ascii_case("via") || !named.contains(&name.to_ascii_lowercase()))
    };
    let mut wanted: Fields = sent.fields.iter().filter(|(name, _)| travels(name)).cloned().collect();
    let via = got.all("via").last().copied().unwrap_or_default();
    let version = sent.version.strip_prefix("HTTP/").unwrap_or_default();
    if !via.strip_prefix(version).is_some_and(is_installation) {
        return differs("via");
    }
    wanted.push(("via".to_owned(), via.to_owned()));
    let ours = |name: &str| ONCE.contains(&name.to_ascii_lowercase().as_str());
    let theirs: Fields = got.fields.iter().filter(|(name, _)| !ours(name)).cloned().collect();
    if theirs != wanted {
        return Err(format!("fields differ: {theirs:?} arrived, {wanted:?} should have; sent {sent:?}"));
    }
    if !got.trailers.iter().all(|trailer| sent.trailers.contains(trailer) && !stays_behind(&trailer.0)) {
        return differs("a trailer");
    }
    let host = *sent.all("host").first().unwrap_or(&HOST);
    let mut said = vec![
        ("host", Some(host)),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some(host)),
    ];
    let scopes = who.filter(|actor| actor.kind == "server").map(|_| "api");
    said.extend([
        ("doorward-workspace", who.map(|actor| actor.workspace.as_str())),
        ("doorward-credential", who.map(|actor| actor.id.as_str())),
        ("doorward-kind", who.map(|actor| actor.kind.as_str())),
        ("doorward-scheme", who.map(|_| "api_key")),
        ("doorward-scopes", scopes),
        ("doorward-subject", None),
    ]);
    for (name, value) in said {
        if got.all(name) != value.into_iter().collect::<Vec<_>>() {
            return Err(format!("{name} is not {value:?}: {got:?}"));
        }
    }
    Ok(())
}
