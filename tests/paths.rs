//! Paths: the gateway and the upstream read the same one, or there is a 400 (case group A).
use crate::support::{HOST, Shared, World, tag, wait_for};

fn anonymous(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// How the most lenient server might read a path: decoded as often as anything changes, cut at `;`, `\` as `/`, dots
/// resolved, lower case.
fn most_lenient(path: &str) -> String {
    let mut text = path.split(['?', '#']).next().unwrap_or_default().to_owned();
    for _ in 0..4 {
        let mut out = Vec::new();
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
            match hex.filter(|_| bytes[i] == b'%').and_then(|h| u8::from_str_radix(h, 16).ok()) {
                Some(octet) => {
                    out.push(octet);
                    i += 3;
                }
                None => {
                    out.push(bytes[i]);
                    i += 1;
                }
            }
        }
        text = String::from_utf8_lossy(&out).replace('\\', "/");
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/').map(|s| s.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/")).to_ascii_lowercase()
}

/// Some two hundred spellings that lead from the public route to the protected one for somebody.
fn spellings(tag: &str) -> Vec<String> {
    let dots = ["..", "%2e%2e", ".%2e", "%2E.", "..;", "..;x=1", "%2e%2e;", "%252e%252e", "..%00", "..%3b"];
    let slashes = ["/", "//", "%2f", "%2F", "%5c", "\\", "/./", "%252f", "/;/", "%c0%af"];
    let mut all = Vec::new();
    for dots in dots {
        for slash in slashes {
            all.push(format!("/public{slash}{dots}{slash}v1{slash}{tag}"));
            all.push(format!("/public/{dots}{slash}v1/{tag}"));
        }
    }
    for path in ["//v1/T", "/./v1/T", "/public/x/../../v1/T", "/%76%31/T", "/v1%2fT", "/v1;/T", "/v1;x=y/T"] {
        all.push(path.replace('T', tag));
    }
    for path in ["/V1/T", "///v1/T", "/.//v1/T", "/v1/./T", "/v1//T", "/v1/%2e/T", "//api.example.com/v1/T"] {
        all.push(path.replace('T', tag));
    }
    all
}

/// Case 1: for each spelling of a protected path, 400 or the protected rule; the upstream never sees the protected
/// path on a decision that needed no credential.
#[test]
fn no_spelling_leads_around_a_protected_route() {
    let world = World::shared();
    let tag = tag();
    let all = spellings(&tag);
    assert!(all.len() > 200);
    let (mut refused, mut let_through) = (0, 0);
    for spelling in &all {
        let answer = world.ask(anonymous(spelling));
        match answer.status {
            400 => assert_eq!(answer.code(), "request_ambiguous", "{spelling}"),
            401 | 404 => {}
            200 => {
                assert!(most_lenient(spelling).starts_with("/public"), "{spelling} was let through");
                let_through += 1;
            }
            other => panic!("{spelling}: {other}"),
        }
        refused += usize::from(answer.status == 400);
    }
    for seen in world.production.seen(&tag) {
        assert!(most_lenient(seen.target()).starts_with("/public"), "{} arrived", seen.target());
    }
    assert!(
        refused > all.len() / 2 && let_through < all.len() / 4,
        "{refused} refused, {let_through} let through"
    );
}

/// Cases 2 and 4: what servers read differently is refused, and says why.
#[test]
fn odd_paths_are_refused_whoever_asks() {
    let world = World::shared();
    let World { server, .. } = &*world;
    let deep = format!("/v1{};x", "/a".repeat(256));
    for (path, detail) in [
        (&*deep, "path-too-long"),
        ("/v1/a%2fb", "path-encoded-slash"),
        ("/v1/a%2Fb", "path-encoded-slash"),
        ("/v1/a%5cb", "path-encoded-backslash"),
        ("/v1/a%00", "path-encoded-control"),
        ("/v1/a%0d%0aX:y", "path-encoded-control"),
        ("/v1/a%3bb", "path-encoded-delimiter"),
        ("/v1/a%3fb", "path-encoded-delimiter"),
        ("/v1/a%23b", "path-encoded-delimiter"),
        ("/v1/a%252fb", "path-encoded-twice"),
        ("/v1/a%25%32%66b", "path-encoded-twice"),
        ("/v1/a%", "path-escape-malformed"),
        ("/v1/a%2", "path-escape-malformed"),
        ("/v1/a%zz", "path-escape-malformed"),
        ("/v1/./a", "path-dot-segment"),
        ("/v1/../v1/a", "path-dot-segment"),
        ("/v1/a/..", "path-dot-segment"),
        ("/v1/%2e%2e/a", "path-dot-segment"),
        ("/v1/.%2E/a", "path-dot-segment"),
        ("/v1/..;/a", "path-dot-segment"),
        ("/v1//a", "path-empty-segment"),
        ("//v1/a", "path-empty-segment"),
        ("/v1/a//", "path-empty-segment"),
    ] {
        for (who, request) in [("a caller", server.get(path)), ("a stranger", anonymous(path))] {
            let answer = world.ask(request);
            assert_eq!((answer.status, answer.code()), (400, "request_ambiguous"), "{path} from {who}");
            let event = world.gateway.event(answer.id());
            assert_eq!(event["detail"], detail, "{path}");
            assert_eq!((&event["decision"], &event["method"]), (&"deny".into(), &"GET".into()), "{path}");
        }
    }
}

/// What is let through goes on byte for byte.
fn arrives(world: &Shared, target: &str, tag: &str) {
    let answer = world.ask(world.server.get(target));
    assert_eq!((answer.status, answer.code()), (200, ""), "{target}: {answer:?}");
    assert_eq!(world.production.one(tag).target(), target);
}

#[test]
fn plain_paths_and_queries_go_on_byte_for_byte() {
    let world = World::shared();
    for target in [
        "/v1/T",
        "/v1/T/",
        "/v1/a.b/..c/.d/T",
        "/v1/a%20b/%C3%A4/T",
        "/v1/a:b@c!$&'()*+,=/T",
        "/v1/a;v=1/T",
        "/v1/%41/T",
        "/v1/T?",
        "/v1/T?a=%2F%2e%2e//../b&a=%00#".trim_end_matches('#'),
        "/v1/T?q=%252f;x&&=&y",
    ] {
        let tag = tag();
        arrives(&world, &target.replace('T', &tag), &tag);
    }
}

/// An API may say that it wants odd paths; then they go on as they are, but never to another route.
#[test]
fn an_api_may_take_odd_paths_of_its_own() {
    let world = World::shared();
    for target in
        ["/loose/a%2FbT", "/loose//T", "/loose/T//", "/loose/./T", "/loose/x/../T", "/loose/x/%2e%2e/T"]
    {
        let tag = tag();
        arrives(&world, &target.replace('T', &tag), &tag);
    }
    for target in [
        "/loose/../v1/T",
        "/loose/%2e%2e/v1/T",
        "/loose/..%2fv1/T",
        "/loose/x/../../public/T",
        "/loose/a%5cT",
    ] {
        let tag = tag();
        let target = target.replace('T', &tag);
        let answer = world.ask(world.server.get(&target));
        assert_eq!((answer.status, answer.code()), (400, "request_ambiguous"), "{target}");
        assert!(world.production.seen(&tag).is_empty(), "{target}");
    }
}

#[test]
fn routes_are_found_as_they_were_written() {
    let world = World::shared();
    let World { server, single, .. } = &*world;
    for (caller, target, status, route) in [
        (single, "/only/get", 200, "/only/get"),
        (single, "/only/get/", 200, "/only/get"),
        (single, "/only/get/more", 404, ""),
        (single, "/only", 404, ""),
        (single, "/ONLY/get", 404, ""),
        (server, "/v1", 200, "/v1/*"),
        (server, "/v1/", 200, "/v1/*"),
        (server, "/v1x", 404, ""),
        (server, "/v10/x", 404, ""),
        (server, "/", 404, ""),
    ] {
        let answer = world.ask(caller.get(target));
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        let event = world.gateway.event(answer.id());
        assert_eq!(event["route"].as_str().unwrap_or_default(), route, "{target}: {event}");
        assert_eq!(event["path"], target, "{event}");
    }
}

/// The star of OPTIONS is about the server as a whole, which has nothing to say.
#[test]
fn a_star_is_no_route() {
    let world = World::shared();
    let answer = world.ask(format!("OPTIONS * HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", world.server.lines()));
    answer.expect(404, "route_unknown");
}

/// Case 7: host names are compared without case, port and trailing dot, however many there are.
#[test]
fn hosts_are_compared_the_same_way_however_many_there_are() {
    let world = World::new();
    let World { server, gateway, .. } = &world;
    let ask = |host: &str| world.ask(server.get("/hosted/x").replace(HOST, host)).status;
    let same = ["shop.example", "SHOP.Example", "shop.example:8080", "shop.example.", "Api.Shop.Example"];
    let other = ["www.shop.example", "shop.example.evil", "evilshop.example", "shop.exampl", "localhost"];
    for many in [false, true] {
        if many {
            let hosts: String = (0..150).map(|n| format!("\"host{n}.example\", ")).collect();
            let policy = World::policy(&world.production, &world.sandbox);
            gateway.apply(&policy.replace("hosts = [", &format!("hosts = [{hosts}"))).ok();
            wait_for("the hosts", || (ask("host149.example") == 200).then_some(()));
            assert_eq!((ask("HOST77.example:1."), ask("HOST77.example.:1")), (400, 200));
        }
        for host in same {
            assert_eq!(ask(host), 200, "{host} with {many}");
        }
        for host in other {
            assert_eq!(ask(host), 404, "{host} with {many}");
        }
    }
}

/// S9112-4: an absolute form is served under its own path, and the upstream gets an origin form.
#[test]
fn absolute_form_is_served() {
    let world = World::shared();
    let tag = tag();
    world.ask(world.server.get(&format!("http://{HOST}/v1/{tag}?x"))).expect_ok();
    let seen = world.production.one(&tag);
    assert_eq!((seen.target(), seen.get("host")), (format!("/v1/{tag}?x").as_str(), Some(HOST)));
}
