//! A third reader: the grammar of RFC 9112 and RFC 9110 written down as plainly as possible, with nothing in common
//! with httparse. It judges heads that `wire` accepted.

/// What the third reader makes of a head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// The parts of the first line.
    pub(crate) start: Vec<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) chunked: bool,
    pub(crate) length: Option<u64>,
    pub(crate) close: bool,
}

fn token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// One octet a character, so that text is as good as bytes.
fn text(raw: &[u8]) -> String {
    raw.iter().map(|b| char::from(*b)).collect()
}

/// Reads a head; the complaint is what is wrong with it.
fn head(raw: &[u8]) -> Result<Plain, String> {
    let all = text(raw);
    let body = all.strip_suffix("\r\n\r\n").ok_or("does not end in an empty line")?;
    let mut lines = body.split("\r\n");
    if body
        .split("\r\n")
        .any(|line| line.chars().any(|c| (c.is_ascii_control() && c != '\t') || line.is_empty()))
    {
        return Err("control octet or empty line".into());
    }
    let start: Vec<String> = lines.next().ok_or("no start line")?.splitn(3, ' ').map(String::from).collect();
    let mut plain = Plain { start, fields: Vec::new(), chunked: false, length: None, close: false };
    let (mut lengths, mut codings, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("no colon")?;
        if !token(name) {
            return Err(format!("field name {name:?}"));
        }
        let value = value.trim_matches([' ', '\t']);
        plain.fields.push((name.to_owned(), value.to_owned()));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value.to_ascii_lowercase()),
            "connection" => {
                options.extend(value.split(',').map(|o| o.trim_matches([' ', '\t']).to_ascii_lowercase()))
            }
            _ => {}
        }
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => {}
        ([length], []) if length.chars().all(|c| c.is_ascii_digit()) => {
            plain.length = Some(length.parse().map_err(|_| "length")?);
        }
        ([], [coding]) if coding == "chunked" => plain.chunked = true,
        other => return Err(format!("framing {other:?}")),
    }
    if options.iter().any(|o| !o.is_empty() && !token(o)) {
        return Err("connection option".into());
    }
    let has = |name: &str| options.iter().any(|o| o == name);
    let old = plain.start.iter().any(|part| part == "HTTP/1.0");
    if old && plain.chunked {
        return Err("chunked in HTTP/1.0".into());
    }
    plain.close = has("close") || old && !has("keep-alive");
    Ok(plain)
}

pub(crate) fn request(raw: &[u8]) -> Result<Plain, String> {
    let plain = head(raw)?;
    let [method, target, version] = plain.start.as_slice() else { return Err("request line".into()) };
    if !token(method) || !["HTTP/1.0", "HTTP/1.1"].contains(&version.as_str()) {
        return Err("method or version".into());
    }
    if !target.chars().all(|c| c.is_ascii_graphic() && c != '#') {
        return Err("target".into());
    }
    let hosts: Vec<_> = plain.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host")).collect();
    let [(_, host)] = hosts.as_slice() else { return Err("not one host".into()) };
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:[]".contains(c)) {
        return Err("host".into());
    }
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let absolute = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let good = match rest.split_once('/') {
        _ if target.starts_with('/') => true,
        _ if target == "*" => method == "OPTIONS",
        Some((authority, _)) => absolute && authority.eq_ignore_ascii_case(host),
        None => false,
    };
    if good { Ok(plain) } else { Err("target form".into()) }
}

pub(crate) fn response(raw: &[u8]) -> Result<Plain, String> {
    let plain = head(raw)?;
    let [version, status, _reason] = plain.start.as_slice() else { return Err("status line".into()) };
    if !["HTTP/1.0", "HTTP/1.1"].contains(&version.as_str()) {
        return Err("version".into());
    }
    let digits = status.len() == 3 && status.chars().all(|c| c.is_ascii_digit());
    if digits && ("100"..="599").contains(&status.as_str()) { Ok(plain) } else { Err("status".into()) }
}
