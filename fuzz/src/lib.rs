//! What the targets share: a request as it arrives, and what has to hold for every one.
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::explain::{Body, Question, Step, Theirs, explain};
use doorward_core::path::{PathRules, oddities};
use doorward_core::request::{Field, FieldKind, RequestView, Span, Transport};
use doorward_core::schemes::escher::{
    self, Config, DEFAULT_SKEW_MS, DateForm, Flavour, How, Proof, Refusal, Signed, Signer, SigningSecret,
    ToSign,
};
use doorward_core::time::UnixMillis;

/// Longer inputs find nothing that shorter ones don't.
pub const MOST_BYTES: usize = 4096;
/// 2026-11-21T18:32:11Z.
pub const NOW: UnixMillis = UnixMillis(1_795_285_931_000);
pub const ID: &str = "dwi_EXAMPLE";
pub const SECRET: &str = "dws_EXAMPLE-which-no-input-has-by-chance";

/// Every flavour, with signed addresses.
pub fn configs() -> Vec<Config> {
    let own = Config::new(
        Flavour::Escher,
        "DWD1",
        "Doorward",
        "X-Dwd-Auth",
        "X-Dwd-Date",
        "eu/own scope/dwd_request",
    );
    [
        Config::antavo("us/api/antavo_request"),
        Config::antavo("us/api/antavo_request").map(|c| c.with_escaped_plus_as_space(false)),
        Config::aws4("us-east-1/execute-api/aws4_request"),
        Config::aws4("eu-west-1/s3/aws4_request"),
        own,
    ]
    .into_iter()
    .map(|config| config.expect("names and scopes are good").with_presigned(3_600))
    .collect()
}

/// A request as it arrives.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: &'static str,
    pub target: Vec<u8>,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What is to be signed.
pub fn to_sign(target: &str) -> ToSign {
    ToSign {
        method: "GET".to_owned(),
        host: "api.example:8443".to_owned(),
        target: target.to_owned(),
        headers: vec![("x-trace".to_owned(), "some 1".to_owned())],
        body: BodyDigest::empty(Hash::Sha256),
    }
}

/// Signs it, in the header or in the query.
pub fn sign(
    config: &Config,
    target: &str,
    presigned: bool,
    now: UnixMillis,
    date_form: DateForm,
) -> Option<Signed> {
    let signer = Signer { id: ID.to_owned(), secret: SigningSecret::new(SECRET.as_bytes()) };
    let how = How { fields: vec!["x-trace".to_owned()], date_form, ..How::default() };
    let req = to_sign(target);
    let signed = match presigned {
        true => escher::presign(config, &signer, &req, &how, 900, now),
        false => escher::sign(config, &signer, &req, &how, now),
    };
    signed.ok()
}

impl Sent {
    pub fn signed(signed: &Signed) -> Sent {
        let own = [("x-trace".to_owned(), "some 1".to_owned())];
        let all = own.iter().chain(&signed.headers);
        Sent {
            method: "GET",
            target: signed.target.clone().into_bytes(),
            fields: all.map(|(n, v)| (n.clone().into_bytes(), v.clone().into_bytes())).collect(),
        }
    }

    pub fn path(&self) -> &[u8] {
        self.target.split(|b| *b == b'?').next().unwrap_or_default()
    }

    pub fn query(&self) -> Option<&[u8]> {
        self.target.iter().position(|b| *b == b'?').map(|at| &self.target[at + 1..])
    }

    pub fn view<R>(&self, look: impl FnOnce(&RequestView<'_>) -> R) -> R {
        let raw: Vec<u8> = self.fields.iter().flat_map(|(n, v)| [n, v]).flatten().copied().collect();
        let mut at = 0;
        let mut span = |part: &[u8]| {
            at += part.len();
            Span::of(&raw, &raw[at - part.len()..at])
        };
        let fields: Vec<Field> = self
            .fields
            .iter()
            .map(|(n, v)| Field { name: span(n), value: span(v), kind: FieldKind::Other })
            .collect();
        look(&RequestView {
            raw: &raw,
            method: self.method.as_bytes(),
            path: self.path(),
            query: self.query(),
            host: b"api.example:8443",
            fields: &fields,
            client: None,
            transport: Transport::Secure,
            now: NOW,
        })
    }

    /// Judges it as the server does, and holds an explanation against the judgement. `None`: nobody recognised anything.
    pub fn judge(&self, config: &Config, now: UnixMillis) -> Option<Result<Proof, Refusal>> {
        let secret = SigningSecret::new(SECRET.as_bytes());
        let mut known = None;
        let judged = self.view(|req| {
            let presented = match escher::detect(config, req) {
                Ok(presented) => presented?,
                Err(refusal) => return Some(Err(refusal)),
            };
            if let Err(refusal) = escher::check_time(&presented, now, DEFAULT_SKEW_MS) {
                return Some(Err(refusal));
            }
            let body = BodyDigest::empty(presented.hash());
            // Nobody is let in without a secret, and a wrong one is told the same as none.
            let unknown = escher::verify(&presented, req, &body, None).expect_err("nobody knows this id");
            let wrong = SigningSecret::new(b"another");
            let wrong = escher::verify(&presented, req, &body, Some(&wrong)).expect_err("another secret");
            assert_eq!((unknown.reason, unknown.note), (wrong.reason, wrong.note));
            known = (presented.id() == ID).then_some(&secret);
            Some(escher::verify(&presented, req, &body, known))
        });
        let said = self.view(|req| {
            explain(&Question {
                config,
                req,
                body: Body::Bytes(b""),
                now,
                skew_ms: DEFAULT_SKEW_MS,
                secret: known,
                theirs: Some(Theirs::CanonicalRequest(&self.target)),
            })
        });
        let passed = matches!(judged, Some(Ok(_)));
        assert_eq!(said.step == Step::Passed, passed, "{said}");
        assert_eq!(said.step == Step::NotSigned, judged.is_none());
        assert!(!said.to_string().contains(SECRET) || self.holds(SECRET.as_bytes()), "{said}");
        judged
    }

    fn holds(&self, text: &[u8]) -> bool {
        let within = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text);
        within(&self.target) || self.fields.iter().any(|(n, v)| within(n) || within(v))
    }
}

/// Whether a changed request is refused, or means the same to a service: the same path, to the byte, and the same
/// parameters.
pub fn accepted_means_the_same(config: &Config, right: &Sent, changed: &Sent) {
    // Such paths go nowhere, and what was signed for one is good for what is made of it.
    if oddities(right.path()).against(PathRules::default()).is_some()
        || oddities(changed.path()).against(PathRules::default()).is_some()
        || !changed.target.starts_with(b"/")
    {
        return;
    }
    if !matches!(changed.judge(config, NOW), Some(Ok(_))) {
        return;
    }
    let meaning = |sent: &Sent| parameters(sent.query().unwrap_or_default());
    let (right_means, changed_means) = (meaning(right), meaning(changed));
    assert_eq!(right.path().escape_ascii().to_string(), changed.path().escape_ascii().to_string());
    // Who takes a plus that was signed as a space, or the other way round, can't tell them apart.
    let strict = config.clone().with_escaped_plus_as_space(false) == *config && config.hashes().len() == 2;
    match strict {
        true => assert_eq!(right_means, changed_means),
        false => assert_eq!(blurred(right_means), blurred(changed_means)),
    }
}

/// Replaces a piece: two bytes tell where, one how much goes, the rest is what comes.
pub fn splice(text: &mut Vec<u8>, change: &[u8]) {
    let [high, low, less, more @ ..] = change else { return };
    let at = usize::from(u16::from_be_bytes([*high, *low])) % (text.len() + 1);
    let end = text.len().min(at + usize::from(*less) % 32);
    text.splice(at..end, more.iter().copied());
}

/// Name and value of every parameter as most services read them: decoded, a plus is a space.
pub fn parameters(query: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pieces = query.split(|b| *b == b'&').filter(|_| !query.is_empty());
    let mut all: Vec<_> = pieces
        .map(|piece| {
            let cut = piece.iter().position(|b| *b == b'=').unwrap_or(piece.len());
            (decoded(&piece[..cut]), decoded(piece.get(cut + 1..).unwrap_or_default()))
        })
        .collect();
    all.sort();
    all
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match (text[i], digit(text.get(i + 1)), digit(text.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 2;
            }
            (b'+', ..) => out.push(b' '),
            (other, ..) => out.push(other),
        }
        i += 1;
    }
    out
}

/// The same for who can't tell a plus from a space.
pub fn blurred(mut parameters: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let blur = |text: &mut Vec<u8>| text.iter_mut().filter(|b| **b == b'+').for_each(|b| *b = b' ');
    for (name, value) in &mut parameters {
        blur(name);
        blur(value);
    }
    parameters.sort();
    parameters
}
