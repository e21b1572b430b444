//! `doorward explain`: what it tells a client author who is refused, for the mistakes that client authors make.
use crate::support::{Folder, Run, Setup, doorward, doorward_fed, skips_unless_sqlite};
use serde_json::Value;

const AT: &str = "2015-08-30T12:36:00Z";
const SECRET: &str = "AntavoSecretExample123";
const HOST: &str = "api.example:8080";
const TARGET: &str = "/events?b=2&a=1%2B";
const BODY: &str = r#"{"points":325}"#;

/// A request that a client made and signed, and what it says it computed.
struct Client {
    folder: Folder,
    /// What stands on the wire.
    request: String,
    canonical: String,
    string: String,
}

/// Signs a POST as `doorward sign` does, for a scope and a host.
fn client(scope: &str, host: &str, more: &[&str]) -> Client {
    let url = format!("http://{host}{TARGET}");
    let fixed =
        ["sign", "--scheme", "antavo", "--scope", scope, "--id", "KEY", "--secret-file", "-", "--at", AT];
    let last = ["--explain", "--data", BODY, "POST", &url];
    let run = doorward_fed(&[&fixed, more, &last].concat(), SECRET.as_bytes()).ok();
    let part = |name: &str| {
        let (_, rest) = run.stderr.split_once(name).unwrap_or_else(|| panic!("no {name}: {}", run.stderr));
        let lines: Vec<&str> = rest.trim_start_matches([':', '\n']).lines().collect();
        lines
    };
    let canonical = part("anonical request");
    // Method, path, query, a line a signed field, an empty one, their names, the body's digest.
    let end = canonical.iter().position(|l| l.is_empty()).expect("an empty line") + 3;
    let string = part("tring to sign");
    let request = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: {host}\r\n{}Content-Length: {}\r\n\r\n{BODY}",
        run.stdout.replace('\n', "\r\n"),
        BODY.len()
    );
    Client {
        folder: Folder::new(),
        request,
        canonical: canonical[..end].join("\n"),
        string: string[..4].join("\n"),
    }
}

fn good() -> Client {
    client("us/api/antavo_request", HOST, &[])
}

impl Client {
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.display().to_string()
    }

    /// Asks for an explanation of what was sent.
    fn explained(&self, sent: &str, more: &[&str]) -> Value {
        let secret = self.file("secret", SECRET);
        let fixed = ["explain", "--scheme", "antavo", "--secret-file", &secret, "--json"];
        let at: &[&str] = if more.contains(&"--at") { &[] } else { &["--at", AT] };
        let run = doorward_fed(&[&fixed, at, more].concat(), sent.as_bytes()).ok();
        assert!(!run.said().contains(SECRET), "{run:?}");
        serde_json::from_str(&run.stdout).expect("JSON")
    }
}

/// The list of mistakes, and what is said about each. Run with `--nocapture` to read it.
#[test]
#[allow(clippy::print_stdout, reason = "the list is what a reader wants to see")]
fn typical_mistakes_are_named() {
    if skips_unless_sqlite() {
        return;
    }
    let c = good();
    let sent = c.request.clone();
    let file = |name: &str, text: String| c.file(name, &text);
    let query = "a=1%2B&b=2";
    assert!(c.canonical.contains(query), "{}", c.canonical);
    let without_port = client("us/api/antavo_request", "api.example", &[]);
    let elsewhere = client("eu/api/antavo_request", HOST, &[]);
    let other = Client { folder: Folder::new(), ..good() };
    let wrong_secret = {
        // Another secret gives another signature of the same length.
        let at = sent.find("Signature=").expect("it is there") + "Signature=".len();
        let end = sent[at..].find("\r\n").expect("a line ends") + at;
        let mut text = sent.clone();
        text.replace_range(at..end, &"ab".repeat(32));
        text
    };
    let cases: Vec<(&str, Value, &str)> = vec![
        (
            "host signed without its port",
            c.explained(
                &without_port.request.replace("Host: api.example\r\n", &format!("Host: {HOST}\r\n")),
                &[],
            ),
            "host_port",
        ),
        (
            "query not sorted",
            c.explained(
                &wrong_secret,
                &["--canonical-request", &file("1", c.canonical.replace(query, "b=2&a=1%2B"))],
            ),
            "query_order",
        ),
        (
            "%2B signed without encoding it",
            c.explained(&wrong_secret, &["--canonical-request", &file("2", c.canonical.replace("%2B", "+"))]),
            "query_encoding",
        ),
        (
            "string to sign with a line end too many",
            c.explained(&wrong_secret, &["--string-to-sign", &file("3", format!("{}\n", c.string))]),
            "trailing_newline",
        ),
        (
            "date in a form of its own",
            c.explained(&sent.replace("Date: 20150830T123600Z", "Date: 2015-08-30T12:36:00Z"), &[]),
            "date_form",
        ),
        ("clock 10 minutes off", c.explained(&sent, &["--at", "2015-08-30T12:46:00Z"]), "clock"),
        (
            "body changed after signing",
            c.explained(
                &sent.replace("325", "326"),
                &["--canonical-request", &file("7", c.canonical.clone())],
            ),
            "body",
        ),
        ("scope of another region", c.explained(&elsewhere.request, &[]), "scope"),
        (
            "wrong secret",
            c.explained(&wrong_secret, &["--string-to-sign", &file("4", other.string.clone())]),
            "secret",
        ),
        (
            "host not signed",
            c.explained(&sent.replace("SignedHeaders=date;host", "SignedHeaders=date"), &[]),
            "field_missing",
        ),
        (
            "method signed in lower case",
            c.explained(
                &wrong_secret,
                &["--canonical-request", &file("5", c.canonical.replacen("POST", "post", 1))],
            ),
            "method",
        ),
        (
            "another hash than the server's",
            c.explained(&sent.replace("ANTAVO-HMAC-SHA256", "ANTAVO-HMAC-SHA1"), &[]),
            "algorithm",
        ),
        (
            "path percent-encoded once more",
            c.explained(
                &wrong_secret.replace("/events?", "/a%20b?"),
                &["--canonical-request", &file("6", c.canonical.replacen("/events", "/a%2520b", 1))],
            ),
            "path_encoding",
        ),
    ];
    for (mistake, said, cause) in &cases {
        println!("{mistake}: {} - {}", said["cause"], said["cause_text"].as_str().unwrap_or_default());
        assert_eq!(said["cause"], *cause, "{mistake}: {said:#}");
    }
    let twice = c.explained(&sent, &[]);
    assert_eq!(twice["step"], "passed", "{twice:#}");
    let for_people = doorward_fed(
        &["explain", "--scheme", "antavo", "--secret-file", &c.file("secret", SECRET), "--at", AT],
        sent.as_bytes(),
    );
    assert!(for_people.ok().stdout.contains("within one second, equal requests are one"));
}

/// The first line and byte that differ are told.
#[test]
fn the_first_difference_is_shown() {
    if skips_unless_sqlite() {
        return;
    }
    let c = good();
    let theirs = c.file("theirs", &c.canonical.replace("b=2", "b=3"));
    let said = c.explained(&c.request, &["--canonical-request", &theirs]);
    // The signature is right, whatever is said to have been computed.
    assert_eq!(said["step"], "passed");
    let broken = c.request.replace("\"points\":325", "\"points\":999");
    let said = c.explained(&broken, &["--canonical-request", &theirs]);
    let difference = &said["difference"];
    assert_eq!((difference["line"].as_u64(), difference["byte"].as_u64()), (Some(3), Some(10)), "{said:#}");
    assert_eq!(difference["part"], "canonical_request");
    assert!(difference["server"].as_str().is_some_and(|line| line.ends_with("b=2")), "{said:#}");
}

/// With a store, the API and the secret are found there; a curl line is as good as a raw request; nothing is claimed.
#[test]
fn an_operator_explains_from_the_store() {
    let policy = r#"
workspace = [{ id = "acme", environment = "production" }]
[[api]]
id = "events"
dialect = "antavo"
schemes = ["escher"]
upstream = { production = "http://127.0.0.1:1" }
route = [{ path = "/events" }, { path = "/plain/*" }]
"#;
    let mut gateway = Setup::new().policy(policy).prepare();
    gateway.start();
    let made = gateway.create(&["--workspace", "acme", "--kind", "server", "--dialect", "antavo"]);
    let text = |key: &str| made[0][key].as_str().expect("a text").to_owned();
    let (id, secret) = (text("id"), text("secret"));
    let url = format!("http://{}/events?x=1", gateway.address("plain"));
    let sign = |secret: &str| -> Run {
        let words =
            ["sign", "--scheme", "antavo", "--id", &id, "--secret-file", "-", "-o", "curl", "GET", &url];
        doorward_fed(&words, secret.as_bytes()).ok()
    };
    let explain = |line: &str| {
        let config = gateway.config.clone();
        doorward_fed(&["explain", "--config", &config], line.as_bytes())
    };
    for _ in 0..2 {
        let said = explain(&sign(&secret).stdout).ok();
        assert!(said.stdout.starts_with("The signature is right."), "{said:?}");
    }
    let said = explain(&sign("wrong").stdout).ok();
    assert!(said.stdout.starts_with("The signature is not that of this request."), "{said:?}");
    assert!(!said.said().contains(&secret), "{said:?}");
    let said = explain(&sign(&secret).stdout.replace(&id, "nobody-1")).ok();
    assert!(said.stdout.starts_with("No credential here has the id nobody-1"), "{said:?}");
    let said = explain("GET /nowhere HTTP/1.1\nHost: h\n\n");
    assert_eq!((said.code, said.stderr.contains("route_unknown")), (1, true), "{said:?}");
    for (odd, word) in [
        ("GET /events HTTP/1.1\n", "Host"),
        ("hello", "can't be read"),
        ("curl -u a:b http://h/events", "signs when it sends"),
        ("POST /events HTTP/1.1\nHost: h\nContent-Length: 9\n\nshort", "--body-file"),
    ] {
        let said = explain(odd);
        assert!(said.code == 1 && said.stderr.contains(word), "{odd}: {said:?}");
    }
    assert_eq!(doorward(&["explain", "--secret-file", "x"]).code, 2);
}
