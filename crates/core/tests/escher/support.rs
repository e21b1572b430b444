//! Requests for tests: written down, read strictly, judged.
use doorward_core::canonical::BodyDigest;
use doorward_core::path;
use doorward_core::request::{Field, FieldKind, RequestView, Span, Transport};
use doorward_core::schemes::escher::{
    self, Config, DEFAULT_SKEW_MS, Proof, Refusal, Signed, SigningSecret, ToSign,
};
use doorward_core::time::UnixMillis;
use std::io::Write;
use std::path::PathBuf;

/// A request as it stands on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Http {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) host: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn new(method: &str, target: &str, host: &str) -> Http {
        Http {
            method: method.as_bytes().to_vec(),
            target: target.as_bytes().to_vec(),
            host: host.as_bytes().to_vec(),
            ..Http::default()
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Http {
        self.headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Http {
        self.body = body.as_bytes().to_vec();
        self
    }

    /// The request that somebody signed.
    pub(crate) fn signed(req: &ToSign, body: &[u8], signed: &Signed) -> Http {
        let mut http = Http::new(&req.method, &signed.target, &req.host);
        http.body = body.to_vec();
        for (name, value) in req.headers.iter().chain(&signed.headers) {
            http = http.header(name, value);
        }
        http
    }

    pub(crate) fn view<R>(&self, look: impl FnOnce(&RequestView<'_>) -> R) -> R {
        let raw: Vec<u8> = self.headers.iter().flat_map(|(n, v)| [n, v]).flatten().copied().collect();
        let mut at = 0;
        let mut span = |part: &[u8]| {
            at += part.len();
            Span::of(&raw, &raw[at - part.len()..at])
        };
        let fields: Vec<Field> = self
            .headers
            .iter()
            .map(|(n, v)| Field { name: span(n), value: span(v), kind: FieldKind::Other })
            .collect();
        let cut = self.target.iter().position(|b| *b == b'?');
        let (path, query) = match cut {
            Some(at) => (&self.target[..at], Some(&self.target[at + 1..])),
            None => (&self.target[..], None),
        };
        look(&RequestView {
            raw: &raw,
            method: &self.method,
            path,
            query,
            host: &self.host,
            fields: &fields,
            client: None,
            transport: Transport::Secure,
            now: UnixMillis(0),
        })
    }

    /// The whole way, as far as it goes without a ledger. `None`: nobody recognised anything.
    pub(crate) fn judge(
        &self,
        config: &Config,
        now: UnixMillis,
        known: &Known<'_>,
    ) -> Option<Result<Proof, Refusal>> {
        self.view(|req| {
            let presented = match escher::detect(config, req) {
                Ok(presented) => presented?,
                Err(refusal) => return Some(Err(refusal)),
            };
            if let Err(refusal) = escher::check_time(&presented, now, DEFAULT_SKEW_MS) {
                return Some(Err(refusal));
            }
            let body = BodyDigest::of(presented.hash(), &self.body);
            let secret = (presented.id() == known.id).then(|| SigningSecret::new(known.secret.as_bytes()));
            Some(escher::verify(&presented, req, &body, secret.as_ref()))
        })
    }

    /// The code of its refusal; `ok`, or `none` where nothing was recognised.
    pub(crate) fn code(&self, config: &Config, now: UnixMillis, known: &Known<'_>) -> &'static str {
        match self.judge(config, now, known) {
            None => "none",
            Some(Ok(_)) => "ok",
            Some(Err(refusal)) => refusal.reason.code(),
        }
    }

    /// The message as bytes: what [`read`] reads.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out =
            [&self.method[..], b" ", &self.target, b" HTTP/1.1\r\nHost: ", &self.host, b"\r\n"].concat();
        for (name, value) in &self.headers {
            out.extend([&name[..], b": ", value, b"\r\n"].concat());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

/// Reads a message as strictly as the gateway does: what is odd is no request.
pub(crate) fn read(message: &[u8]) -> Option<Http> {
    let end = message.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text = message[..end].iter().map(|b| char::from(*b)).collect::<String>();
    let lines: Vec<Vec<u8>> = text.split("\r\n").map(|l| l.chars().map(|c| c as u8).collect()).collect();
    if lines.iter().any(|l| l.iter().any(|b| matches!(b, b'\r' | b'\n'))) {
        return None;
    }
    let mut lines = lines.iter();
    let mut first = lines.next()?.split(|b| *b == b' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    let token = |t: &[u8]| {
        !t.is_empty() && t.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
    };
    let visible = target.iter().all(|b| matches!(b, 0x21..=0x7e | 0x80..) && *b != b'#');
    if first.next().is_some()
        || version != b"HTTP/1.1"
        || !token(method)
        || !target.starts_with(b"/")
        || !visible
    {
        return None;
    }
    let path = target.split(|b| *b == b'?').next()?;
    if path::oddities(path).against(path::PathRules::default()).is_some() {
        return None;
    }
    let mut http = Http { method: method.to_vec(), target: target.to_vec(), ..Http::default() };
    let mut hosts = Vec::new();
    for line in lines {
        let colon = line.iter().position(|b| *b == b':')?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !token(name) || value.iter().any(|b| matches!(b, 0..=8 | 10..=31 | 127)) {
            return None;
        }
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            hosts.push(value.to_vec());
        } else {
            http.headers.push((name.to_vec(), value.to_vec()));
        }
    }
    let [host] = &hosts[..] else { return None };
    http.host.clone_from(host);
    http.body = message[end + 4..].to_vec();
    Some(http)
}

/// The one credential there is.
pub(crate) struct Known<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
}

pub(crate) fn at(text: &str) -> UnixMillis {
    UnixMillis::parse(text).or_else(|| UnixMillis::parse_http_date(text)).unwrap()
}

/// The folder of public vectors; says so where there is none.
pub(crate) fn public_vectors(of: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DOORWARD_PUBLIC_VECTORS");
    if folder.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: public vectors of {of}: DOORWARD_PUBLIC_VECTORS is not set"
        );
    }
    folder.map(|folder| PathBuf::from(folder).join(of))
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
