//! The query as it is signed, and the spellings of it that signers differ in.
use super::path::{push_encoded, unreserved};
use smallvec::SmallVec;

/// By what the parameters of a query are sorted once they are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryOrder {
    /// By `name=value`.
    Pairs,
    /// By name, then by value. Differs where one name begins with another: `=` comes after `-` and digits.
    NamesThenValues,
}

/// One way to read a query. What signers disagree about is tried in each way that a configuration allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryReading {
    /// `+` is signed as `%2B`, not as a space.
    pub plus_is_plus: bool,
    /// `%2B` is signed as a space: what decoding twice makes of it.
    pub escaped_plus_is_space: bool,
    /// `!` and `*` are signed as they are, not encoded.
    pub bang_and_star_plain: bool,
    /// The session token was added after signing.
    pub token_added_later: bool,
    /// The query is signed as it was sent, neither sorted nor spelt anew. Whoever signs a query in its canonical form
    /// signs the same, so no other query has this signature.
    pub query_as_sent: bool,
    /// The path is signed as it was sent, not encoded once more. See [`super::only_as_sent`].
    pub path_as_sent: bool,
}

/// The octet that `%XX` at the start of `at` stands for.
fn escape(at: &[u8]) -> Option<u8> {
    let hex = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    match at {
        [b'%', a, b, ..] => Some(hex(*a)? << 4 | hex(*b)?),
        _ => None,
    }
}

/// Decodes a name or a value. A `%` without two digits after it stands for itself.
pub(crate) fn decoded(text: &[u8], reading: QueryReading) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while let Some(&b) = text.get(i) {
        let octet = escape(&text[i..]);
        i += if octet.is_some() { 3 } else { 1 };
        out.push(match octet {
            Some(b'+') if reading.escaped_plus_is_space => b' ',
            Some(octet) => octet,
            None if b == b'+' && !reading.plus_is_plus => b' ',
            None => b,
        });
    }
    out
}

/// One parameter, encoded as it is signed.
struct Pair {
    text: SmallVec<[u8; 64]>,
    name_len: usize,
    hidden: bool,
}

fn push_part(out: &mut SmallVec<[u8; 64]>, part: &[u8], reading: QueryReading) {
    // Most parts are plain.
    if part.iter().all(|b| unreserved(*b)) {
        out.extend_from_slice(part);
        return;
    }
    let mut encoded = Vec::with_capacity(part.len() + 16);
    for b in decoded(part, reading) {
        if reading.bang_and_star_plain && matches!(b, b'!' | b'*') {
            encoded.push(b);
        } else {
            push_encoded(&mut encoded, b);
        }
    }
    out.extend_from_slice(&encoded);
}

/// The parameters that are left out or not shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Special<'a> {
    /// Left out: the signature itself.
    pub(super) signature: Option<&'a str>,
    /// Its value is not shown, and it is left out where it was added later.
    pub(super) token: Option<&'a str>,
}

/// Appends the query as it is signed, and notes which parts of `out` are not to be shown.
pub(super) fn push(
    out: &mut Vec<u8>,
    hidden: &mut SmallVec<[(usize, usize); 4]>,
    query: &[u8],
    order: QueryOrder,
    reading: QueryReading,
    special: Special<'_>,
) {
    if query.is_empty() {
        return;
    }
    if reading.query_as_sent {
        out.extend_from_slice(query);
        return;
    }
    let mut pairs: SmallVec<[Pair; 8]> = SmallVec::new();
    for sent in query.split(|b| *b == b'&') {
        let (name, value) = match sent.iter().position(|b| *b == b'=') {
            Some(at) => (&sent[..at], &sent[at + 1..]),
            None => (sent, &sent[..0]),
        };
        let is = |which: Option<&str>| which.is_some_and(|w| w.as_bytes() == name);
        if is(special.signature) || is(special.token) && reading.token_added_later {
            continue;
        }
        let mut text = SmallVec::new();
        push_part(&mut text, name, reading);
        let name_len = text.len();
        text.push(b'=');
        push_part(&mut text, value, reading);
        pairs.push(Pair { text, name_len, hidden: is(special.token) });
    }
    match order {
        QueryOrder::Pairs => pairs.sort_by(|a, b| a.text.cmp(&b.text)),
        QueryOrder::NamesThenValues => {
            pairs.sort_by(|a, b| {
                let split = |p: &Pair| p.name_len;
                (&a.text[..split(a)], &a.text[split(a)..]).cmp(&(&b.text[..split(b)], &b.text[split(b)..]))
            });
        }
    }
    for (i, pair) in pairs.iter().enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        if pair.hidden {
            hidden.push((out.len() + pair.name_len + 1, out.len() + pair.text.len()));
        }
        out.extend_from_slice(&pair.text);
    }
}

/// Appends the parameters, each spelt as it is signed, names in the order sent, the values of one name in the order signed;
/// nothing where none is left.
pub(crate) fn push_respelt(
    out: &mut Vec<u8>,
    query: &[u8],
    reading: QueryReading,
    left_out: impl Fn(&[u8]) -> bool,
) {
    type Spelt = SmallVec<[u8; 64]>;
    let mut parameters: SmallVec<[(Spelt, Spelt); 2]> = SmallVec::new();
    let mut between = b'?';
    for sent in query.split(|b| *b == b'&').filter(|_| !query.is_empty()) {
        let (name, value) = match sent.iter().position(|b| *b == b'=') {
            Some(at) => (&sent[..at], &sent[at + 1..]),
            None => (sent, &sent[..0]),
        };
        if left_out(name) {
            continue;
        }
        if reading.query_as_sent {
            out.push(between);
            out.extend_from_slice(sent);
            between = b'&';
        } else {
            let (mut spelt_name, mut spelt_value) = (SmallVec::new(), SmallVec::new());
            push_part(&mut spelt_name, name, reading);
            push_part(&mut spelt_value, value, reading);
            parameters.push((spelt_name, spelt_value));
        }
    }
    let mut at_place: SmallVec<[usize; 8]> = (0..parameters.len()).collect();
    if parameters.len() > 1 {
        // The places of each name, as they were sent; and its values, as they were signed.
        let mut places = at_place.clone();
        let mut values = at_place.clone();
        places.sort_by(|a, b| parameters[*a].0.cmp(&parameters[*b].0));
        values.sort_by(|a, b| parameters[*a].cmp(&parameters[*b]));
        places.into_iter().zip(values).for_each(|(place, value)| at_place[place] = value);
    }
    for at in at_place {
        let (name, value) = &parameters[at];
        out.push(between);
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
        between = b'&';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(query: &str, order: QueryOrder, reading: QueryReading) -> String {
        let mut out = Vec::new();
        push(&mut out, &mut SmallVec::new(), query.as_bytes(), order, reading, Special::default());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_query_is_sorted_and_spelt_anew() {
        let plain = QueryReading::default();
        for (query, canonical) in [
            ("", ""),
            ("f", "f="),
            ("f=", "f="),
            ("=", "="),
            ("a&&b", "=&a=&b="),
            ("a=1=2", "a=1%3D2"),
            ("b=2&a=1", "a=1&b=2"),
            ("a=b&a=a&a=B", "a=B&a=a&a=b"),
            ("a=x+y%20z", "a=x%20y%20z"),
            ("a=%2B%2b", "a=%2B%2B"),
            ("%61=%7e", "a=~"),
            ("a=b,c!*()'", "a=b%2Cc%21%2A%28%29%27"),
            ("a=%5E^%5e", "a=%5E%5E%5E"),
            ("@#$%^&+=/", "%20=%2F&%40%23%24%25%5E="),
            ("a=%zz%4", "a=%25zz%254"),
            ("a=%26%3d", "a=%26%3D"),
        ] {
            assert_eq!(signed(query, QueryOrder::Pairs, plain), canonical, "{query}");
        }
    }

    #[test]
    fn a_name_that_begins_with_another_is_sorted_by_rule() {
        let query = "Param-3=c&Param=b&p1=x&p=y";
        let plain = QueryReading::default();
        assert_eq!(signed(query, QueryOrder::NamesThenValues, plain), "Param=b&Param-3=c&p=y&p1=x");
        assert_eq!(signed(query, QueryOrder::Pairs, plain), "Param-3=c&Param=b&p1=x&p=y");
    }

    #[test]
    fn what_is_passed_on_is_spelt_and_ordered_as_it_was_signed() {
        let passed = |query: &str, reading| {
            let mut out = Vec::new();
            push_respelt(&mut out, query.as_bytes(), reading, |name| name == b"key");
            String::from_utf8(out).unwrap()
        };
        let plain = QueryReading::default();
        for (query, on) in [
            ("", ""),
            ("key=1", ""),
            ("b=2&key=x&a=1", "?b=2&a=1"),
            ("amount=100&x&amount=1", "?amount=1&x=&amount=100"),
            ("%61=2&a=1", "?a=1&a=2"),
            ("q=a%2fb+c", "?q=a%2Fb%20c"),
        ] {
            assert_eq!(passed(query, plain), on, "{query}");
        }
        let as_sent = QueryReading { query_as_sent: true, ..plain };
        assert_eq!(passed("b=2&key=x&a=%2f&b=1", as_sent), "?b=2&a=%2f&b=1");
    }

    #[test]
    fn readings_differ_in_what_they_say() {
        let query = "a=+%2B!*";
        let read = |reading| signed(query, QueryOrder::Pairs, reading);
        let plain = QueryReading::default();
        assert_eq!(read(plain), "a=%20%2B%21%2A");
        assert_eq!(read(QueryReading { plus_is_plus: true, ..plain }), "a=%2B%2B%21%2A");
        assert_eq!(read(QueryReading { escaped_plus_is_space: true, ..plain }), "a=%20%20%21%2A");
        assert_eq!(read(QueryReading { bang_and_star_plain: true, ..plain }), "a=%20%2B!*");
    }
}
