//! `doorward explain`: why a signature is refused. Nothing is claimed, and nothing is written.
mod checks;
mod curl;

use super::signing;
use super::{ACTOR, print};
use crate::cli::{Explain, Place, Rules};
use crate::place::{Opened, open};
use crate::{Failure, clock, config, demo};
use doorward_control::actions::policy;
use doorward_core::credential::SchemeName;
use doorward_core::decide;
use doorward_core::explain::{Body, Explanation, Part, Question, Theirs, explain};
use doorward_core::policy::{Policy, Signing, compile};
use doorward_core::request::{PlainHttp, RequestView, Transport};
use doorward_core::schemes::escher::{self, Config, DEFAULT_SKEW_MS, SigningSecret};
use doorward_gateway::wire::{self, Head};
use serde::Serialize;
use std::path::Path;

/// A request, as it was pasted.
struct Asked {
    head: Vec<u8>,
    /// `None`: it is somewhere else.
    body: Option<Vec<u8>>,
}

/// How the request should have been signed, and with what.
struct Known {
    /// One for each way that is accepted there.
    ways: Vec<(Config, i64)>,
    secret: Secret,
}

enum Secret {
    Given(Option<SigningSecret>),
    /// The one of the credential that the request names.
    Stored(Box<Opened>),
}

/// Explains a request.
///
/// # Errors
/// What can't be read, or the store's.
pub(super) async fn run(options: &Explain) -> Result<(), Failure> {
    let asked = read(options)?;
    let mut head = Head::default();
    wire::request(&asked.head, &wire::Limits::default(), &mut head)
        .map_err(|reject| format!("the request can't be read: {}", reject.sentence()))?;
    let req = view(&asked.head, &head, options.at.unwrap_or_else(clock::now));
    if options.checks {
        return checks::run(options, &RequestView { client: options.client, ..req }).await;
    }
    let body = asked.body.unwrap_or_default();
    let known = known(options, &req).await?;
    // The first way that recognises its own; where none does, the first one says so.
    let mine = known.ways.iter().position(|(config, _)| !matches!(escher::parse(config, &req), Ok(None)));
    let (config, skew_ms) = &known.ways[mine.unwrap_or(0)];
    let (secret, id) = match known.secret {
        Secret::Given(secret) => (secret, None),
        Secret::Stored(opened) => match escher::parse(config, &req) {
            Ok(Some(presented)) => {
                let id = presented.id().to_owned();
                let stored = opened.store.credential(&id).await?.map(|s| s.credential);
                let signs = stored.filter(|c| c.may_use(SchemeName::Escher)).and_then(|c| c.signing);
                (signs, Some(id))
            }
            _ => (None, None),
        },
    };
    let theirs = theirs(options)?;
    let said = explain(&Question {
        config,
        req: &req,
        body: Body::Bytes(&body),
        now: req.now,
        skew_ms: *skew_ms,
        secret: secret.as_ref(),
        theirs: theirs.as_ref().map(|(canonical, text)| {
            if *canonical { Theirs::CanonicalRequest(text) } else { Theirs::StringToSign(text) }
        }),
    });
    let unknown = id.filter(|_| secret.is_none());
    if options.output.json {
        return Ok(print::json(&Told::new(&said, unknown.as_deref()))?);
    }
    if let Some(id) = unknown {
        print::line(format_args!(
            "No credential here has the id {id} and signs. Callers are not told that.\n"
        ))?;
    }
    Ok(print::line(said.to_string().trim_end())?)
}

/// The request, with the body wherever it is.
fn read(options: &Explain) -> Result<Asked, Failure> {
    let text = signing::read(options.file.as_deref().unwrap_or(Path::new("-")))?;
    let mut asked = if curl::is_curl(&text) {
        let line = String::from_utf8(text).map_err(|_| "the curl line is not text")?;
        curl::read(&line).map_err(|why| format!("the curl line can't be read: {why}"))?
    } else {
        raw(&text)?
    };
    if let Some(file) = &options.body_file {
        asked.body = Some(signing::read(file)?);
    }
    Ok(asked)
}

/// A raw request. Line ends that were lost on the way through an editor are put back in its head.
fn raw(text: &[u8]) -> Result<Asked, Failure> {
    let (mut head, mut at) = (Vec::with_capacity(text.len()), 0);
    loop {
        let rest = &text[at..];
        let end = rest.iter().position(|b| *b == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        at += end.map_or(rest.len(), |end| end + 1);
        if line.is_empty() && head.is_empty() && end.is_some() {
            continue;
        }
        head.extend_from_slice(line);
        head.extend_from_slice(b"\r\n");
        if line.is_empty() || end.is_none() {
            if !line.is_empty() {
                head.extend_from_slice(b"\r\n");
            }
            break;
        }
    }
    let length = head_length(&head);
    let body = &text[at..];
    let body = match length {
        // Editors end a file with a line end that was never sent.
        Some(n) if body.len() > n => &body[..n],
        Some(n) if body.len() < n => {
            let has = body.len();
            return Err(format!(
                "the body has {has} bytes, and Content-Length says {n}; give it with --body-file"
            )
            .into());
        }
        Some(_) | None => body,
    };
    // Without a length there is no body, whatever follows.
    Ok(Asked { head, body: Some(if length.is_some() { body.to_vec() } else { Vec::new() }) })
}

fn head_length(head: &[u8]) -> Option<usize> {
    let mut parsed = Head::default();
    wire::request(head, &wire::Limits::default(), &mut parsed).ok()?;
    match parsed.framing {
        wire::Framing::Length(n) => usize::try_from(n).ok(),
        _ => None,
    }
}

fn view<'a>(raw: &'a [u8], head: &'a Head, now: doorward_core::time::UnixMillis) -> RequestView<'a> {
    RequestView {
        raw,
        method: head.method.on(raw),
        path: head.path.on(raw),
        query: head.query.map(|q| q.on(raw)),
        host: head.host.on(raw),
        fields: &head.fields,
        client: None,
        transport: Transport::Plain(PlainHttp::Serve),
        now,
    }
}

/// How requests are signed there: as the command line says, or as the API of the request does.
async fn known(options: &Explain, req: &RequestView<'_>) -> Result<Known, Failure> {
    let place = match options.rules() {
        Rules::Told(names) => {
            let secret = options.secret_file.as_deref().map(signing::secret).transpose()?;
            let ways = vec![(signing::config(&names), DEFAULT_SKEW_MS)];
            return Ok(Known { ways, secret: Secret::Given(secret) });
        }
        Rules::Stored(place) => place,
    };
    let (opened, policy) = policy_in(&place).await?;
    let Some(api) = decide::api_of(req, &policy) else {
        return Err("no API answers at this host and path: callers get route_unknown".into());
    };
    let way = |s: &std::sync::Arc<Signing>| (s.config.clone(), i64::from(s.skew_ms));
    let ways: Vec<_> = api.signing.iter().map(way).collect();
    if ways.is_empty() {
        return Err(
            format!("the API `{}` accepts no signatures: callers get scheme_not_accepted", api.id).into()
        );
    }
    Ok(Known { ways, secret: Secret::Stored(Box::new(opened)) })
}

/// The policy of a store, for a node of its region.
async fn policy_in(place: &Place) -> Result<(Opened, Policy), Failure> {
    let region = match &place.config {
        Some(file) => config::load_as(file, Some(crate::role::Role::Control))?.region,
        None => Some(demo::REGION.to_owned()),
    };
    let opened = open(place).await?;
    let draft = policy::export(opened.desk(ACTOR)).await?;
    let policy = compile(&draft, region.as_deref()).map_err(|mistakes| {
        let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        format!("the policy in the store has mistakes: {}", all.join("; "))
    })?;
    Ok((opened, policy))
}

/// What the client computed, and whether it is its canonical request.
fn theirs(options: &Explain) -> Result<Option<(bool, Vec<u8>)>, Failure> {
    let file = |file: &Option<std::path::PathBuf>| file.as_deref().map(signing::read).transpose();
    Ok(match (file(&options.canonical_request)?, file(&options.string_to_sign)?) {
        (Some(text), _) => Some((true, text)),
        (None, text) => text.map(|text| (false, text)),
    })
}

/// An explanation as JSON.
#[derive(Serialize)]
struct Told<'a> {
    step: &'static str,
    code: Option<&'static str>,
    note: Option<&'a str>,
    cause: Option<&'static str>,
    cause_text: Option<String>,
    unknown_id: Option<&'a str>,
    difference: Option<Difference<'a>>,
    canonical_request: Option<String>,
    string_to_sign: Option<String>,
}

#[derive(Serialize)]
struct Difference<'a> {
    part: &'static str,
    line: usize,
    byte: usize,
    server: Option<&'a str>,
    client: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn new(e: &'a Explanation, unknown_id: Option<&'a str>) -> Told<'a> {
        Told {
            step: e.step.name(),
            code: e.refusal.as_ref().map(|r| r.reason.code()),
            note: e.refusal.as_ref().and_then(|r| r.note.as_deref()),
            cause: e.cause.as_ref().map(doorward_core::explain::Cause::name),
            cause_text: e.cause.as_ref().map(ToString::to_string),
            unknown_id,
            difference: e.difference.as_ref().map(|d| Difference {
                part: match d.part {
                    Part::CanonicalRequest => "canonical_request",
                    Part::StringToSign => "string_to_sign",
                },
                line: d.line,
                byte: d.byte,
                server: d.ours.as_deref(),
                client: d.theirs.as_deref(),
            }),
            canonical_request: e.canonical_request.as_ref().map(ToString::to_string),
            string_to_sign: e.string_to_sign.as_ref().map(ToString::to_string),
        }
    }
}
