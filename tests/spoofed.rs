//! Every name under which this node speaks to upstreams, or that belongs to a connection or to a credential, in every
//! spelling and in every place: what reaches the upstream is this node's own alone (cases 8 to 10 and 12, S9110-1).
use crate::corpus::Place;
use crate::corpus::compare::is_installation;
use crate::support::strict::Request;
use crate::support::{Conn, HOST};

/// What nobody else may say.
const OURS: &[&str] = &[
    "Doorward-Request-Id",
    "Doorward-Workspace",
    "Doorward-Credential",
    "Doorward-Kind",
    "Doorward-Scheme",
    "Doorward-Scopes",
    "Doorward-Subject",
    "Doorward-Code",
    "Doorward-Anything-Else",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-User",
    "X-Real-IP",
    "X-Client-IP",
    "X-Original-URL",
    "X-Original-URI",
    "X-Rewrite-URL",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "X-Envoy-External-Address",
    "X-Cluster-Client-IP",
    "Client-IP",
    "Front-End-Https",
    "X-Host",
    "X-HTTP-Host-Override",
    "Forwarded",
];
/// What belongs to one connection, or makes another request of this one.
const HOP_BY_HOP: &[&str] = &[
    "TE",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "HTTP2-Settings",
    "Proxy",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
];
/// What carries credentials in some dialect.
const CREDENTIALS: &[&str] = &[
    "X-App-Id",
    "X-App-Token",
    "X-Client-Application-Id",
    "X-Client-Token",
    "X-API-Key",
    "Authorization",
    "X-AV-Req-Id",
    "X-AV-App-Id",
    "X-AV-Date",
    "X-AV-Sig",
    "X-AV-Token",
    "X-Amz-Security-Token",
];

const WORD: &str = "spoofed";

/// A name as servers may take it for the same, the plain ones first.
fn spellings(name: &str) -> Vec<String> {
    let each = |with: &str| name.replace('-', with);
    let mixed: String = name
        .chars()
        .enumerate()
        .map(|(at, c)| if at % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
        .collect();
    let mut all =
        vec![name.to_owned(), name.to_ascii_lowercase(), each("_"), name.to_ascii_uppercase(), mixed];
    all.extend([each("."), each("~"), each("!"), each("|"), each("*"), each("_").to_ascii_uppercase()]);
    all.extend([name.replacen('-', "_", 1), name.to_ascii_lowercase().replacen('-', ".", 1)]);
    all.sort_by_key(|spelt| {
        !spelt.contains(name) && *spelt != name.to_ascii_lowercase() && *spelt != each("_")
    });
    all.dedup();
    all
}

/// Where a name may stand: the lines, what comes as a body, and whether such a request is none at all.
fn places(name: &str) -> Vec<(String, String, bool)> {
    let chunked = |lines: &str, trailers: &str| {
        let lines = format!("{lines}Transfer-Encoding: chunked\r\n");
        (lines, format!("1\r\nx\r\n0\r\n{trailers}\r\n"), false)
    };
    let good = |lines: String| (lines, String::new(), false);
    let bad = |lines: String| (lines, String::new(), true);
    vec![
        good(format!("{name}: {WORD}\r\n")),
        good(format!("Connection: {name}\r\n{name}: {WORD}\r\n")),
        chunked("", &format!("{name}: {WORD}\r\n")),
        good(format!("{name}:{WORD}\r\n")),
        good(format!("{name}:\t{WORD} \t\r\n")),
        good(format!("{name}: {WORD}\r\nX: y\r\n{name}: {WORD}\r\n")),
        good(format!("{name}: 10.0.0.1, {WORD}\r\n")),
        good(format!("{name}:\r\nConnection: x, {name} ,{name}\r\n{name}: {WORD}\r\n")),
        chunked(&format!("Trailer: {name}\r\n"), &format!("X-Sum: 1\r\n{name}: {WORD}\r\n")),
        chunked(&format!("{name}: {WORD}\r\n"), &format!("{name}:{WORD}\r\n{name}: {WORD}\r\n")),
        bad(format!("{name} : {WORD}\r\n")),
        bad(format!("{name}\t: {WORD}\r\n")),
        bad(format!(" {name}: {WORD}\r\n")),
        bad(format!("X: y\r\n {name}: {WORD}\r\n")),
        bad(format!("X: y\r\n\t{name}: {WORD}\r\n")),
        bad(format!("X: y\n{name}: {WORD}\r\n")),
        bad(format!("X: y\r{name}: {WORD}\r\n")),
        bad(format!("{name}\0: {WORD}\r\n")),
        bad(format!("{name}: {WORD}\0\r\n")),
        bad(format!("\0{name}: {WORD}\r\n")),
        bad(format!("{name}\u{a0}: {WORD}\r\n")),
        bad(format!("{name}:\r\n {WORD}\r\n")),
        bad(format!("{name}\r\n: {WORD}\r\n")),
        bad(format!("{name};: {WORD}\r\n")),
    ]
}

#[derive(Default)]
struct Tally {
    sent: usize,
    refused: usize,
    passed: usize,
    names: usize,
}

/// Asserts that nothing of a caller's is in what arrived, and everything of this node's.
fn is_ours_alone(place: &Place, request: &Request, public: bool, what: &str) {
    assert!(!request.head_holds(WORD), "{what} arrived: {request:?}");
    assert!(!request.trailers.iter().any(|(_, value)| value.contains(WORD)), "{what} arrived: {request:?}");
    let server = &place.server;
    let who = |value: &'static str| if public { vec![] } else { vec![value] };
    for (name, values) in [
        ("doorward-workspace", who("acme")),
        ("doorward-kind", who("server")),
        ("doorward-scheme", who("api_key")),
        ("doorward-scopes", who("api")),
        ("doorward-credential", if public { vec![] } else { vec![server.id.as_str()] }),
        ("doorward-subject", vec![]),
        ("x-forwarded-for", vec!["127.0.0.1"]),
        ("x-forwarded-proto", vec!["http"]),
        ("x-forwarded-host", vec![HOST]),
        ("host", vec![HOST]),
    ] {
        assert_eq!(request.all(name), values, "{what}: {name} in {request:?}");
    }
    let via = request.all("via");
    assert!(
        matches!(via[..], [one] if one.strip_prefix("1.1").is_some_and(is_installation)),
        "{what}: {via:?}"
    );
    assert_eq!(request.all("doorward-request-id").len(), 1, "{what}");
}

fn try_out(
    place: &Place,
    connection: &mut Conn,
    case: &(String, String, bool),
    public: bool,
    tally: &mut Tally,
) {
    let (lines, body, never) = case;
    let (path, credential) =
        if public { ("/public/x", String::new()) } else { ("/v1/x", place.server.lines()) };
    let method = if body.is_empty() { "GET" } else { "POST" };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{credential}{lines}\r\n{body}");
    let octets: Vec<u8> =
        request.chars().map(|c| u8::try_from(u32::from(c)).expect("an octet a character")).collect();
    let answer = connection.send(octets).answer();
    tally.sent += 1;
    let arrived = place.upstream.fresh().unwrap_or_else(|why| panic!("{lines:?}: {why}"));
    match answer.status {
        200 => {
            let [request] = &arrived[..] else { panic!("{lines:?}: {arrived:?}") };
            is_ours_alone(place, request, public, lines);
            assert!(!never, "{lines:?} is no request");
            tally.passed += 1;
        }
        400 | 401 | 403 => {
            assert!(arrived.is_empty(), "{lines:?}: {arrived:?}");
            assert!(!never || answer.status == 400 && answer.closes(), "{lines:?}: {answer:?}");
            tally.refused += 1;
        }
        _ => panic!("{lines:?}: {answer:?}"),
    }
    if answer.closes() {
        *connection = place.gateway.connect();
    }
}

#[test]
fn whatever_is_said_under_these_names_is_never_heard() {
    let place = Place::new();
    let mut tally = Tally::default();
    let mut connection = place.gateway.connect();
    for name in [OURS, HOP_BY_HOP, CREDENTIALS].concat() {
        for (nth, spelt) in spellings(name).iter().enumerate() {
            tally.names += 1;
            // In every place where the spelling is one of the first few; in the places that matter most otherwise.
            let most = if nth < 3 { usize::MAX } else { 3 };
            for (at, case) in places(spelt).iter().take(most).enumerate() {
                try_out(&place, &mut connection, case, (at + nth) % 3 == 2, &mut tally);
            }
        }
    }
    place.gateway.expect_no_panic();
    let Tally { sent, refused, passed, names } = tally;
    println!(
        "figures: spoofed: {names} spellings, {sent} requests sent, {refused} refused, {passed} passed, 0 heard"
    );
    assert!(refused > sent / 5 && passed > sent / 5 && names > 500);
}
