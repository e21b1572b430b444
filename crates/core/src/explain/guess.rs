//! What a client may have signed instead: each usual mistake made on purpose, to see which of them fits.
use super::cause::Cause;
use crate::canonical::{BodyDigest, CanonicalRequest, UNSIGNED_PAYLOAD, decoded, normalised, push_encoded};
use crate::request::RequestView;
use crate::schemes::escher::Presented;

/// Which line of a canonical request is what.
pub(super) struct Layout {
    pub(super) fields: usize,
}

impl Layout {
    pub(super) const METHOD: usize = 0;
    pub(super) const PATH: usize = 1;
    pub(super) const QUERY: usize = 2;
    pub(super) const FIRST_FIELD: usize = 3;
    pub(super) fn blank(&self) -> usize {
        Layout::FIRST_FIELD + self.fields
    }
    pub(super) fn payload(&self) -> usize {
        self.blank() + 2
    }
}

/// A canonical request as lines.
pub(super) fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

/// Every text that `replace` gives for one line, put in its place.
fn with_line(
    all: &[Vec<u8>],
    at: usize,
    texts: Vec<Vec<u8>>,
    cause: &Cause,
    out: &mut Vec<(Cause, Vec<u8>)>,
) {
    for text in texts {
        let mut changed = all.to_vec();
        if changed.get(at).is_some_and(|line| *line != text) {
            changed[at] = text;
            out.push((cause.clone(), changed.join(&b'\n')));
        }
    }
}

/// Canonical requests with one mistake each.
pub(super) fn canonical_requests(
    p: &Presented<'_>,
    req: &RequestView<'_>,
    body: Option<&[u8]>,
    ours: &CanonicalRequest,
) -> Vec<(Cause, Vec<u8>)> {
    let all = lines(ours.as_hashed());
    let layout = Layout { fields: p.signed_names().len() };
    let mut out = Vec::new();
    let method = &all[Layout::METHOD];
    let methods = vec![method.to_ascii_lowercase(), method.to_ascii_uppercase()];
    with_line(&all, Layout::METHOD, methods, &Cause::Method, &mut out);
    let (normal, encoded) = (paths(req.path, false), paths(req.path, true));
    with_line(&all, Layout::PATH, normal, &Cause::PathNormalised, &mut out);
    with_line(&all, Layout::PATH, encoded, &Cause::PathEncoding, &mut out);
    queries(p, req.query.unwrap_or_default(), &all, &mut out);
    for (i, name) in p.signed_names().iter().enumerate() {
        let at = Layout::FIRST_FIELD + i;
        let line = |value: &[u8]| [name.as_bytes(), b":", value].concat();
        if name == "host" {
            let hosts = hosts(req.host).iter().map(|host| line(host)).collect();
            with_line(&all, at, hosts, &Cause::HostPort, &mut out);
        } else if **name == *p.date_field() {
            let dates = [p.date().iso_basic(), p.date().http_date()];
            let dates = dates.iter().map(|date| line(date.as_bytes())).collect();
            with_line(&all, at, dates, &Cause::DateForm, &mut out);
        }
        for f in req.fields.iter().filter(|f| f.name.on(req.raw).eq_ignore_ascii_case(name.as_bytes())) {
            let sent = [f.name.on(req.raw), b":", f.value.on(req.raw)].concat();
            let cause = if f.name.on(req.raw) == name.as_bytes() {
                Cause::FieldValue(name.to_string())
            } else {
                Cause::FieldCase(name.to_string())
            };
            with_line(&all, at, vec![sent, line(&[b" ", f.value.on(req.raw)].concat())], &cause, &mut out);
        }
    }
    bodies(p, body, &layout, &all, &mut out);
    let mut blank = all.clone();
    blank.remove(layout.blank());
    out.push((Cause::BlankLine, blank.join(&b'\n')));
    out.push((Cause::TrailingNewline, [ours.as_hashed(), b"\n"].concat()));
    out.push((Cause::LineEnds, all.join(b"\r\n".as_slice())));
    out
}

/// The path as sent and without its oddities; or, `encoded`, with one encoding more or less.
fn paths(path: &[u8], encoded: bool) -> Vec<Vec<u8>> {
    let normal = normalised(path);
    if !encoded {
        // Whichever of them is right, the other is the mistake; where there is nothing odd they are the same.
        return if normal == path { Vec::new() } else { vec![path.to_vec(), normal, more(path)] };
    }
    let less = decoded(&normal, crate::canonical::QueryReading { plus_is_plus: true, ..Default::default() });
    vec![more(&normal), normal, less, path.to_vec()]
}

fn more(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    path.iter().for_each(|b| if *b == b'/' { out.push(*b) } else { push_encoded(&mut out, *b) });
    out
}

/// The host with and without a port.
fn hosts(host: &[u8]) -> Vec<Vec<u8>> {
    let colon = host.iter().rposition(|b| *b == b':').filter(|at| !host[*at..].contains(&b']'));
    match colon {
        Some(at) => vec![host[..at].to_vec()],
        None => [b":443".as_slice(), b":80"].iter().map(|port| [host, port].concat()).collect(),
    }
}

/// A text with each of some parts replaced.
fn replaced(text: &[u8], pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut text: String = text.iter().map(|b| char::from(*b)).collect();
    pairs.iter().for_each(|(from, to)| text = text.replace(from, to));
    text.chars().map(|c| c as u8).collect()
}

fn queries(p: &Presented<'_>, query: &[u8], all: &[Vec<u8>], out: &mut Vec<(Cause, Vec<u8>)>) {
    let ours = &all[Layout::QUERY];
    let mut sent: Vec<&[u8]> =
        if query.is_empty() { Vec::new() } else { query.split(|b| *b == b'&').collect() };
    sent.retain(|piece| !piece.starts_with(p.signature_parameter().as_bytes()));
    let encode = |piece: &[u8]| {
        let mut out = Vec::new();
        let cut = piece.iter().position(|b| *b == b'=').unwrap_or(piece.len());
        let part = |text: &[u8], out: &mut Vec<u8>| {
            decoded(text, p.config().reading()).iter().for_each(|b| push_encoded(out, *b));
        };
        part(&piece[..cut], &mut out);
        out.push(b'=');
        part(piece.get(cut + 1..).unwrap_or_default(), &mut out);
        out
    };
    let in_order: Vec<Vec<u8>> = sent.iter().map(|piece| encode(piece)).collect();
    let mut by_pair = in_order.clone();
    by_pair.sort();
    let mut by_name = in_order.clone();
    by_name.sort_by_key(|pair| pair.iter().map(|b| if *b == b'=' { 0 } else { *b }).collect::<Vec<u8>>());
    let orders = [&in_order, &by_pair, &by_name].map(|pairs| pairs.join(&b'&'));
    with_line(all, Layout::QUERY, orders.to_vec(), &Cause::QueryOrder, out);
    let mixed =
        [("%20", "+"), ("%20", "%2B"), ("%2B", "%20"), ("%2B", "+"), ("%2B", "%252B"), ("%20", "%2520")];
    let mixed = mixed.iter().map(|pair| replaced(ours, &[*pair])).collect();
    with_line(all, Layout::QUERY, mixed, &Cause::QueryPlus, out);
    let mut sorted = sent.clone();
    sorted.sort_unstable();
    let as_sent = [sent.join(&b'&'), sorted.join(&b'&')];
    let plain =
        [("%2C", ","), ("%3A", ":"), ("%2F", "/"), ("%40", "@"), ("%21", "!"), ("%2A", "*"), ("%7E", "~")];
    let mut texts = as_sent.to_vec();
    texts.extend(plain.iter().map(|pair| replaced(ours, &[*pair])));
    texts.extend([replaced(ours, &plain), lower_escapes(ours), replaced(ours, &[("~", "%7E")])]);
    texts.push(
        replaced(&[ours.as_slice(), b"&"].concat(), &[("=&", "&")])
            .strip_suffix(b"&")
            .unwrap_or_default()
            .to_vec(),
    );
    with_line(all, Layout::QUERY, texts, &Cause::QueryEncoding, out);
    with_line(all, Layout::QUERY, vec![Vec::new()], &Cause::Query, out);
}

fn lower_escapes(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    for i in 0..out.len() {
        if out[i] == b'%' {
            let end = out.len().min(i + 3);
            out[i + 1..end].make_ascii_lowercase();
        }
    }
    out
}

fn bodies(
    p: &Presented<'_>,
    body: Option<&[u8]>,
    layout: &Layout,
    all: &[Vec<u8>],
    out: &mut Vec<(Cause, Vec<u8>)>,
) {
    let digest = |bytes: &[u8]| BodyDigest::of(p.hash(), bytes).digest().to_string().into_bytes();
    let mut texts = vec![digest(b""), UNSIGNED_PAYLOAD.into(), Vec::new()];
    if let Some(body) = body {
        texts.extend([
            digest(&[body, b"\n"].concat()),
            digest(body.trim_ascii_end()),
            digest(body.trim_ascii()),
        ]);
        texts.push(digest(&replaced(body, &[("\r\n", "\n")])));
        texts.push(digest(body).to_ascii_uppercase());
    }
    with_line(all, layout.payload(), texts, &Cause::Body, out);
}

/// Strings to sign with one mistake each.
pub(super) fn strings_to_sign(
    p: &Presented<'_>,
    ours: &[u8],
    canonical: &CanonicalRequest,
) -> Vec<(Cause, Vec<u8>)> {
    let all = lines(ours);
    let mut out = vec![
        (Cause::TrailingNewline, [ours, b"\n"].concat()),
        (Cause::LineEnds, all.join(b"\r\n".as_slice())),
    ];
    let dates = [
        p.date().http_date(),
        p.date().to_string(),
        p.date().to_string().replace(".000", ""),
        p.day().to_owned(),
    ];
    with_line(&all, 1, dates.into_iter().map(String::into_bytes).collect(), &Cause::DateForm, &mut out);
    let scopes = [p.scope().to_owned(), format!("{}/{}/{}", p.id(), p.day(), p.scope())];
    with_line(&all, 2, scopes.into_iter().map(String::into_bytes).collect(), &Cause::StringToSign, &mut out);
    let upper = all[3].to_ascii_uppercase();
    with_line(&all, 3, vec![canonical.as_hashed().to_vec(), upper], &Cause::StringToSign, &mut out);
    out
}
