//! `doorward sign`: what it prints is right, works when pasted, and never shows the secret.
use crate::support::{Folder, Run, Upstream, doorward, doorward_fed, skips_unless_sqlite};
use serde_json::Value;
use std::process::Command;

const AT: &str = "2015-08-30T12:36:00Z";
const ID: &str = "ANTAVOKEYEXAMPLE";
const SECRET: &str = "AntavoSecretExample123";
const POST: &str = r#"{"customer":"8eb1b522","action":"point_add","data":{"points":325}}"#;

/// Signs with the secret on standard input.
fn sign(words: &[&str]) -> Run {
    let fixed = ["sign", "--secret-file", "-", "--at", AT];
    let run = doorward_fed(&[&fixed, words].concat(), SECRET.as_bytes());
    assert!(!run.said().contains(SECRET), "{run:?}");
    run
}

fn antavo(words: &[&str]) -> Run {
    let fixed = ["--scheme", "antavo", "--scope", "st2/api/antavo_request", "--id", ID];
    sign(&[&fixed, words].concat())
}

/// Six requests on which independent implementations agree.
#[test]
fn known_requests_are_signed_as_others_sign_them() {
    if skips_unless_sqlite() {
        return;
    }
    let post = "https://api.st2.antavo.com/events";
    let long = "https://api.st2.antavo.com/customers/8eb1b522/events?limit=10&fields=a,b&name=John%20Doe&timestamp.gt=2023-01-05T13:28:55.233%2B0000&action=opt_in&action=checkout";
    let typed = "Content-Type: application/json";
    for (words, signed, signature) in [
        (
            vec!["GET", "https://api.st2.antavo.com/customers/8eb1b522"],
            "date;host",
            "aa67a5eed92c48d5ce6e3ef57bd85ddb4344179621d78b378ee6cbeaca9737da",
        ),
        (
            vec!["--date-form", "http", "GET", "https://api.st2.antavo.com/customers/8eb1b522"],
            "date;host",
            "90033d5aa1a4f506c5660e89e5899c9dedc5daa6d44756b8d05ee4d964f8af22",
        ),
        (
            vec!["--data", POST, "POST", post],
            "date;host",
            "894527e5855615eef6d419b7bf1d96d9c94ced9d13a90949ff2a3a44b39d3488",
        ),
        (
            vec!["--date-form", "http", "-H", typed, "--sign", "Content-Type", "--data", POST, "POST", post],
            "content-type;date;host",
            "299178e3d0265938e2c2731f51dadbd260e3eefb6a86879bc40bda1b82ca2195",
        ),
        (vec!["GET", long], "date;host", "b163f2cbf6416d35dd3d5bf9a77f42e729ffe82039cd0d785fe7a209168d645f"),
    ] {
        let date = if words.contains(&"http") { "Sun, 30 Aug 2015 12:36:00 GMT" } else { "20150830T123600Z" };
        let run = antavo(&words).ok();
        assert_eq!(
            run.stdout,
            format!(
                "Date: {date}\nAuthorization: ANTAVO-HMAC-SHA256 Credential={ID}/20150830/st2/api/antavo_request, SignedHeaders={signed}, Signature={signature}\n"
            ),
            "{words:?}"
        );
        assert_eq!(run.stderr, "");
    }
    let run = antavo(&["--presign", "86400", "GET", "https://api.st2.antavo.com/customers/8eb1b522?limit=1"]);
    assert_eq!(
        run.ok().stdout,
        "https://api.st2.antavo.com/customers/8eb1b522?limit=1&X-Antavo-Algorithm=ANTAVO-HMAC-SHA256&X-Antavo-Credentials=ANTAVOKEYEXAMPLE%2F20150830%2Fst2%2Fapi%2Fantavo_request&X-Antavo-Date=20150830T123600Z&X-Antavo-Expires=86400&X-Antavo-SignedHeaders=host&X-Antavo-Signature=af770f3919b3c1cc9c724c677caee203d6748bdeb61808159c5bea0584a8714e\n"
    );
}

/// The frozen examples of `vectors/`, in every scheme.
#[test]
fn the_examples_for_client_authors_come_out() {
    if skips_unless_sqlite() {
        return;
    }
    let folder = Folder::new();
    let mut count = 0;
    for (name, names) in [
        ("antavo", vec!["--scheme", "antavo"]),
        ("aws4", vec!["--scheme", "aws4"]),
        (
            "own",
            vec![
                "--scheme",
                "escher",
                "--prefix",
                "DWD1",
                "--vendor",
                "Doorward",
                "--auth-header",
                "X-Dwd-Auth",
                "--date-header",
                "X-Dwd-Date",
                "--scope",
                "eu/orders/dwd_request",
            ],
        ),
    ] {
        let file = format!("{}/../../vectors/signing-{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).expect("a file of examples");
        let all: Value = serde_json::from_str(&text).expect("JSON");
        let of = |value: &Value| value.as_str().expect("text").to_owned();
        let secret = folder.write("secret", &format!("{}\n", of(&all["secret"])));
        for example in all["examples"].as_array().expect("examples") {
            let request = &example["request"];
            let mut words: Vec<String> = ["sign", "--secret-file", &secret, "--output", "json", "--explain"]
                .map(str::to_owned)
                .to_vec();
            words.extend(names.iter().map(|w| (*w).to_owned()));
            words.extend(["--id".to_owned(), of(&all["id"]), "--at".to_owned(), of(&example["date"])]);
            for pair in request["headers"].as_array().expect("headers") {
                words.extend(["-H".to_owned(), format!("{}: {}", of(&pair[0]), of(&pair[1]))]);
                words.extend(["--sign".to_owned(), of(&pair[0])]);
            }
            let body = of(&request["body"]);
            if !body.is_empty() {
                words.extend(["--data".to_owned(), body]);
            }
            if of(&example["string_to_sign"]).contains("SHA512") {
                words.extend(["--hash".to_owned(), "sha512".to_owned()]);
            }
            if of(&example["name"]) == "get-http-date" {
                words.extend(["--date-form".to_owned(), "http".to_owned()]);
            }
            if let Some(seconds) = example["expires_s"].as_i64() {
                words.extend(["--presign".to_owned(), seconds.to_string()]);
            }
            let base = format!("https://{}", of(&request["host"]));
            words.extend([of(&request["method"]), format!("{base}{}", of(&request["target"]))]);
            let run = doorward(&words.iter().map(String::as_str).collect::<Vec<_>>()).ok();
            let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
            assert_eq!(told["canonical_request"], example["canonical_request"], "{name} {example}");
            assert_eq!(told["string_to_sign"], example["string_to_sign"]);
            assert!(run.stderr.contains(&of(&example["canonical_request"])), "{run:?}");
            assert_eq!(of(&told["url"]), format!("{base}{}", of(&example["signed"]["target"])));
            let headers = told["headers"].as_object().expect("headers");
            let wanted = example["signed"]["headers"].as_array().expect("headers");
            assert_eq!(headers.len(), wanted.len());
            for pair in wanted {
                let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(&of(&pair[0])));
                assert_eq!(found.map(|(_, v)| v), Some(&pair[1]), "{name} {example}");
            }
            count += 1;
        }
    }
    assert!(count >= 20, "{count}");
}

/// What curl sends when its line is pasted is what was signed.
#[test]
fn a_curl_line_works_when_pasted() {
    if skips_unless_sqlite() {
        return;
    }
    let (upstream, folder) = (Upstream::start(), Folder::new());
    folder.write("secret", SECRET);
    folder.write("a file; rm -rf $HOME", "line\r\n'quoted' \"twice\"\n\n");
    let host = upstream.address.to_string();
    for (number, (method, target, more, body)) in [
        ("GET", "/x?b=2&a=1", vec![], ""),
        ("GET", "/x?list[]={a,b}&it's=$HOME&`id`=!!;*", vec![], ""),
        ("GET", "/a/../b/./c//d/%2e%2E/e", vec![], ""),
        ("HEAD", "/x", vec![], ""),
        ("DELETE", "/x?y", vec![], ""),
        (
            "POST",
            "/x",
            vec!["--data", "@it's `a` \"body\"\n$HOME \\ !!\n"],
            "@it's `a` \"body\"\n$HOME \\ !!\n",
        ),
        ("PUT", "/x", vec!["--data", ""], ""),
        ("GET", "/x", vec!["--data", "\u{e9}"], "\u{e9}"),
        ("PATCH", "/x", vec!["--data-file", "a file; rm -rf $HOME"], "line\r\n'quoted' \"twice\"\n\n"),
        (
            "POST",
            "/x",
            vec!["-H", "Content-Type: text/plain; x=\"it's\"", "--sign", "content-type", "--data", "a=b"],
            "a=b",
        ),
        ("GET", "/x", vec!["-H", "X-Empty:", "-H", "X-Two: a", "-H", "X-Two:  b  c", "--sign", "x-two"], ""),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("{target}{}n={number}", if target.contains('?') { "&" } else { "?" });
        let url = format!("http://{host}{target}");
        let fixed = ["--scheme", "antavo", "--id", "KEY", "--secret-file", "secret", "--at", AT];
        let run_in = |output: &str| {
            let words = [&fixed[..], &more, &["--output", output, method, &url]].concat();
            let out = Command::new(env!("CARGO_BIN_EXE_doorward"))
                .arg("sign")
                .args(words)
                .current_dir(folder.path())
                .output()
                .expect("the program runs");
            assert!(out.status.success(), "{out:?}");
            String::from_utf8(out.stdout).expect("text")
        };
        let line = run_in("curl");
        let pasted = Command::new("sh")
            .args(["-c", &line.replacen("curl ", "curl -sS ", 1)])
            .current_dir(folder.path())
            .output()
            .expect("sh runs");
        assert!(pasted.status.success(), "{line}: {pasted:?}");
        let seen = upstream.one(&format!("n={number} "));
        assert_eq!((seen.head.word(0), seen.target()), (method, target.as_str()), "{line}");
        assert_eq!(seen.body, body.as_bytes(), "{line}");
        assert_eq!(seen.get("host"), Some(host.as_str()));
        for added in run_in("headers").lines() {
            let (name, value) = added.split_once(": ").expect("a header line");
            assert_eq!(seen.get(name), Some(value), "{line}");
        }
        let typed = more.iter().any(|word| word.starts_with("Content-Type"));
        assert_eq!(seen.get("content-type").is_some(), typed, "{line}");
        assert_eq!(seen.get("x-empty"), more.contains(&"X-Empty:").then_some(""), "{line}");
    }
}

/// curl's own signer, of another make, signs the same.
#[test]
fn aws4_is_what_curl_signs() {
    if skips_unless_sqlite() {
        return;
    }
    let upstream = Upstream::start();
    let url = format!("http://{}/customers/8eb1b522", upstream.address);
    let curl = Command::new("curl")
        .args([
            "-sS",
            "--aws-sigv4",
            "aws:amz:us-east-1:execute-api",
            "--user",
            &format!("{ID}:{SECRET}"),
            &url,
        ])
        .output()
        .expect("curl runs");
    assert!(curl.status.success(), "{curl:?}");
    let seen = upstream.one("/customers/");
    let at = seen.get("x-amz-date").expect("a date");
    let words = ["sign", "--secret-file", "-", "--at", at, "--scheme", "aws4", "--id", ID, "GET", &url];
    let signed = doorward_fed(&words, SECRET.as_bytes()).ok().stdout;
    let authorization = seen.get("authorization").expect("a signature");
    let bare = |text: &str| text.replace(' ', "");
    assert_eq!(bare(&signed), bare(&format!("X-Amz-Date: {at}\nAuthorization: {authorization}\n")));
}

#[test]
fn the_end_of_a_line_does_not_belong_to_a_secret() {
    if skips_unless_sqlite() {
        return;
    }
    let folder = Folder::new();
    let words = |file: &str| {
        let words = ["sign", "--scheme", "antavo", "--id", ID, "--secret-file", file, "--at", AT, "GET"];
        words.iter().chain(&["https://a/"]).map(|w| (*w).to_owned()).collect::<Vec<_>>()
    };
    let said = |stdin: &[u8]| {
        let words = words("-");
        doorward_fed(&words.iter().map(String::as_str).collect::<Vec<_>>(), stdin)
    };
    let right = said(b"se cret").ok().stdout;
    for same in [&b"se cret\n"[..], b"se cret\r\n"] {
        assert_eq!(said(same).ok().stdout, right);
    }
    for other in [&b"se cret "[..], b" se cret", b"se cre\xff"] {
        assert_ne!(said(other).ok().stdout, right);
    }
    for (stdin, why) in
        [(&b""[..], "no secret"), (b"\n", "no secret"), (b"a\nb\n", "one line"), (&[b'x'; 5000], "4096")]
    {
        let run = said(stdin);
        assert!(run.code == 1 && run.stderr.contains(why) && run.stdout.is_empty(), "{run:?}");
    }
    let gone = words(&folder.file("gone"));
    let run = doorward(&gone.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(run.code == 1 && run.stderr.contains("gone: "), "{run:?}");
}

#[test]
fn mistakes_are_told_in_a_sentence() {
    if skips_unless_sqlite() {
        return;
    }
    let url = "https://a/x";
    let get = |words: &[&'static str]| [words, &["GET", "https://a/x"]].concat();
    for (words, why) in [
        (vec!["GET", "a/x"], "https://"),
        (vec!["GET", "https://a/b c"], "%20"),
        (vec!["GET", "https://a/\u{e9}"], "%C3%A9"),
        (vec!["GET", "https://a/x#y"], "%23"),
        (vec!["GET", "https://u:p@a/x"], "user"),
        (vec!["GET", "https://a:99999/x"], "port"),
        (vec!["GET", "https://a_b,c/x"], "Host"),
        (vec!["GET", "https://a/\\x"], "percent-encoded"),
        (vec!["get", url], "capitals, as it is signed and sent: GET"),
        (vec!["BREW", url], "method"),
        (get(&["-H", "no colon"]), "Name: value"),
        (get(&["-H", "Host: b"]), "comes from the address"),
        (get(&["-H", "Content-Length: 3"]), "leave it out"),
        (get(&["-H", "Transfer-Encoding: chunked"]), "leave it out"),
        (get(&["-H", "Authorization: Bearer x"]), "written by the signature"),
        (get(&["-H", "Date: Sun, 30 Aug 2015 12:36:01 GMT"]), "date"),
        (get(&["-H", "X-A: b\r\nX-C: d"]), "header"),
        (get(&["-H", "X A: b"]), "header"),
        (get(&["--sign", "x-absent"]), "x-absent"),
        (get(&["--presign", "0"]), "999999999"),
        (get(&["--presign", "60", "--data", "x"]), "without a body"),
        (vec!["--presign", "60", "POST", url], "method"),
        (get(&["--scope", "us"]), "scope"),
        (get(&["--prefix", "X"]), "--scheme escher"),
        (get(&["--id", "a/b"]), "id"),
        (get(&["--at", "yesterday"]), "2015-08-30T12:36:00Z"),
        (get(&["--data-file", "-"]), "standard input"),
        (get(&["--data", "x", "--data-file", "y"]), "cannot be used"),
        (get(&["--send", "--output", "curl"]), "cannot be used"),
        (get(&["--hash", "md5"]), "sha256"),
        (get(&["--scheme", "aws4", "--hash", "sha512"]), "hash"),
        (get(&["--scheme", "aws4", "--date-form", "http"]), "aws4"),
        (get(&["--scheme", "escher", "--prefix", "EMS"]), "--vendor"),
        (get(&["--scheme", "escher", "--prefix", "E S", "--vendor", "Ems", "--scope", "a/b"]), "prefix"),
        (get(&["--scheme", "hmac"]), "antavo"),
        (vec!["GET"], "<URL>"),
    ] {
        let scheme: &[&str] = if words.contains(&"--scheme") { &[] } else { &["--scheme", "antavo"] };
        let id: &[&str] = if words.contains(&"--id") { &[] } else { &["--id", ID] };
        // A time that is given twice would be another mistake.
        let fixed: &[&str] = if words.contains(&"--at") { &["sign"] } else { &["sign", "--at", AT] };
        let all = [fixed, &["--secret-file", "-"], scheme, id, &words].concat();
        let run = doorward_fed(&all, SECRET.as_bytes());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{words:?}: {run:?}");
        assert!(run.stderr.contains(why) && !run.stderr.contains(SECRET), "{words:?}: {}", run.stderr);
    }
    // There is no way to give a secret as an argument.
    let run = sign(&["--scheme", "antavo", "--id", ID, "--secret", "x", "GET", url]);
    assert_eq!(run.code, 2, "{run:?}");
    let folder = Folder::new();
    std::fs::write(folder.file("noise"), [0, 255]).expect("the folder takes files");
    let (secret, noise) = (folder.write("secret", SECRET), folder.file("noise"));
    let binary = doorward(&[
        "sign",
        "--scheme",
        "antavo",
        "--id",
        ID,
        "--secret-file",
        &secret,
        "--data-file",
        &noise,
        "--output",
        "curl",
        "POST",
        url,
    ]);
    assert!(binary.ok().stdout.contains("--data-binary"), "a file is named, not written out");
    let piped = doorward_fed(
        &[
            "sign",
            "--scheme",
            "antavo",
            "--id",
            ID,
            "--secret-file",
            &secret,
            "--data-file",
            "-",
            "--output",
            "curl",
            "POST",
            url,
        ],
        &[0, 255],
    );
    assert!(piped.code == 1 && piped.stderr.contains("--data-file FILE"), "{piped:?}");
}

#[test]
fn its_help_teaches() {
    if skips_unless_sqlite() {
        return;
    }
    let help = doorward(&["sign", "--help"]).ok().stdout;
    for word in
        ["--scheme", "antavo", "aws4", "us/api/antavo_request", "Examples:", "--send", "standard input"]
    {
        assert!(help.contains(word), "{word}: {help}");
    }
}
