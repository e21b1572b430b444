//! What proxies and liars write into the headers that tell who called, and what it means: written down, not computed.
//! Trusted are 10.0.0.0/8, 127.0.0.1 and 2001:db8:1::/48.

/// What an element means: an address, or that nobody can tell.
pub(crate) type Meaning = Option<&'static str>;

/// Elements of `X-Forwarded-For`, in every spelling of an address and of what is none.
#[rustfmt::skip] // A few to a line.
pub(crate) const HOPS: &[(&str, Meaning)] = &[
    // Somebody else.
    ("192.0.2.7", Some("192.0.2.7")), ("192.0.2.7:4711", Some("192.0.2.7")), ("::ffff:192.0.2.7", Some("192.0.2.7")),
    ("::FFFF:c000:207", Some("192.0.2.7")), ("[::ffff:192.0.2.7]:80", Some("192.0.2.7")),
    ("0:0:0:0:0:ffff:192.0.2.7", Some("192.0.2.7")), ("198.51.100.1", Some("198.51.100.1")),
    ("2001:db8::7", Some("2001:db8::7")), ("[2001:db8::7]", Some("2001:db8::7")),
    ("[2001:DB8:0::7]:443", Some("2001:db8::7")), ("2001:0db8:0000:0000:0000:0000:0000:0007", Some("2001:db8::7")),
    // What carries an IPv4 address is not that address.
    ("2002:a00:1::", Some("2002:a00:1::")), ("64:ff9b::10.0.0.1", Some("64:ff9b::a00:1")),
    ("2002:7f00:1::1", Some("2002:7f00:1::1")), ("::a00:1", Some("::a00:1")),
    // Our own proxies.
    ("10.9.9.9", Some("10.9.9.9")), ("10.0.0.0", Some("10.0.0.0")), ("10.255.255.255:1", Some("10.255.255.255")),
    ("::ffff:10.1.1.1", Some("10.1.1.1")), ("[::ffff:a01:101]:1", Some("10.1.1.1")), ("127.0.0.1", Some("127.0.0.1")),
    ("2001:db8:1::1", Some("2001:db8:1::1")), ("[2001:db8:1:2::3]:4", Some("2001:db8:1:2::3")),
    // Nearly our own.
    ("11.0.0.0", Some("11.0.0.0")), ("9.255.255.255", Some("9.255.255.255")), ("127.0.0.2", Some("127.0.0.2")),
    ("2001:db8:2::1", Some("2001:db8:2::1")),
    // Nobody.
    ("", None), ("unknown", None), ("_hidden", None), ("localhost", None), ("unix:", None), ("-", None),
    ("010.0.0.1", None), ("10.0.0.01", None), ("0x0a.0.0.1", None), ("0x0a000001", None), ("167772161", None),
    ("10.1", None), ("10.0.1", None), ("10.0.0.256", None), ("10.0.0.1.", None), ("10.0.0.1/8", None), ("10.0.0.0/8", None),
    ("10.0.0.1:", None), ("10.0.0.1:x", None), ("10.0.0.1:123456", None), ("10.0.0.1 10.0.0.2", None), ("10.0.0.1;10.0.0.2", None),
    ("[10.0.0.1]", None), ("[10.0.0.1]:80", None), ("\"10.0.0.1\"", None), ("'10.0.0.1'", None), ("::10.0.0.1", None),
    ("::ffff:010.0.0.1", None), ("::ffff:10.0.0.1%1", None), ("fe80::1%eth0", None), ("fe80::1%25eth0", None),
    ("[::1", None), ("::1]", None), ("[::1]x", None), ("[::1]:", None), ("[]", None), ("1::2::3", None), ("12345::", None),
    (":::", None), ("10.0.0.\u{ff11}", None), ("\u{661}0.0.0.1", None), ("10\u{3002}0.0.1", None), ("for=10.0.0.1", None),
    ("http://10.0.0.1", None), ("10.0.0.1\\", None), ("+10.0.0.1", None), ("10.0.0.-1", None), ("10..0.1", None),
];

/// Elements of `Forwarded` (RFC 7239).
#[rustfmt::skip] // A few to a line.
pub(crate) const ELEMENTS: &[(&str, Meaning)] = &[
    ("for=192.0.2.7", Some("192.0.2.7")), ("FOR=192.0.2.7", Some("192.0.2.7")), ("for=\"192.0.2.7\"", Some("192.0.2.7")),
    ("for=\"192.0.2.7:4711\"", Some("192.0.2.7")), ("for=\"[2001:db8::7]\"", Some("2001:db8::7")),
    ("For=\"[2001:DB8::7]:443\"", Some("2001:db8::7")), ("for=\"[::ffff:192.0.2.7]\"", Some("192.0.2.7")),
    ("by=10.0.0.1;for=192.0.2.7;host=evil;proto=https", Some("192.0.2.7")), ("for=192.0.2.7; proto=http", Some("192.0.2.7")),
    ("proto=https;for=198.51.100.1", Some("198.51.100.1")), ("host=\"a;b\"", None),
    ("for=10.9.9.9", Some("10.9.9.9")), ("for=\"10.0.0.1:80\";proto=https", Some("10.0.0.1")),
    ("for=\"[2001:db8:1::1]\"", Some("2001:db8:1::1")), ("for=127.0.0.1", Some("127.0.0.1")),
    ("for=127.0.0.2", Some("127.0.0.2")), ("for=\"[2002:a00:1::]\"", Some("2002:a00:1::")),
    ("", None), ("for=", None), ("for=\"\"", None), ("for=unknown", None), ("for=_hidden", None), ("for=\"_SEVKISEK\"", None),
    ("proto=https", None), ("by=10.0.0.1", None), ("10.0.0.1", None), ("for=010.0.0.1", None), ("for=0x0a000001", None),
    ("for=167772161", None), ("for=\"[10.0.0.1]\"", None), ("for=\"10.0.0.1", None), ("for=10.0.0.1\"", None),
    ("for=\"10.0.0.1\\\"\"", None), ("for=\"1\\0.0.0.1\"", None), ("for =10.0.0.1", None), ("for= 10.0.0.1", None),
    ("for=10.0.0.1;for=10.0.0.1", None), ("for=10.0.0.1;FOR=192.0.2.7", None), ("for=10.0.0.1;", None), (";for=10.0.0.1", None),
    ("for=10.0.0.1 ;x", None), ("for=10.0.0.1 for=10.0.0.1", None), ("for=\"[fe80::1%eth0]\"", None), ("for=\"::10.0.0.1\"", None),
    ("forx=10.0.0.1", None), ("=10.0.0.1", None), ("f\u{f6}r=10.0.0.1", None), ("for*=10.0.0.1", None), ("for:10.0.0.1", None),
];

/// Lines that nobody looks at, with addresses that somebody would like to have.
pub(crate) const DECOYS: &[&str] = &[
    "",
    "X-Real-IP: 10.0.0.1\r\n",
    "True-Client-IP: 192.0.2.66\r\nCF-Connecting-IP: 192.0.2.66\r\n",
    "X-Client-IP: 192.0.2.66\r\nClient-IP: 10.0.0.1\r\n",
    "x_forwarded_for: 192.0.2.66\r\n",
    "X_Forwarded_For: 10.0.0.1\r\n",
    "X-Forwarded-For-Original: 192.0.2.66\r\n",
    "X-Forwarded: for=192.0.2.66\r\n",
    "X-ForwardedFor: 192.0.2.66\r\n",
    "X-Cluster-Client-IP: 192.0.2.66\r\n",
    "X-Originating-IP: 192.0.2.66\r\nX-Remote-Addr: 10.0.0.1\r\n",
];

/// Whether an address is one of ours.
fn trusted(address: &str) -> bool {
    address.starts_with("10.") || address == "127.0.0.1" || address.starts_with("2001:db8:1:")
}

/// Who called, as everything that came from a trusted peer says: the rightmost that is not one of ours.
pub(crate) fn caller(elements: &[Meaning]) -> Meaning {
    elements.iter().rev().find(|said| !said.is_some_and(trusted)).copied().flatten()
}

/// So many header lines of so many elements, as proxies and liars would write them; and what each element means.
pub(crate) fn lines(
    name: &str,
    table: &[(&str, Meaning)],
    places: &[Vec<usize>],
    spaced: bool,
) -> (String, Vec<Meaning>) {
    let mut meanings = Vec::new();
    let mut text = String::new();
    for line in places {
        let between = if spaced { " ,\t" } else { "," };
        let said: Vec<&str> = line.iter().map(|at| table[*at].0).collect();
        meanings.extend(line.iter().map(|at| table[*at].1));
        text.push_str(&format!("{name}: {}\r\n", said.join(between)));
    }
    (text, meanings)
}
