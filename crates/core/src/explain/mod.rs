//! Why a signed request was refused, for who has to mend the client: which step failed, what this server builds, where the
//! client's own differs, and what that usually means.
//!
//! Nothing is claimed or remembered. Neither secret material nor a signature that would be right is ever shown. What is
//! found out with the secret is found out only for who signed with it.
use crate::canonical::{BodyDigest, CanonicalRequest, Digest, StringToSign};
use crate::request::RequestView;
use crate::schemes::escher::{self, Config, Presented, Refusal, SigningKey, SigningSecret};
use crate::time::UnixMillis;
use std::fmt;

mod cause;
mod diff;
mod guess;

pub use cause::Cause;

/// The body of the request in question.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// Its digest, made with the hash that the signature uses.
    Digest(&'a BodyDigest),
}

/// Of longer canonical requests no mistakes are guessed, in bytes: each guess is a copy of it, and anybody may ask.
const MOST_GUESSED_BYTES: usize = 8 * 1024;

/// What the client computed.
#[derive(Clone, Copy)]
pub enum Theirs<'a> {
    /// Its canonical request.
    CanonicalRequest(&'a [u8]),
    /// Its string to sign.
    StringToSign(&'a [u8]),
}

/// Shows nothing of it: what is pasted may hold anything.
impl fmt::Debug for Theirs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Theirs(..)")
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// How requests are signed here.
    pub config: &'a Config,
    /// The request.
    pub req: &'a RequestView<'a>,
    /// Its body.
    pub body: Body<'a>,
    /// When it arrived.
    pub now: UnixMillis,
    /// How far its date may be from that, in milliseconds.
    pub skew_ms: i64,
    /// The secret, where the id is known. An unknown id is explained like a wrong secret.
    pub secret: Option<&'a SigningSecret>,
    /// What the client computed.
    pub theirs: Option<Theirs<'a>>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It bears no signature of this kind.
    NotSigned,
    /// The signature can't be read, or contradicts the request.
    Reading,
    /// Its date.
    Time,
    /// Its body is not the one that it announces.
    Body,
    /// The signature is not that of the request.
    Signature,
    /// It is right.
    Passed,
}

impl Step {
    /// As commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::NotSigned => "not_signed",
            Step::Reading => "reading",
            Step::Time => "time",
            Step::Body => "body",
            Step::Signature => "signature",
            Step::Passed => "passed",
        }
    }
}

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The canonical request.
    CanonicalRequest,
    /// The string to sign.
    StringToSign,
}

/// The first difference between what the client computed and what this server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which text.
    pub part: Part,
    /// The line, from 1 on.
    pub line: usize,
    /// The byte in that line, from 1 on.
    pub byte: usize,
    /// The line as this server has it, as far as it may be shown; `None` where it has none.
    pub ours: Option<String>,
    /// The client's line; `None` where it has none.
    pub theirs: Option<String>,
}

/// An explanation.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The step that failed.
    pub step: Step,
    /// Why it did; `None` where nothing is wrong or nothing is signed.
    pub refusal: Option<Refusal>,
    /// The likely cause.
    pub cause: Option<Cause>,
    /// The first difference, where the client told what it computed.
    pub difference: Option<Difference>,
    /// As this server builds it; `None` where the signature can't be read.
    pub canonical_request: Option<CanonicalRequest>,
    /// As this server builds it.
    pub string_to_sign: Option<StringToSign>,
}

/// Explains.
#[must_use]
pub fn explain(q: &Question<'_>) -> Explanation {
    let mut said = Explanation {
        step: Step::NotSigned,
        refusal: None,
        cause: None,
        difference: None,
        canonical_request: None,
        string_to_sign: None,
    };
    let presented = match escher::parse(q.config, q.req) {
        Ok(Some(presented)) => presented,
        Ok(None) => return said,
        Err(refusal) => {
            said.cause = of_refusal(&refusal, None);
            return refused(said, Step::Reading, refusal);
        }
    };
    let digest = match q.body {
        Body::Bytes(bytes) => BodyDigest::of(presented.hash(), bytes),
        Body::Digest(digest) => digest.clone(),
    };
    let built = build(q, &presented, &digest);
    said.canonical_request = Some(built.canonical.clone());
    said.string_to_sign = Some(built.string.clone());
    let checks: [(Step, Result<(), Refusal>); 3] = [
        (Step::Reading, escher::settle(&presented, q.req)),
        (Step::Time, escher::check_time(&presented, q.now, q.skew_ms)),
        (Step::Body, escher::body_fits(&presented, &digest)),
    ];
    for (step, result) in checks {
        if let Err(refusal) = result {
            said.cause = of_refusal(&refusal, Some(&presented));
            compare(q, &presented, &built, &mut said);
            return refused(said, step, refusal);
        }
    }
    match escher::verify(&presented, q.req, &digest, q.secret) {
        Ok(proof) => {
            said.step = Step::Passed;
            said.canonical_request = Some(proof.canonical_request().clone());
            said.string_to_sign = Some(proof.string_to_sign().clone());
            said
        }
        Err(refusal) => {
            compare(q, &presented, &built, &mut said);
            said.cause = proved(q, &presented, &built).or(said.cause);
            // Whoever asks does not learn whether the id is known.
            let refusal = Refusal { detail: "signature", ..refusal };
            refused(said, Step::Signature, refusal)
        }
    }
}

fn refused(said: Explanation, step: Step, refusal: Refusal) -> Explanation {
    Explanation { step, refusal: Some(refusal), ..said }
}

/// What a refusal that came before the signature usually comes from.
fn of_refusal(refusal: &Refusal, presented: Option<&Presented<'_>>) -> Option<Cause> {
    // Only names that were parsed as such stand alone in these sentences.
    let named = || {
        let note = refusal.note.as_deref().unwrap_or_default();
        note.split(' ').skip_while(|word| *word != "field").nth(1).unwrap_or_default().to_owned()
    };
    match refusal.detail {
        "algorithm" => Some(Cause::Algorithm),
        "date-unreadable" => Some(Cause::DateForm),
        "day-differs" => Some(Cause::Date),
        "scope-parts" | "scope-foreign" => Some(Cause::Scope),
        "field-not-signed" | "signed-field-absent" | "date-missing" | "host-missing" => {
            Some(Cause::FieldMissing(named()))
        }
        "signed-headers" => Some(Cause::FieldList),
        "date-ahead" | "date-behind" | "expired" => Some(Cause::Clock),
        "other-body" | "unsigned-body" => Some(Cause::Body),
        _ => presented.and(None),
    }
}

/// What this server builds.
struct Built {
    canonical: CanonicalRequest,
    string: StringToSign,
}

/// In the reading that comes closest to what the client says it computed.
fn build(q: &Question<'_>, p: &Presented<'_>, digest: &BodyDigest) -> Built {
    let all: Vec<Built> = p
        .readings(q.req)
        .into_iter()
        .map(|reading| {
            let canonical = p.canonical(q.req, digest, reading);
            let string = p.string_to_sign(&canonical);
            Built { canonical, string }
        })
        .collect();
    let same = |built: &Built| match q.theirs {
        Some(Theirs::CanonicalRequest(theirs)) => built.canonical.as_hashed() == theirs,
        Some(Theirs::StringToSign(theirs)) => built.string.as_bytes() == theirs,
        None => false,
    };
    let at = all.iter().position(same).unwrap_or(0);
    all.into_iter().nth(at).expect("there is always one reading")
}

/// Holds what the client computed against what this server does.
fn compare(q: &Question<'_>, p: &Presented<'_>, built: &Built, said: &mut Explanation) {
    let (ours, cause) = match q.theirs {
        None => return,
        Some(Theirs::CanonicalRequest(theirs)) => {
            let ours = built.canonical.as_hashed();
            said.difference = diff::first(Part::CanonicalRequest, ours, &built.canonical.to_string(), theirs);
            (ours == theirs, diff::of_canonical_request(p, ours, theirs))
        }
        Some(Theirs::StringToSign(theirs)) => {
            let ours = built.string.as_bytes();
            said.difference = diff::first(Part::StringToSign, ours, &built.string.to_string(), theirs);
            let cause = diff::of_string_to_sign(p, ours, theirs).or_else(|| {
                let fits = |digest: &Digest| built.string.with_digest(digest).as_bytes() == theirs;
                mistakes(q, p, built)
                    .into_iter()
                    .find(|(_, text)| fits(&p.hash().of(text)))
                    .map(|(cause, _)| cause)
            });
            (ours == theirs, cause)
        }
    };
    said.cause = said.cause.take().or(if ours { Some(Cause::Secret) } else { cause });
}

fn mistakes(q: &Question<'_>, p: &Presented<'_>, built: &Built) -> Vec<(Cause, Vec<u8>)> {
    if built.canonical.as_hashed().len() > MOST_GUESSED_BYTES {
        return Vec::new();
    }
    let body = if let Body::Bytes(bytes) = q.body { Some(bytes) } else { None };
    guess::canonical_requests(p, q.req, body, &built.canonical)
}

/// The mistake with which the signature fits. Takes the same steps where the id is unknown, and then none fits.
fn proved(q: &Question<'_>, p: &Presented<'_>, built: &Built) -> Option<Cause> {
    let key = p.key(q.secret);
    let fits = |what: &[u8]| key.signed_bytes(what, p.signature());
    let mut found = None;
    for (cause, text) in mistakes(q, p, built) {
        if fits(built.string.with_digest(&p.hash().of(&text)).as_bytes()) {
            found = found.or(Some(cause));
        }
    }
    for (cause, text) in guess::strings_to_sign(p, built.string.as_bytes(), &built.canonical) {
        if fits(&text) {
            found = found.or(Some(cause));
        }
    }
    for (cause, key) in [
        (Cause::KeyPrefix, SigningKey::derive(p.hash(), "", q.secret, p.day(), p.scope())),
        (Cause::KeyPrefix, SigningKey::derive(p.hash(), "AWS4", q.secret, p.day(), p.scope())),
        (Cause::KeyChain, SigningKey::plain(p.hash(), q.secret)),
    ] {
        if key.signed(&built.string, p.signature()) {
            found = found.or(Some(cause));
        }
    }
    found.filter(|_| q.secret.is_some())
}

/// For people.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::NotSigned => "The request bears no signature of this kind.",
            Step::Reading => "The signature can't be read, or contradicts the request.",
            Step::Time => "The date is not accepted.",
            Step::Body => "The body is not the one that the request announces.",
            Step::Signature => "The signature is not that of this request.",
            Step::Passed => {
                "The signature is right. If the request was refused as signature_replayed, this one was accepted before, \
                 or another one that is equal in all that is signed: within one second, equal requests are one."
            }
        };
        writeln!(f, "{step}")?;
        if let Some(note) = self.refusal.as_ref().and_then(|r| r.note.as_ref()) {
            writeln!(f, "{note}")?;
        }
        match (&self.cause, self.step) {
            (Some(cause), _) => writeln!(f, "Likely cause: {cause}")?,
            (None, Step::Signature) => writeln!(
                f,
                "No usual mistake fits: the secret is another one, or what was signed changed on the way. The client's own canonical request would tell."
            )?,
            _ => {}
        }
        if let Some(d) = &self.difference {
            let part = match d.part {
                Part::CanonicalRequest => "canonical request",
                Part::StringToSign => "string to sign",
            };
            let text = |line: &Option<String>| line.clone().unwrap_or_else(|| "(no such line)".to_owned());
            writeln!(f, "The {part} first differs in line {}, byte {}:", d.line, d.byte)?;
            writeln!(f, "  server: {}\n  client: {}", text(&d.ours), text(&d.theirs))?;
        }
        if let Some(canonical) = &self.canonical_request {
            writeln!(f, "\nCanonical request, as the server builds it:\n{canonical}")?;
        }
        if let Some(string) = &self.string_to_sign {
            writeln!(f, "\nString to sign, as the server builds it:\n{string}")?;
        }
        Ok(())
    }
}
