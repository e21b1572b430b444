//! Signed requests that pass: what was signed arrives, and nothing else (case 23).
use crate::support::{Actor, SigningWorld, noise, sha256, tag};

fn world() -> &'static SigningWorld {
    static WORLD: std::sync::OnceLock<SigningWorld> = std::sync::OnceLock::new();
    WORLD.get_or_init(SigningWorld::new)
}

fn both(world: &SigningWorld) -> [&Actor; 2] {
    [&world.signer, &world.aws]
}

#[test]
fn methods_and_bodies_arrive_as_they_were_signed() {
    let world = world();
    let body = br#"{"customer":"8eb1b522","action":"point_add"}"#;
    for caller in both(world) {
        for (method, body) in [
            ("GET", &b""[..]),
            ("GET", body),
            ("HEAD", b""),
            ("POST", body),
            ("POST", b""),
            ("PUT", body),
            ("PATCH", body),
            ("DELETE", b""),
            ("DELETE", body),
        ] {
            let tag = tag();
            let request = caller.signed(method, &format!("/signed/{tag}?b=2&a=x%20y&c")).body(body);
            let answer = world.ask(request.bytes());
            answer.expect_ok();
            let seen = world.production.one(&tag);
            assert!(seen.complete && seen.head.word(0) == method, "{seen:?}");
            assert_eq!(seen.body, body, "{method}");
            assert_eq!(seen.target(), format!("/signed/{tag}?b=2&a=x%20y&c="), "spelt as it was signed");
            assert_eq!(seen.get("doorward-credential"), Some(caller.id.as_str()));
            assert_eq!(seen.get("doorward-workspace"), Some("live"));
            assert_eq!(seen.get("doorward-scheme"), Some("escher"));
            assert_eq!(answer.body, if method == "HEAD" { b"" } else { body });
        }
    }
}

#[test]
fn both_hashes_and_both_forms_of_dates_are_taken() {
    let world = world();
    let request = || world.signer.signed("POST", &format!("/signed/{}", tag())).body("hello");
    for request in [request(), request().http_date(), request().sha512(), request().sha512().http_date()] {
        let seen = world.ask(request.bytes());
        seen.expect_ok();
        assert_eq!(seen.body, b"hello");
    }
    let request = world.aws.signed("GET", &format!("/signed/{}", tag())).sha512();
    world.ask(request.bytes()).expect(401, "credential_malformed");
}

/// However the body is cut, the upstream gets it in one piece, with its length.
#[test]
fn bodies_in_chunks_arrive_whole() {
    let world = world();
    let pool = noise(7, 70_000);
    for (length, size) in [(0, 1), (1, 1), (300, 7), (5_000, 1), (70_000, 70_000), (70_000, 4_096)] {
        let tag = tag();
        let request = world.signer.signed("POST", &format!("/signed/{tag}")).body(&pool[..length]);
        world.ask(request.in_chunks(size)).expect_ok();
        let seen = world.production.one(&tag);
        assert_eq!((sha256(&seen.body), seen.complete), (sha256(&pool[..length]), true));
        assert_eq!(seen.get("transfer-encoding"), None);
        assert_eq!(seen.get("content-length"), Some(length.to_string().as_str()));
    }
}

/// A byte a packet changes nothing, and neither does what comes behind.
#[test]
fn requests_in_pieces_and_in_a_row_are_taken() {
    let world = world();
    let request = |n: &str| world.signer.signed("POST", &format!("/signed/{}", tag())).body(n).bytes();
    let mut connection = world.gateway.connect();
    let first = connection.dribble(request("first")).answer();
    assert_eq!(first.expect_ok().body, b"first");
    connection.send([request("second"), request("third"), request("fourth")].concat());
    for body in ["second", "third", "fourth"] {
        assert_eq!(connection.answer().expect_ok().text(), body);
    }
}

/// S9110-4: who asks first is told to go on, once head and date are in order.
#[test]
fn who_expects_100_is_told_to_go_on() {
    let world = world();
    let request = |at: i64| {
        let request = world.signer.signed("POST", &format!("/signed/{}", tag())).body("hello");
        request.clone().at(crate::support::now_s() + at)
    };
    let mut connection = world.gateway.connect();
    let good = request(0);
    connection.send(good.head("Content-Length: 5\r\nExpect: 100-continue\r\n"));
    let interim = connection.inbox.head().expect("an interim answer");
    assert_eq!(interim.word(1), "100", "{interim:?}");
    assert!(world.production.seen(&good.target).is_empty(), "nothing goes on before the proof");
    assert_eq!(connection.send("hello").answer().expect_ok().body, b"hello");
    let late = request(-900);
    let answer = world.ask(late.head("Content-Length: 5\r\nExpect: 100-continue\r\n"));
    answer.expect(401, "signature_expired");
    assert!(answer.interim.is_empty(), "{answer:?}");
    let large = request(0).head("Content-Length: 1048577\r\nExpect: 100-continue\r\n");
    let answer = world.ask(large);
    answer.expect(413, "body_too_large");
    assert!(answer.interim.is_empty(), "{answer:?}");
}

#[test]
fn a_mebibyte_is_signed_and_a_byte_more_is_not() {
    let world = world();
    let pool = noise(11, (1 << 20) + 1);
    let whole = &pool[..1 << 20];
    for chunked in [false, true] {
        let request = world.signer.signed("PUT", &format!("/signed/{}/close", tag())).body(whole);
        let bytes = if chunked { request.in_chunks(100_000) } else { request.bytes() };
        let answer = world.ask(bytes);
        assert_eq!(answer.expect_ok().get("x-sha256"), Some(sha256(whole).as_str()));
        let tag = tag();
        let request = world.signer.signed("PUT", &format!("/signed/{tag}")).body(&pool);
        let bytes = if chunked { request.in_chunks(100_000) } else { request.bytes() };
        let mut connection = world.gateway.connect();
        // What is sent on after the answer may find nobody.
        let _ = connection.try_send(&bytes);
        connection.answer().expect(413, "body_too_large");
        assert!(world.production.seen(&tag).is_empty());
    }
}

/// Case 23: what was not signed could have been changed on the way.
#[test]
fn what_is_not_signed_does_not_arrive() {
    let world = world();
    const CHANGED: [(&str, &str); 9] = [
        ("X-HTTP-Method-Override", "DELETE"),
        ("Content-Type", "text/xml"),
        ("X-Forwarded-For", "10.1.2.3"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Original-URL", "/admin"),
        ("Cookie", "a=b"),
        ("User-Agent", "curl"),
        ("Accept-Encoding", "gzip"),
    ];
    for caller in both(world) {
        let tag = tag();
        let request = caller.signed("POST", &format!("/signed/{tag}")).body("{}");
        let request = CHANGED.iter().fold(request, |request, (name, value)| request.field(name, value));
        world.ask(request.bytes()).expect_ok();
        let seen = world.production.one(&tag);
        let antavo = caller.dialect == "antavo";
        for (name, value) in CHANGED {
            let has = seen.get(name);
            match name {
                "Content-Type" => assert_eq!(has, antavo.then_some("application/json")),
                "X-Forwarded-For" => assert_eq!(has, Some("127.0.0.1")),
                "X-Forwarded-Host" => assert_eq!(has, Some("api.example.com")),
                "X-Forwarded-Proto" => assert_eq!(has, Some("http")),
                _ => assert_eq!(has, None, "{name}"),
            }
            assert_ne!(has, Some(value), "{name}");
        }
        let mut expected = vec!["content-length", "host", "via", "x-forwarded-for", "x-forwarded-host"];
        expected.extend(["x-forwarded-proto", if antavo { "date" } else { "x-amz-date" }]);
        expected.extend(antavo.then_some("content-type"));
        let ours =
            ["credential", "kind", "request-id", "scheme", "workspace"].map(|n| format!("doorward-{n}"));
        expected.extend(ours.iter().map(String::as_str));
        expected.sort_unstable();
        assert_eq!(seen.head.names(), expected, "an exact set");
    }
}

#[test]
fn what_is_signed_arrives_spelt_as_it_was_signed() {
    let world = world();
    for caller in both(world) {
        let tag = tag();
        let request = caller.signed("POST", &format!("/signed/{tag}?q=a%2fb+c&%61=~%7e")).body("<a/>");
        let request = request.signing("X-HTTP-Method-Override", "PATCH").signing("Content-Type", "text/xml");
        let request = request.signing("X-Words", "  a   b  c ").signing("X-Empty", "");
        let request = request.signing("X-Two", "one").field("x-two", "two").field("Accept", "text/html");
        let target = if caller.dialect == "antavo" { "q=a%2Fb%20c&a=~~" } else { "q=a%2Fb%2Bc&a=~~" };
        // Signature Version 4 takes `+` for itself.
        let request = match caller.dialect.as_str() {
            "antavo" => request,
            _ => crate::support::Signed { target: request.target.replace('+', "%2B"), ..request },
        };
        world.ask(request.bytes()).expect_ok();
        let seen = world.production.one(&tag);
        assert_eq!(seen.target(), format!("/signed/{tag}?{target}"));
        // The method that was decided about is the only one, signed or not.
        assert_eq!(seen.get("x-http-method-override"), None);
        assert_eq!(seen.get("content-type"), Some("text/xml"));
        assert_eq!((seen.get("x-words"), seen.get("x-empty")), (Some("a b c"), Some("")));
        assert_eq!((seen.head.all("x-two"), seen.get("accept")), (vec!["one,two"], None));
    }
}

/// An API may let single fields pass all the same, and may ask that others are signed.
#[test]
fn an_api_says_which_fields_must_be_signed_and_which_pass() {
    let world = world();
    let tag = tag();
    let request = world.signer.signed("POST", &format!("/unsafe/{tag}")).body("{}");
    world.ask(request.bytes()).expect(401, "credential_malformed");
    world.ask(request.clone().field("X-Must", "1").bytes()).expect(401, "credential_malformed");
    let request = request.signing("X-Must", "1").field("X-Passed", "2").field("X-Lost", "3");
    world.ask(request.bytes()).expect_ok();
    let seen = world.production.one(&tag);
    let got = ["x-must", "x-passed", "x-lost"].map(|name| seen.get(name));
    assert_eq!(got, [Some("1"), Some("2"), None]);
}

/// Neither signature nor token, nor what stands for them in the query, is the upstream's business.
#[test]
fn signatures_do_not_reach_the_upstream() {
    let world = world();
    let (header, addresses) = (tag(), [tag(), tag()]);
    let request =
        world.aws.signed("GET", &format!("/signed/{header}")).signing("X-Amz-Security-Token", "tok3n");
    world.ask(request.bytes()).expect_ok();
    for (caller, tag) in both(world).into_iter().zip(&addresses) {
        let target = caller.signed("GET", &format!("/presigned/{tag}?limit=1")).presigned(60);
        world.ask(format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\n\r\n")).expect_ok();
    }
    for (tag, query) in [(&header, ""), (&addresses[0], "?limit=1"), (&addresses[1], "?limit=1")] {
        let seen = world.production.one(tag);
        assert!(seen.target().ends_with(&format!("{tag}{query}")), "{seen:?}");
        let text = String::from_utf8_lossy(&seen.head.raw).to_ascii_lowercase();
        for secret in ["signature", "authorization", "security-token", "tok3n", "x-antavo-", "amz-credential"]
        {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

/// Presigned addresses: off unless the API says so, good until they expire, and never with a body.
#[test]
fn presigned_addresses() {
    let world = world();
    let get = |target: &str, more: &str| {
        world.ask(format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\n{more}"))
    };
    for caller in both(world) {
        let signed = |path: &str| caller.signed("GET", path);
        let off = signed(&format!("/signed/{}", tag())).presigned(60);
        get(&off, "\r\n").expect(401, "scheme_not_accepted");
        let path = format!("/presigned/{}", tag());
        let on = signed(&path).presigned(600);
        get(&on, "\r\n").expect_ok();
        get(&on, "\r\n").expect_ok();
        // Signature Version 4 signs the body of an address: none was signed here.
        let code = if caller.dialect == "aws4" { "signature_invalid" } else { "digest_invalid" };
        get(&on, "Content-Length: 2\r\n\r\nhi").expect(401, code);
        get(&on, "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").expect(401, code);
        assert_eq!(world.production.seen(&path).len(), 2);
        get(&signed(&path).presigned(601), "\r\n").expect(401, "credential_malformed");
        get(&on.replace("Expires=600", "Expires=599"), "\r\n").expect(401, "signature_invalid");
        get(&on.replace("/presigned/", "/presigned/x"), "\r\n").expect(401, "signature_invalid");
        let old = signed(&path).at(crate::support::now_s() - 30).presigned(20);
        get(&old, "\r\n").expect(401, "signature_expired");
    }
    let post = world.signer.signed("POST", "/presigned/x").presigned(60);
    let post =
        world.ask(format!("POST {post} HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 0\r\n\r\n"));
    post.expect(401, "scheme_not_accepted");
}
