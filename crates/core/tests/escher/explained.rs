//! What client authors get wrong, and what they are told. Each mistake is made on purpose by a signer of its own.
use crate::support::{Http, at};
use aws_lc_rs::{digest, hmac};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::explain::{Body, Explanation, Question, Step, Theirs, explain};
use doorward_core::schemes::escher::{self, Config, DEFAULT_SKEW_MS, How, Signer, SigningSecret, ToSign};

const NOW: &str = "2015-08-30T12:36:00Z";
const SECRET: &str = "s3cret-of-the-client";
const BODY: &str = "{\"points\": 325}";

/// A client that signs by itself, with a mistake at one place.
#[derive(Clone)]
struct Client {
    config: Config,
    prefix: &'static str,
    scope: &'static str,
    req: ToSign,
    fields: Vec<String>,
    /// What it makes of the right canonical request and of the right string to sign.
    canonical: fn(String) -> String,
    string: fn(String) -> String,
    /// What its key is made from before day and scope.
    key: fn(&str) -> String,
    signed_at: &'static str,
    /// What becomes of the request after it was signed.
    sent: fn(Http) -> Http,
}

/// What a client sends, and what it believes to have signed.
struct Sent {
    http: Http,
    canonical: String,
    string: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Client {
    fn antavo(target: &str) -> Client {
        Client {
            config: Config::antavo("us/api/antavo_request").unwrap().with_escaped_plus_as_space(false),
            prefix: "ANTAVO",
            scope: "us/api/antavo_request",
            req: ToSign {
                method: "POST".to_owned(),
                host: "api.example".to_owned(),
                target: target.to_owned(),
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: BodyDigest::of(Hash::Sha256, BODY.as_bytes()),
            },
            fields: Vec::new(),
            canonical: |c| c,
            string: |s| s,
            key: |secret| format!("ANTAVO{secret}"),
            signed_at: NOW,
            sent: |http| http,
        }
    }

    fn aws4(target: &str) -> Client {
        let client = Client::antavo(target);
        Client {
            config: Config::aws4("us-east-1/execute-api/aws4_request").unwrap(),
            prefix: "AWS4",
            scope: "us-east-1/execute-api/aws4_request",
            key: |secret| format!("AWS4{secret}"),
            ..client
        }
    }

    fn send(&self) -> Sent {
        let signer = Signer { id: "KEY".to_owned(), secret: SigningSecret::new(SECRET.as_bytes()) };
        let how = How { fields: self.fields.clone(), ..How::default() };
        let right = escher::sign(&self.config, &signer, &self.req, &how, at(self.signed_at)).unwrap();
        let canonical = (self.canonical)(right.canonical_request.to_string());
        let day = &at(self.signed_at).iso_basic()[..8];
        let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let instant = at(self.signed_at).iso_basic();
        let string =
            (self.string)(format!("{}-HMAC-SHA256\n{instant}\n{day}/{}\n{hashed}", self.prefix, self.scope));
        let mut key = (self.key)(SECRET).into_bytes();
        for part in std::iter::once(day).chain(self.scope.split('/')) {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        let signature = hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), string.as_bytes()).as_ref());
        let mut http = Http::signed(&self.req, BODY.as_bytes(), &right);
        let (_, value) = http.headers.last_mut().unwrap();
        let text = String::from_utf8(value.clone()).unwrap();
        let head = text.split("Signature=").next().unwrap().replace(self.config.scope(), self.scope);
        *value = format!("{head}Signature={signature}").into_bytes();
        Sent { http: (self.sent)(http), canonical, string }
    }
}

fn ask(client: &Client, sent: &Sent, theirs: Option<Theirs<'_>>, secret: Option<&str>) -> Explanation {
    let secret = secret.map(|s| SigningSecret::new(s.as_bytes()));
    sent.http.view(|req| {
        explain(&Question {
            config: &client.config,
            req,
            body: Body::Bytes(&sent.http.body),
            now: at(NOW),
            skew_ms: DEFAULT_SKEW_MS,
            secret: secret.as_ref(),
            theirs,
        })
    })
}

/// In which way a cause has to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// In each: with the secret alone, from the canonical request alone, from the string to sign alone.
    All,
    /// As above, but no digest tells which other bytes were hashed.
    Canonical,
    /// From the string to sign, or with the secret.
    String,
    /// With the secret alone.
    SecretOnly,
    /// From the string to sign alone: there are too many others to try.
    StringOnly,
}

#[test]
fn mistakes_are_named() {
    let plain = Client::antavo("/customers/8eb1b522?b=2&a=1");
    let with = |change: &dyn Fn(&mut Client)| {
        let mut client = plain.clone();
        change(&mut client);
        client
    };
    let target =
        |target: &str, canonical: fn(String) -> String| Client { canonical, ..Client::antavo(target) };
    let mistakes: Vec<(&str, By, Client, &str)> = vec![
        (
            "host_port",
            By::All,
            with(&|c| {
                c.req.host = "api.example:8443".to_owned();
                c.canonical = |c| c.replace("host:api.example:8443", "host:api.example");
            }),
            "exactly as it is sent",
        ),
        (
            "host_port",
            By::All,
            with(&|c| c.canonical = |c| c.replace("api.example", "api.example:443")),
            "port",
        ),
        ("query_order", By::All, with(&|c| c.canonical = |c| c.replace("a=1&b=2", "b=2&a=1")), "sort them"),
        ("query_plus", By::All, target("/x?q=a%2Bb", |c| c.replace("%2B", "%20")), "plus as %2B"),
        ("query_plus", By::All, target("/x?q=a%20b", |c| c.replace("%20", "+")), "a space is signed as %20"),
        ("query_encoding", By::All, target("/x?q=a,b", |c| c.replace("%2C", ",")), "percent-encoded"),
        ("query_encoding", By::All, target("/x?q=%C3%A9", |c| c.replace("%C3%A9", "%c3%a9")), "upper-case"),
        ("query_encoding", By::All, target("/x?q", |c| c.replace("q=", "q")), "gets a `=`"),
        ("trailing_newline", By::All, with(&|c| c.canonical = |c| c + "\n"), "line feed too many"),
        ("trailing_newline", By::String, with(&|c| c.string = |s| s + "\n"), "line feed too many"),
        ("line_ends", By::All, with(&|c| c.canonical = |c| c.replace('\n', "\r\n")), "CR LF"),
        ("blank_line", By::All, with(&|c| c.canonical = |c| c.replace("\n\n", "\n")), "empty line"),
        (
            "date_form",
            By::All,
            with(&|c| c.canonical = |c| c.replace("20150830T123600Z", "Sun, 30 Aug 2015 12:36:00 GMT")),
            "exactly as sent",
        ),
        (
            "date_form",
            By::String,
            with(&|c| c.string = |s| s.replace("20150830T123600Z", "2015-08-30T12:36:00Z")),
            "always YYYYMMDD",
        ),
        ("clock", By::All, with(&|c| c.signed_at = "2015-08-30T12:30:59Z"), "clock"),
        (
            "body",
            By::All,
            with(&|c| {
                c.canonical = |c| {
                    let (head, _) = c.rsplit_once('\n').unwrap();
                    format!("{head}\n{}", Hash::Sha256.of(b""))
                }
            }),
            "hash exactly the bytes",
        ),
        (
            "body",
            By::Canonical,
            with(&|c| c.sent = |http| http.body("{\"points\": 326}")),
            "bytes that are sent",
        ),
        ("scope", By::All, with(&|c| c.scope = "eu/api/antavo_request"), "region"),
        ("scope", By::StringOnly, with(&|c| c.string = |s| s.replace("/us/", "/eu/")), "region"),
        (
            "field_missing",
            By::All,
            with(&|c| {
                c.sent = |mut http| {
                    http.headers.retain(|(n, _)| n != b"date");
                    http
                }
            }),
            "date",
        ),
        (
            "field_extra",
            By::Canonical,
            with(&|c| c.canonical = |c| c.replace("date:", "content-type:application/json\ndate:")),
            "content-type",
        ),
        (
            "field_case",
            By::Canonical,
            with(&|c| c.canonical = |c| c.replace("\nhost:", "\nHost:")),
            "lower case",
        ),
        (
            "field_value",
            By::Canonical,
            with(&|c| {
                c.fields = vec!["content-type".to_owned()];
                c.sent = |mut http| {
                    http.headers[0].1 = b"application/json; charset=utf-8".to_vec();
                    http
                };
            }),
            "content-type",
        ),
        (
            "field_list",
            By::Canonical,
            with(&|c| c.canonical = |c| c.replace("date;host", "host;date")),
            "SignedHeaders",
        ),
        (
            "path_normalised",
            By::All,
            target("/a//b/./c", |c| c.replace("/a/b/c", "/a//b/./c")),
            "doubled slashes",
        ),
        ("path_encoding", By::All, target("/a%2Cb", |c| c.replace("%2C", "%252C")), "percent-encoded"),
        (
            "path_encoding",
            By::All,
            Client { canonical: |c| c.replace("%252C", "%2C"), ..Client::aws4("/a%2Cb") },
            "percent-encoded",
        ),
        ("method", By::All, with(&|c| c.canonical = |c| c.replace("POST", "post")), "upper case"),
        ("key_prefix", By::SecretOnly, with(&|c| c.key = |secret| secret.to_owned()), "prefix"),
        (
            "string_to_sign",
            By::String,
            with(&|c| c.string = |s| s.replace("20150830/us", "us")),
            "put together",
        ),
    ];
    for (cause, by, client, words) in &mistakes {
        let sent = client.send();
        let alone = ask(client, &sent, None, Some(SECRET));
        let canonical = ask(client, &sent, Some(Theirs::CanonicalRequest(sent.canonical.as_bytes())), None);
        let string = ask(client, &sent, Some(Theirs::StringToSign(sent.string.as_bytes())), None);
        for (way, said) in [("secret", &alone), ("canonical", &canonical), ("string", &string)] {
            let asked = match (by, way) {
                (By::All, _) | (By::Canonical, "canonical") | (By::String, "string" | "secret") => true,
                (By::SecretOnly, way) => way == "secret",
                (By::StringOnly, way) => way == "string",
                _ => false,
            };
            let shown = said.to_string();
            assert!(!matches!(said.step, Step::Passed | Step::NotSigned), "{cause} ({way}):\n{shown}");
            assert!(!shown.contains(SECRET), "{shown}");
            if asked {
                assert_eq!(said.cause.as_ref().map(|c| c.name()), Some(*cause), "by {way}:\n{shown}");
                assert!(said.cause.as_ref().unwrap().to_string().contains(words), "{words}: {shown}");
            }
        }
    }
    let names: std::collections::BTreeSet<&str> = mistakes.iter().map(|(cause, ..)| *cause).collect();
    assert!(names.len() >= 12, "{names:?}");
}

/// Whoever agrees with everything has another secret.
#[test]
fn a_wrong_secret_is_what_remains() {
    let client = Client::antavo("/x?a=1");
    let sent = client.send();
    let right = ask(&client, &sent, None, Some(SECRET));
    assert_eq!((right.step, right.cause.as_ref(), right.refusal.as_ref()), (Step::Passed, None, None));
    for theirs in
        [Theirs::CanonicalRequest(sent.canonical.as_bytes()), Theirs::StringToSign(sent.string.as_bytes())]
    {
        let wrong = ask(&client, &sent, Some(theirs), Some("another"));
        assert_eq!(wrong.cause.as_ref().map(|c| c.name()), Some("secret"));
        assert_eq!(wrong.difference, None);
        assert_eq!(wrong.string_to_sign.as_ref().map(ToString::to_string), Some(sent.string.clone()));
        // An unknown id is told the same.
        let unknown = ask(&client, &sent, Some(theirs), None);
        assert_eq!(format!("{unknown:?}{unknown}"), format!("{wrong:?}{wrong}"));
    }
    let wrong = ask(&client, &sent, None, Some("another"));
    let unknown = ask(&client, &sent, None, None);
    assert_eq!(format!("{unknown:?}{unknown}"), format!("{wrong:?}{wrong}"));
    assert_eq!(wrong.cause, None);
}

#[test]
fn the_first_difference_is_shown() {
    let mut client = Client::antavo("/x?a=1");
    client.req.headers.push(("x-secret".to_owned(), "hush".to_owned()));
    client.fields = vec!["x-secret".to_owned()];
    client.req.host = "api.example:8443".to_owned();
    client.canonical = |c| c.replace(":8443", "");
    let sent = client.send();
    let said = ask(&client, &sent, Some(Theirs::CanonicalRequest(sent.canonical.as_bytes())), Some(SECRET));
    let at = said.difference.clone().unwrap();
    assert_eq!((at.line, at.byte), (5, 17));
    assert_eq!(at.ours.as_deref(), Some("host:api.example:8443"));
    assert_eq!(at.theirs.as_deref(), Some("host:api.example"));
    let shown = said.to_string();
    assert!(shown.contains("line 5, byte 17") && shown.contains("x-secret:<hidden>"), "{shown}");
    // Values that are not shown are not shown in a difference either.
    let theirs = sent.canonical.replace("api.example", "api.example:8443").replace("<hidden>", "hush-hush");
    let said = ask(&client, &sent, Some(Theirs::CanonicalRequest(theirs.as_bytes())), None);
    assert!(said.cause.as_ref().is_some_and(|c| c.name() == "field_value"), "{said}");
    assert!(!said.to_string().contains("hush"), "{said}");
}

#[test]
fn what_is_not_signed_is_said_so() {
    let client = Client::antavo("/x");
    let http = Http::new("GET", "/x", "api.example").header("authorization", "Bearer x");
    let said =
        ask(&client, &Sent { http, canonical: String::new(), string: String::new() }, None, Some(SECRET));
    assert_eq!((said.step, said.canonical_request.is_none()), (Step::NotSigned, true));
    let http = Http::new("GET", "/x", "api.example").header("authorization", "ANTAVO-HMAC-SHA256 x");
    let said =
        ask(&client, &Sent { http, canonical: String::new(), string: String::new() }, None, Some(SECRET));
    assert_eq!(said.step, Step::Reading);
    assert!(said.to_string().contains("each part once and in this order"), "{said}");
}
