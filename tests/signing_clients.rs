//! Public signers, unmodified, against the demo: what they send is accepted once, and the same bytes never again. The
//! libraries need Node.js and `DOORWARD_CLIENTS`.
use crate::support::{Actor, Conn, Demo, skipped, skips_unless_sqlite, wait_for};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Passes everything on, and keeps what callers send: a connection each.
struct Recorder {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn before(target: SocketAddr) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let sent: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = Arc::clone(&sent);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(target) else { break };
                let at = {
                    let mut kept = kept.lock().expect("no thread panics with it");
                    kept.push(Vec::new());
                    kept.len() - 1
                };
                let kept = Arc::clone(&kept);
                let ends = [near.try_clone(), far.try_clone()].map(|socket| socket.expect("a socket"));
                std::thread::spawn(move || {
                    pump(&ends[0], &ends[1], |bytes| {
                        kept.lock().expect("no thread panics with it")[at].extend_from_slice(bytes);
                    })
                });
                std::thread::spawn(move || pump(&far, &near, |_| {}));
            }
        });
        Recorder { address, sent }
    }

    /// What was sent on the last connection.
    fn last(&self) -> Vec<u8> {
        self.sent.lock().expect("no thread panics with it").last().cloned().unwrap_or_default()
    }
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, mut seen: impl FnMut(&[u8])) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(n) = from.read(&mut bytes) {
        if n == 0 {
            break;
        }
        seen(&bytes[..n]);
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// The demo, and somebody who listens between it and a client.
struct Heard {
    demo: Demo,
    recorder: Recorder,
    gateway: SocketAddr,
}

impl Heard {
    fn start() -> Heard {
        let demo = Demo::start();
        let gateway = demo.text("gateway").trim_start_matches("http://").parse().expect("an address");
        Heard { demo, recorder: Recorder::before(gateway), gateway }
    }

    fn url(&self) -> String {
        format!("http://{}", self.recorder.address)
    }

    /// Asserts that the last call arrived as `echo` says, and that the same bytes are not accepted again.
    #[track_caller]
    fn expect_once(&self, caller: &Actor, echo: &Value, method: &str, body: Option<&str>) {
        assert_eq!(echo["method"], method, "{echo}");
        assert_eq!(echo["headers"]["doorward-credential"][0], caller.id.as_str(), "{echo}");
        assert_eq!(echo["headers"]["doorward-scheme"][0], "escher", "{echo}");
        assert_eq!(echo["body"].as_str().unwrap_or_default(), body.unwrap_or_default(), "{echo}");
        assert!(echo["headers"]["authorization"].is_null(), "{echo}");
        let bytes = self.recorder.last();
        assert!(bytes.starts_with(method.as_bytes()), "{}", String::from_utf8_lossy(&bytes));
        for _ in 0..2 {
            let answer = Conn::open(self.gateway).send(&bytes).answer();
            assert_eq!((answer.status, answer.code()), (401, "signature_replayed"), "{answer:?}");
        }
        // Another body, or none, is another request, which nobody signed.
        if body.is_some() {
            let last = bytes.len() - 1;
            let other = [&bytes[..last], &[bytes[last] ^ 1]].concat();
            let answer = Conn::open(self.gateway).send(other).answer();
            let refused = matches!(answer.code(), "signature_invalid" | "digest_invalid");
            assert!(refused && answer.status == 401, "{answer:?}");
        }
    }
}

const JSON: &str = r#"{"customer":"8eb1b522","name":"Zoë","points":325}"#;

/// Has a library sign and send one call after the other.
fn run(library: &str, dialect: &str, calls: &[Value]) {
    if skips_unless_sqlite() {
        return;
    }
    let Ok(clients) = std::env::var("DOORWARD_CLIENTS") else {
        skipped(library, "DOORWARD_CLIENTS is not set");
        return;
    };
    let heard = Heard::start();
    let caller = heard.demo.actor("production", "server", dialect);
    let scope =
        if dialect == "aws4" { "us-east-1/execute-api/aws4_request" } else { "us/api/antavo_request" };
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/signing.mjs");
    for call in calls {
        let told = json!({
            "modules": format!("{clients}/node_modules/"),
            "apiUrl": heard.url(),
            "library": library,
            "id": caller.id,
            "secret": caller.secret,
            "scope": scope,
            "calls": [call],
        });
        let out =
            Command::new("node").arg(&script).env("TOLD", told.to_string()).output().expect("node runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{call}: {text}{}", String::from_utf8_lossy(&out.stderr));
        let answers: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(answers[0]["status"], 200, "{call}: {answers}");
        let echo: Value = serde_json::from_str(answers[0]["body"].as_str().expect("text")).expect("an echo");
        let method = call["method"].as_str().expect("a method");
        heard.expect_once(&caller, &echo, method, call["body"].as_str());
        let typed = echo["headers"]["content-type"][0] == "application/json";
        assert_eq!(typed, call["body"].is_string(), "{echo}");
    }
    assert!(!heard.demo.log().contains(&caller.secret));
}

#[test]
fn escher_auth_of_npm_signs_requests_that_pass_once() {
    run(
        "escher-auth",
        "antavo",
        &[
            json!({"method": "GET", "path": "/customers/jane"}),
            json!({"method": "GET", "path": "/customers/jane?limit=10&fields=a,b&name=John%20Doe&action=x&action=a"}),
            json!({"method": "GET", "path": "/customers/jane?q=%C3%A9t%C3%A9&plus=a+b&two=a%2Bb&bang=!*'()"}),
            json!({"method": "POST", "path": "/events", "body": JSON}),
            json!({"method": "POST", "path": "/events/x", "body": JSON, "sign": ["content-type"]}),
            json!({"method": "PUT", "path": "/customers/jane?x=1", "body": JSON, "hash": "SHA512"}),
            json!({"method": "GET", "path": "/customers/jane?sha=512", "hash": "SHA512"}),
            json!({"method": "DELETE", "path": "/customers/jane"}),
        ],
    );
}

#[test]
fn aws4_of_npm_signs_requests_that_pass_once() {
    run(
        "aws4",
        "aws4",
        &[
            json!({"method": "GET", "path": "/echo/hello"}),
            json!({"method": "GET", "path": "/echo/a%20b?b=2&a=1&name=John%20Doe&c"}),
            json!({"method": "POST", "path": "/echo/events", "body": JSON}),
            json!({"method": "PUT", "path": "/echo/events?x=1", "body": JSON}),
            json!({"method": "DELETE", "path": "/echo/hello"}),
        ],
    );
}

#[test]
fn curl_signs_requests_that_pass_once() {
    if skips_unless_sqlite() {
        return;
    }
    let heard = Heard::start();
    let caller = heard.demo.actor("production", "server", "aws4");
    let typed = ["-H", "Content-Type: application/json"];
    for (method, path, words, body) in [
        ("GET", "/echo/hello", vec![], None),
        ("GET", "/echo/hello?a=1&b=2", vec![], None),
        // It signs queries and paths as they are sent.
        ("GET", "/echo/hello?b=2&a=1", vec![], None),
        ("GET", "/echo/a%20b", vec![], None),
        ("POST", "/echo/events", [&typed[..], &["--data-binary", JSON]].concat(), Some(JSON)),
        ("PUT", "/echo/events?a=1", [&typed[..], &["-X", "PUT", "--data-binary", JSON]].concat(), Some(JSON)),
        ("DELETE", "/echo/hello", vec!["-X", "DELETE"], None),
    ] {
        let out = Command::new("curl")
            .args(["-sS", "--aws-sigv4", "aws:amz:us-east-1:execute-api", "--user"])
            .arg(format!("{}:{}", caller.id, caller.secret))
            .args(&words)
            .arg(format!("{}{path}", heard.url()))
            .output()
            .expect("curl runs");
        assert!(out.status.success(), "{out:?}");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let echo: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        heard.expect_once(&caller, &echo, method, body);
    }
    // What the demo prints works when pasted, once for each time that it is signed.
    let examples = heard.demo.told["examples"].as_array().cloned().unwrap_or_default();
    let curl = examples.iter().find_map(|e| e["curl"].as_str().filter(|c| c.contains("--aws-sigv4")));
    let curl = curl.expect("an example of curl's own signer");
    wait_for("the next second, in which the same request is another one", || {
        let out = Command::new("sh").args(["-c", curl]).output().expect("sh runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{out:?}");
        text.contains(&format!("\"{}\"", caller.id)).then_some(())
    });
}
