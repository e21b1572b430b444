//! The parameters of a request: `application/x-www-form-urlencoded`, and nothing that could be read in two ways.
use super::Asked;
use super::fault::Fault;
use doorward_core::reason::Reason;

/// Most parameters of one request.
const MAX_PARAMETERS: usize = 64;
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
/// What the RFCs that are followed here name (6749, 7009, 7521, 7636, 7662), and the dialects. None may come twice.
const ONCE: [&str; 19] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "grant_type",
    "password",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "scope",
    "state",
    "token",
    "token_type",
    "token_type_hint",
    "username",
];
/// May come more than once (RFC 8707 2).
pub(super) const RESOURCE: &str = "resource";

/// Parameters, decoded. It has no `Debug`: there are secrets in them.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body, and sees that nothing of it stands in the query: queries end up in logs.
    pub(super) fn read(asked: &Asked) -> Result<Form, Fault> {
        if !is_form(&asked.content_types) {
            return Err(unreadable(
                "content-type",
                "send the parameters as application/x-www-form-urlencoded",
            ));
        }
        if asked.query.as_deref().is_some_and(names_a_parameter) {
            return Err(unreadable(
                "parameter-in-query",
                "send parameters in the body alone, never in the query",
            ));
        }
        let form = Form(pairs(&asked.body)?);
        match ONCE.iter().find(|name| form.all(name).nth(1).is_some()) {
            Some(_) => Err(unreadable("parameter-repeated", "a parameter was sent more than once")),
            None => Ok(form),
        }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter; one without a value was not sent (RFC 6749 3.2).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// The resources that a token is wanted for.
    pub(super) fn resources(&self) -> Vec<&str> {
        self.all(RESOURCE).filter(|value| !value.is_empty()).collect()
    }
}

fn unreadable(detail: &'static str, note: &'static str) -> Fault {
    Fault::request(detail, note).coded(Reason::RequestAmbiguous)
}

fn is_form(content_types: &[Box<[u8]>]) -> bool {
    let [one] = content_types else { return false };
    let Ok(text) = std::str::from_utf8(one) else { return false };
    let (media, parameter) = text.split_once(';').unwrap_or((text, ""));
    let parameter = parameter.trim();
    let utf8 = || {
        let charset = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        charset.is_some_and(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"))
    };
    media.trim().eq_ignore_ascii_case(MEDIA_TYPE) && (parameter.is_empty() || utf8())
}

fn pairs(body: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let wrong = |detail| unreadable(detail, "the parameters are not encoded as a form, in UTF-8");
    let mut all = Vec::new();
    for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        if all.len() == MAX_PARAMETERS {
            return Err(unreadable("too-many-parameters", "there are too many parameters"));
        }
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let value = pair.get(at + 1..).unwrap_or_default();
        let both = decode(&pair[..at]).zip(decode(value));
        all.push(both.ok_or_else(|| wrong("parameter-encoding"))?);
    }
    Ok(all)
}

/// Decodes as the URL standard has it for forms, but nothing that was not encoded.
pub(super) fn decode(text: &[u8]) -> Option<String> {
    let hex = |b: u8| (b as char).to_digit(16);
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => plain.push(b' '),
            b'%' => {
                let (two, after) = rest.split_first_chunk::<2>()?;
                plain.push((hex(two[0])? << 4 | hex(two[1])?) as u8);
                rest = after;
            }
            0x21..=0x7e => plain.push(*first),
            _ => return None,
        }
    }
    String::from_utf8(plain).ok()
}

/// Whether a query has one of the parameters, however it spells it. Other servers cut names, fold them, and take `;` for
/// `&`.
fn names_a_parameter(query: &[u8]) -> bool {
    let is_one = |pair: &[u8]| {
        let end = pair.iter().position(|b| matches!(b, b'=' | b'[')).unwrap_or(pair.len());
        let name = leniently(&pair[..end]);
        let name = name.split(['[', '\0']).next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case(RESOURCE) || ONCE.iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    query.split(|b| matches!(b, b'&' | b';')).any(is_one)
}

fn leniently(text: &[u8]) -> String {
    let hex = |at: usize| text.get(at).and_then(|b| (*b as char).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        match (text[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high << 4 | low) as u8);
                at += 3;
            }
            (byte, ..) => {
                plain.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
