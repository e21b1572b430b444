//! `doorward sign --send`: over plain HTTP and TLS, and what becomes of answers that are none.
use crate::support::{Authority, Do, Folder, Run, Upstream, doorward_fed, skips_unless_sqlite};
use std::sync::atomic::Ordering;

fn send(words: &[&str]) -> Run {
    let fixed = ["sign", "--send", "--scheme", "antavo", "--id", "KEY", "--secret-file", "-"];
    let run = doorward_fed(&[&fixed, words].concat(), b"a-secret");
    assert!(!run.said().contains("a-secret"), "{run:?}");
    run
}

#[test]
fn it_sends_what_it_signed_and_prints_the_answer() {
    if skips_unless_sqlite() {
        return;
    }
    let upstream = Upstream::start();
    let url = |path: &str| format!("http://{}{path}", upstream.address);
    let at = ["--at", "2015-08-30T12:36:00Z"];
    let run =
        send(&[&at[..], &["-H", "X-One: 1", "--data", "hello", "POST", &url("/one?a=b")]].concat()).ok();
    assert!(run.stdout.starts_with("HTTP/1.1 200 OK\n") && run.stdout.ends_with("\n\nhello"), "{run:?}");
    let seen = upstream.one("/one");
    assert_eq!((seen.head.word(0), seen.target(), &seen.body[..]), ("POST", "/one?a=b", &b"hello"[..]));
    assert_eq!(seen.get("host"), Some(upstream.address.to_string().as_str()));
    assert_eq!((seen.get("x-one"), seen.get("date")), (Some("1"), Some("20150830T123600Z")));
    assert!(
        seen.get("authorization")
            .is_some_and(|v| v.contains("Credential=KEY/20150830/us/api/antavo_request"))
    );
    // However it is framed.
    for framing in ["chunked", "tiny", "close"] {
        let run = send(&["--data", "hello again", "POST", &url(&format!("/two/{framing}"))]).ok();
        assert!(run.stdout.ends_with("\n\nhello again"), "{framing}: {run:?}");
    }
    let head = send(&["HEAD", &url("/three")]).ok().stdout;
    assert!(head.ends_with("Content-Length: 0\n\n"), "{head}");
    upstream.on("/interim", Do::answer(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"));
    assert_eq!(send(&["GET", &url("/interim")]).ok().stdout, "HTTP/1.1 204 No Content\n\n");
    // An address that is signed is sent as it was signed.
    send(&["--presign", "60", "GET", &url("/presigned")]).ok();
    let seen = upstream.one("/presigned");
    assert!(seen.target().contains("X-Antavo-Signature=") && seen.get("authorization").is_none());
}

#[test]
fn it_speaks_tls_and_checks_who_answers() {
    if skips_unless_sqlite() {
        return;
    }
    let (authority, folder) = (Authority::new(), Folder::new());
    let ca = folder.write("ca.pem", &authority.pem());
    let other = folder.write("other.pem", &Authority::new().pem());
    let (address, read) = authority.serve("localhost", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let url = format!("https://localhost:{}/x", address.port());
    let run = send(&["--ca-file", &ca, "GET", &url]).ok();
    assert!(run.stdout.ends_with("\n\nhello"), "{run:?}");
    assert_eq!(read.load(Ordering::SeqCst), 1);
    for (words, why) in [
        (vec!["--ca-file", other.as_str()], "certificate"),
        (vec![], "certificate"),
        (vec!["--ca-file", "gone.pem"], "gone.pem"),
    ] {
        let run = send(&[&words[..], &["GET", &url]].concat());
        assert!(run.code == 1 && run.stderr.contains(why) && run.stdout.is_empty(), "{run:?}");
    }
    assert_eq!(read.load(Ordering::SeqCst), 1, "nothing is sent to who can't be trusted");
}

#[test]
fn what_is_no_good_answer_ends_with_1() {
    if skips_unless_sqlite() {
        return;
    }
    let upstream = Upstream::start();
    for (number, (answer, why)) in [
        (
            "HTTP/1.1 401 Unauthorized\r\nDoorward-Code: signature_replayed\r\nContent-Length: 2\r\n\r\n{}",
            "401 signature_replayed",
        ),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "503"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "ended"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "ended"),
        ("HTTP/1.1 200 OK\r\nContent-", "ended"),
        ("", "ended"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "no clean HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "no clean HTTP"),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("/answer{number}z");
        upstream.on(&tag, Do::answer_and_close(answer));
        let run = send(&["GET", &format!("http://{}{tag}", upstream.address)]);
        assert!(run.code == 1 && run.stderr.contains(why), "{answer:?}: {run:?}");
    }
    let refusal = send(&["GET", &format!("http://{}/answer0z", upstream.address)]).stdout;
    assert!(refusal.ends_with("\n\n{}"), "a refusal is printed all the same: {refusal}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let run = send(&["GET", &format!("http://{address}/")]);
    assert!(run.code == 1 && run.stderr.contains(&address.to_string()), "{run:?}");
}
