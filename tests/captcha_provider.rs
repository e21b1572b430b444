//! A provider of captchas that says what it is told to say.
use crate::support::Inbox;
use doorward_core::time::UnixMillis;
use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who asks with it is believed.
pub(crate) const SECRET: &str = "the-shops-own-secret";

#[derive(Default)]
struct State {
    /// Every question: its path and its form.
    asked: Mutex<Vec<(String, String)>>,
    /// When each response was first asked about.
    first: Mutex<HashMap<String, i64>>,
}

/// A provider. The first word of a response says what it answers.
pub(crate) struct Provider {
    address: SocketAddr,
    state: Arc<State>,
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UnixMillis(since.as_millis() as i64)
}

impl Provider {
    pub(crate) fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || answer(socket, &state));
            }
        });
        Provider { address, state }
    }

    /// The questions whose forms hold a text: path and form.
    pub(crate) fn asked(&self, text: &str) -> Vec<(String, String)> {
        let all = self.state.asked.lock().expect("no test panics here");
        all.iter().filter(|(_, form)| form.contains(text)).cloned().collect()
    }

    /// Where it is, as TOML.
    pub(crate) fn url(&self) -> String {
        format!("\"http://{}/siteverify\"", self.address)
    }
}

fn json(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn solved(at: UnixMillis, host: &str) -> String {
    json(&format!(r#"{{"success": true, "challenge_ts": "{at}", "hostname": "{host}"}}"#))
}

fn answer(mut socket: TcpStream, state: &State) {
    let mut inbox = Inbox::new(socket.try_clone().expect("a socket"));
    let Ok(head) = inbox.head() else { return };
    let Ok((body, _)) = inbox.body_of(&head) else { return };
    let form = String::from_utf8(body).expect("a form is text");
    let path = head.word(1).to_owned();
    state.asked.lock().expect("no test panics here").push((path.clone(), form.clone()));
    let field = |name: &str| {
        let found = form.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    let (secret, response) = (field("secret"), field("response"));
    let known = now().0;
    let first = *state.first.lock().expect("no test panics here").entry(response.clone()).or_insert(known);
    let at = UnixMillis(first);
    let good = solved(at, "shop.example");
    let text = match response.split('-').next().unwrap_or_default() {
        // Whoever follows is let in: nobody must.
        _ if path == "/elsewhere" => good,
        "pass" if secret == SECRET => good,
        "pass" => json(r#"{"success": false, "error-codes": ["invalid-input-secret"]}"#),
        "fail" => json(r#"{"success": false, "error-codes": ["invalid-input-response"]}"#),
        "duplicate" => json(r#"{"success": false, "error-codes": ["timeout-or-duplicate"]}"#),
        "liar" => solved(at, "evil.example"),
        "nohost" => json(&format!(r#"{{"success": true, "challenge_ts": "{at}"}}"#)),
        "old" => solved(at.plus_ms(-120_000), "shop.example"),
        "ahead" => solved(at.plus_ms(60_000), "shop.example"),
        "html" => good.replace("application/json", "text/html"),
        "markup" => json("<html><body>success</body></html>"),
        "twice" => json(&format!(
            r#"{{"success": false, "success": true, "challenge_ts": "{at}", "hostname": "shop.example"}}"#
        )),
        "moved" => format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{}/elsewhere\r\nContent-Length: 0\r\n\r\n",
            socket.local_addr().expect("a socket")
        ),
        "error" => good.replacen("200 OK", "500 Internal Server Error", 1),
        "created" => good.replacen("200 OK", "201 Created", 1),
        "large" => {
            let filler = "x".repeat(10_000_000);
            json(&format!(
                r#"{{"success": true, "challenge_ts": "{at}", "hostname": "shop.example", "filler": "{filler}"}}"#
            ))
        }
        "bighead" => good.replacen("\r\n", &format!("\r\nX-Filler: {}\r\n", "x".repeat(200_000)), 1),
        "cut" => good[..good.len() - 5].to_owned(),
        "garbage" => "\0\x01\x02 not HTTP at all\r\n\r\n".to_owned(),
        "nothing" => String::new(),
        "drip" => {
            // A byte now and then, as if there were all the time in the world.
            for byte in good.bytes() {
                if socket.write_all(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            return;
        }
        // It hangs, until whoever asked has gone.
        _ => {
            while inbox.fill().is_ok() {}
            return;
        }
    };
    // Whoever has heard enough may have gone.
    let _ = socket.write_all(text.as_bytes());
    if response.starts_with("cut") || text.is_empty() {
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
}
