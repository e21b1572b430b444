//! Requests read by the letter of RFC 9112, with nothing in common with what is tested: what reached an upstream has one
//! meaning, or it is a complaint.

/// Names and values, in order, an octet a character.
pub(crate) type Fields = Vec<(String, String)>;

/// How long a body is, as its request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framed {
    #[default]
    Nothing,
    Length(usize),
    Chunked,
}

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    pub(crate) fields: Fields,
    pub(crate) framed: Framed,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
}

impl Request {
    /// Every value of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether a text stands anywhere in its head.
    pub(crate) fn head_holds(&self, text: &str) -> bool {
        self.target.contains(text) || self.fields.iter().any(|(n, v)| n.contains(text) || v.contains(text))
    }
}

/// Whether these are the letters of a token (RFC 9110 5.6.2).
fn token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// Up to the next CRLF, and what stands behind it; `None` where there is none yet.
fn line(bytes: &[u8]) -> Result<Option<(String, &[u8])>, String> {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return Ok(None) };
    let text: String = bytes[..end].iter().map(|b| char::from(*b)).collect();
    match text.strip_suffix('\r') {
        Some(text) if !text.chars().any(|c| c != '\t' && c.is_ascii_control()) => {
            Ok(Some((text.to_owned(), &bytes[end + 1..])))
        }
        _ => Err(format!("a line with stray octets: {text:?}")),
    }
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("no colon: {text:?}"))?;
    if !token(name) {
        return Err(format!("a name that is no token: {text:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Field lines up to an empty one.
fn section(mut bytes: &[u8]) -> Result<Option<(Fields, &[u8])>, String> {
    let mut fields = Vec::new();
    loop {
        let Some((text, rest)) = line(bytes)? else { return Ok(None) };
        bytes = rest;
        if text.is_empty() {
            return Ok(Some((fields, bytes)));
        }
        fields.push(field(&text)?);
    }
}

fn framing(request: &Request) -> Result<Framed, String> {
    match (request.all("content-length").as_slice(), request.all("transfer-encoding").as_slice()) {
        ([], []) => Ok(Framed::Nothing),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && request.version == "HTTP/1.1" => {
            Ok(Framed::Chunked)
        }
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Framed::Length(length.parse().map_err(|_| format!("Content-Length {length}"))?))
        }
        (lengths, codings) => {
            Err(format!("framing: Content-Length {lengths:?}, Transfer-Encoding {codings:?}"))
        }
    }
}

/// A chunked body. Extensions are for those who send; nobody passes them on.
fn chunked<'a>(
    request: &mut Request,
    mut bytes: &'a [u8],
    extensions: bool,
) -> Result<Option<&'a [u8]>, String> {
    loop {
        let Some((text, rest)) = line(bytes)? else { return Ok(None) };
        let digits = if extensions { text.split(';').next().unwrap_or_default() } else { &text };
        let size = usize::from_str_radix(digits, 16).ok();
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size =
            size.filter(|size| plain && *size < 1 << 40).ok_or_else(|| format!("a chunk size: {text:?}"))?;
        if size == 0 {
            let Some((trailers, rest)) = section(rest)? else { return Ok(None) };
            request.trailers = trailers;
            return Ok(Some(rest));
        }
        if rest.len() < size + 2 {
            return Ok(None);
        }
        if &rest[size..size + 2] != b"\r\n" {
            return Err("no line end behind a chunk".to_owned());
        }
        request.body.extend_from_slice(&rest[..size]);
        bytes = &rest[size + 2..];
    }
}

/// One request from the start of `bytes`, and what stands behind it; `None` where it is not whole.
fn one(bytes: &[u8], extensions: bool) -> Result<Option<(Request, &[u8])>, String> {
    let Some((start, rest)) = line(bytes)? else { return Ok(None) };
    let words: Vec<&str> = start.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(format!("a request line: {start:?}")) };
    let visible = !target.is_empty() && target.bytes().all(|b| b.is_ascii_graphic());
    if !token(method) || !visible || !["HTTP/1.0", "HTTP/1.1"].contains(&version) {
        return Err(format!("a request line: {start:?}"));
    }
    let Some((fields, rest)) = section(rest)? else { return Ok(None) };
    let (method, target, version) = (method.to_owned(), target.to_owned(), version.to_owned());
    let mut request = Request { method, target, version, fields, ..Request::default() };
    request.framed = framing(&request)?;
    let rest = match request.framed {
        Framed::Nothing => rest,
        Framed::Length(length) if rest.len() < length => return Ok(None),
        Framed::Length(length) => {
            request.body = rest[..length].to_vec();
            &rest[length..]
        }
        Framed::Chunked => match chunked(&mut request, rest, extensions)? {
            Some(rest) => rest,
            None => return Ok(None),
        },
    };
    Ok(Some((request, rest)))
}

/// The requests in what somebody sent, who may spell what the standard lets be spelt in several ways.
///
/// # Errors
/// Those before what is no request, and what is wrong with it.
pub(crate) fn sent(bytes: &[u8]) -> Result<Vec<Request>, (Vec<Request>, String)> {
    match requests(bytes, true) {
        (all, None, rest) if rest == bytes.len() => Ok(all),
        (all, wrong, _) => Err((all, wrong.unwrap_or_else(|| "the last one is not whole".to_owned()))),
    }
}

/// The whole requests in what reached an upstream, and how many bytes they take.
///
/// # Errors
/// What is no request, or can be read in two ways.
pub(crate) fn reached(bytes: &[u8]) -> Result<(Vec<Request>, usize), String> {
    let (all, wrong, used) = requests(bytes, false);
    all.iter().try_for_each(one_meaning)?;
    wrong.map_or(Ok((all, used)), Err)
}

fn requests(bytes: &[u8], extensions: bool) -> (Vec<Request>, Option<String>, usize) {
    let (mut all, mut rest) = (Vec::new(), bytes);
    let wrong = loop {
        match one(rest, extensions) {
            Ok(Some((request, behind))) => {
                all.push(request);
                rest = behind;
            }
            Ok(None) => break None,
            Err(why) => break Some(why),
        }
    };
    (all, wrong, bytes.len() - rest.len())
}

/// A name as the servers read it that take every `_`, `.` and the like for `-`.
pub(crate) fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// What no request may say to an upstream in any spelling: it belongs to one connection, or makes another request of it.
pub(crate) const NEVER: &[&str] = &[
    "te",
    "keep-alive",
    "upgrade",
    "http2-settings",
    "expect",
    "proxy",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// What this node alone says about the caller's address, and what others would take for the same.
pub(crate) const ADDRESSES: &[&str] = &[
    "forwarded",
    "client-ip",
    "true-client-ip",
    "front-end-https",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "x-host",
    "x-scheme",
    "x-real-ip",
    "x-client-ip",
    "x-url-scheme",
    "x-rewrite-url",
    "x-remote-addr",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-originating-ip",
    "x-cluster-client-ip",
    "x-http-host-override",
    "x-envoy-external-address",
    "x-forwardedfor",
];

/// What is said there once, in its own spelling, or not at all.
pub(crate) const ONCE: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "doorward-request-id",
    "doorward-workspace",
    "doorward-credential",
    "doorward-kind",
    "doorward-scheme",
    "doorward-scopes",
    "doorward-subject",
];

/// Whether a request that reached an upstream can be read in one way only.
fn one_meaning(request: &Request) -> Result<(), String> {
    let wrong = |why: String| Err(format!("{why}: {request:?}"));
    if request.version != "HTTP/1.1" || !(request.target.starts_with('/') || request.target == "*") {
        return wrong("not an origin form of HTTP/1.1".to_owned());
    }
    if request.target.contains(['#', '\\']) && !request.target.contains('?') {
        return wrong("a target that servers cut or turn".to_owned());
    }
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in &request.fields {
        let folded = folded(name);
        if let Some(known) = ONCE.iter().find(|known| **known == folded) {
            if !name.eq_ignore_ascii_case(known) || seen.contains(known) {
                return wrong(format!("{name} is there again, or disguised"));
            }
            seen.push(known);
        } else if NEVER.contains(&folded.as_str())
            || ADDRESSES.contains(&folded.as_str())
            || ["doorward", "x-forwarded"].iter().any(|start| {
                folded == *start || folded.strip_prefix(start).is_some_and(|rest| rest.starts_with('-'))
            })
        {
            return wrong(format!("{name} arrived"));
        }
        if folded == "connection" && value != "close" {
            return wrong(format!("Connection: {value}"));
        }
    }
    if !seen.contains(&"host") || !seen.contains(&"doorward-request-id") {
        return wrong("no host or no request id".to_owned());
    }
    let control = |name: &String| {
        let folded = folded(name);
        ONCE.contains(&folded.as_str())
            || NEVER.contains(&folded.as_str())
            || ADDRESSES.contains(&folded.as_str())
            || ["doorward", "x-forwarded", "x-app-", "x-av-"].iter().any(|start| folded.starts_with(start))
            || ["authorization", "cookie", "x-api-key", "content-type"].contains(&folded.as_str())
    };
    match request.trailers.iter().find(|(name, _)| control(name)) {
        Some((name, _)) => wrong(format!("the trailer {name}")),
        None => Ok(()),
    }
}
