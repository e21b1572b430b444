//! What client authors are taught: docs/signing.md is right to the byte, and the programs beside it sign as `doorward sign`
//! does.
use crate::support::{Folder, Upstream, doorward, sha256, skipped, skips_unless_sqlite};
use aws_lc_rs::hmac;
use std::process::{Command, Output};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
const DATE: &str = "20261121T183211Z";
const ID: &str = "dwi_EXAMPLE";
const SECRET: &str = "dws_EXAMPLE-not-a-secret";
const SCOPE: &str = "us/api/antavo_request";
const BODY: &str = r#"{"customer":"8eb1b522","points":325}"#;
const EXAMPLE: &str = "https://api.example.com:8443/customers?name=John%20Doe&tag=b&tag=a,c";
const TYPED: [&str; 4] = ["-H", "Content-Type: application/json", "--sign", "content-type"];

/// The programs, each with what runs it and what else it needs.
const PROGRAMS: [(&str, &str, &[&str]); 3] =
    [("sh", "sign.sh", &["openssl", "curl"]), ("python3", "sign.py", &[]), ("node", "sign.mjs", &[])];

fn page() -> String {
    std::fs::read_to_string(format!("{ROOT}docs/signing.md")).expect("the page")
}

/// The fenced blocks of the page in one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let pieces: Vec<&str> = page.split("```").collect();
    let inside = pieces.iter().skip(1).step_by(2);
    inside.filter_map(|b| b.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

#[test]
fn the_worked_example_is_right_to_the_byte() {
    if skips_unless_sqlite() {
        return;
    }
    let (page, folder) = (page(), Folder::new());
    let (secret, body) = (folder.write("secret", SECRET), folder.write("body.json", BODY));
    let words =
        ["sign", "--scheme", "antavo", "--id", ID, "--secret-file", &secret, "--at", DATE, "--explain"];
    let run = doorward(&[&words[..], &TYPED, &["--data-file", &body, "POST", EXAMPLE]].concat()).ok();
    let text = blocks(&page, "text");
    let [canonical, string, fields] = &text[..] else { panic!("three texts: {text:?}") };
    assert_eq!(run.stderr, format!("Canonical request:\n{canonical}\nString to sign:\n{string}\n"));
    assert_eq!(&run.stdout, fields);
    let request = &blocks(&page, "http")[0];
    let target = EXAMPLE.strip_prefix("https://api.example.com:8443").expect("the host");
    assert!(request.starts_with(&format!("POST {target} HTTP/1.1\nHost: api.example.com:8443\n")));
    assert!(
        request.ends_with(&format!("\n\n{BODY}\n")) && page.contains(&format!("is {} bytes", BODY.len()))
    );
    assert!(page.contains(&sha256(b"")), "the digest of no body");
    let mut key = format!("ANTAVO{SECRET}").into_bytes();
    let mut before = String::from_utf8_lossy(&key).into_owned();
    for part in [&DATE[..8], "us", "api", "antavo_request"] {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        let result: String = key.iter().map(|b| format!("{b:02x}")).collect();
        let start = if before == "the line above" { before.clone() } else { format!("`{before}`") };
        assert!(page.contains(&format!("| {start} | `{part}` | `{result}` |")), "{part}: {result}");
        before = "the line above".to_owned();
    }
}

/// The pairs of the table about queries.
#[test]
fn queries_are_signed_as_the_page_says() {
    if skips_unless_sqlite() {
        return;
    }
    let (page, folder) = (page(), Folder::new());
    let secret = folder.write("secret", SECRET);
    let table =
        page.split("| sent | signed |").nth(1).expect("the table").split("\n\n").next().expect("rows");
    let mut count = 0;
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.split('`').collect();
        let signed = cells[cells.len() - 2];
        for sent in cells[1..cells.len() - 2].iter().step_by(2) {
            let url = format!("https://a/?{sent}");
            let words =
                ["sign", "--scheme", "antavo", "--id", ID, "--secret-file", &secret, "--explain", "GET"];
            let run = doorward(&[&words[..], &[&url]].concat()).ok();
            assert_eq!(run.stderr.lines().nth(3), Some(signed), "{row}");
            count += 1;
        }
    }
    assert!(count >= 7, "{count}");
}

#[test]
fn the_page_shows_the_programs_as_they_are() {
    if skips_unless_sqlite() {
        return;
    }
    let page = page();
    for (language, file) in [("sh", "sign.sh"), ("python", "sign.py"), ("js", "sign.mjs")] {
        let program = std::fs::read_to_string(format!("{ROOT}examples/signing/{file}")).expect("a program");
        let shown = blocks(&page, language);
        assert!(!shown.is_empty());
        for block in shown {
            assert!(program.contains(&block), "{file} has not:\n{block}");
        }
    }
}

/// Runs a program; `None` where the machine has not what it needs.
fn run(program: &(&str, &str, &[&str]), words: &[&str]) -> Option<Output> {
    let (interpreter, file, needs) = program;
    for need in [interpreter].into_iter().chain(*needs) {
        let there = Command::new("sh").args(["-c", &format!("command -v {need}")]).output();
        if !there.is_ok_and(|out| out.status.success()) {
            skipped(file, &format!("there is no {need}"));
            return None;
        }
    }
    let out = Command::new(interpreter).arg(format!("{ROOT}examples/signing/{file}")).args(words).output();
    Some(out.expect("the interpreter runs"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `doorward sign` prints for the same.
fn signed(at: &str, secret: &str, method: &str, url: &str, body: Option<&str>) -> String {
    let words =
        ["sign", "--scheme", "antavo", "--scope", SCOPE, "--id", ID, "--secret-file", secret, "--at", at];
    let body = body.map(|file| [&TYPED[..], &["--data-file", file]].concat()).unwrap_or_default();
    doorward(&[&words[..], &body, &[method, url]].concat()).ok().stdout
}

fn agrees(program: &(&str, &str, &[&str])) {
    let folder = Folder::new();
    let secret = folder.write("secret", &format!("{SECRET}\n"));
    // A key longer than a block of the hash is hashed first.
    let long = folder.write("long", &SECRET.repeat(9));
    let body = folder.write("body.json", BODY);
    let odd = folder.write("odd", "a\r\n\"\u{e9}\u{1f600}\"\n\n");
    let empty = folder.write("empty", "");
    for (secret, method, url, body) in [
        (&secret, "POST", EXAMPLE, Some(&body)),
        (&secret, "PUT", "https://api.example.com/x", Some(&odd)),
        (&secret, "POST", "https://api.example.com/x", Some(&empty)),
        (&long, "GET", "https://api.example.com/customers/8eb1b522", None),
        (&secret, "DELETE", "https://api.example.com", None),
        (&secret, "GET", "https://api.example.com?", None),
        (&secret, "GET", "https://api.example.com:443/a?b=c?d/e", None),
        (&secret, "GET", "http://api.example.com:80/a", None),
        (&secret, "GET", "http://[::1]:8080/a", None),
        (&secret, "GET", "https://a/caf%C3%A9/%E2%82%AC;v=1/~x", None),
        (&secret, "GET", "https://a/x?b=2&a=10&a=1&p-1=3&p=2&p1=1&B=0&a.b=1", None),
        (
            &secret,
            "GET",
            "https://a/x?q=one+two%20three&r=%2B%2b&s=a,b:c/d@e&t=!*()'~&u=%c3%a9%7E&v&=w&&",
            None,
        ),
        (&secret, "GET", "https://a/x?a==b&c=%26%3d%25", None),
    ] {
        let body = body.map(String::as_str);
        let fixed = ["--print", DATE, ID, secret, SCOPE, method, url];
        let words: Vec<&str> = fixed.into_iter().chain(body).collect();
        let Some(out) = run(program, &words) else { return };
        let typed = if body.is_some() { "Content-Type: application/json\n" } else { "" };
        let expected = format!("{typed}{}", signed(DATE, secret, method, url, body));
        assert_eq!(text(&out.stdout), expected, "{method} {url}: {}", text(&out.stderr));
        assert!(out.status.success());
    }
    let usage = run(program, &["only", "three", "words"]).expect("it ran before");
    assert!(!usage.status.success() && text(&usage.stderr).contains("SECRET_FILE"), "{usage:?}");
}

/// What arrives is what was signed: the host with its port, the query as written, the body to its last byte.
fn sends(program: &(&str, &str, &[&str])) {
    let (upstream, folder) = (Upstream::start(), Folder::new());
    let secret = folder.write("secret", SECRET);
    let odd = folder.write("odd", "a\r\n\"\u{e9}\"\n\n");
    for (number, (method, target, body)) in [
        ("GET", "/a/b?q=one+two&list[]=%7Bx%7D&z", None),
        ("POST", "/a%2520b?x", Some(&odd)),
        ("DELETE", "/a?", None),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("n={number}n");
        let url = format!("http://{}{target}&{tag}", upstream.address);
        let body = body.map(String::as_str);
        let words: Vec<&str> = [ID, &secret, SCOPE, method, &url].into_iter().chain(body).collect();
        let Some(out) = run(program, &words) else { return };
        assert!(out.status.success() && text(&out.stdout).contains("200"), "{out:?}");
        let seen = upstream.one(&tag);
        assert_eq!((seen.head.word(0), seen.target()), (method, format!("{target}&{tag}").as_str()));
        assert_eq!(seen.body, body.map(|file| std::fs::read(file).expect("a file")).unwrap_or_default());
        let date = seen.get("date").expect("a date");
        let expected = signed(date, &secret, method, &url, body);
        let authorization = seen.get("authorization").expect("a signature");
        assert_eq!(format!("Date: {date}\nAuthorization: {authorization}\n"), expected, "{method} {url}");
        assert_eq!(seen.get("content-type"), body.map(|_| "application/json"));
    }
}

#[test]
fn the_shell_program_signs_the_same() {
    if !skips_unless_sqlite() {
        agrees(&PROGRAMS[0]);
        sends(&PROGRAMS[0]);
    }
}

#[test]
fn the_python_program_signs_the_same() {
    if !skips_unless_sqlite() {
        agrees(&PROGRAMS[1]);
        sends(&PROGRAMS[1]);
    }
}

#[test]
fn the_javascript_program_signs_the_same() {
    if !skips_unless_sqlite() {
        agrees(&PROGRAMS[2]);
        sends(&PROGRAMS[2]);
    }
}
