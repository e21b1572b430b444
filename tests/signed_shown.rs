//! What callers and operators are shown of signed requests: explanations where they are wanted, secrets nowhere.
use crate::events::spellings;
use crate::support::{Actor, Answer, SigningWorld, eventually, now_s, tag};

fn explanation(answer: &Answer) -> Option<String> {
    answer.json()["error"]["explanation"].as_str().map(str::to_owned)
}

/// An API that serves a sandbox which wants it explains, to the known and the unknown alike; others never do.
#[test]
fn refused_signatures_are_explained_where_a_sandbox_wants_it() {
    let world = SigningWorld::new();
    let post =
        |who: &Actor, path: &str| world.ask(who.signed("POST", path).at(now_s()).body("{\"a\":1}").bytes());
    let mut told = Vec::new();
    for who in [
        world.tester.with_secret("wrong"),
        world.tester.with_id(&"u".repeat(world.tester.id.len())),
        world.signer.with_secret("wrong"),
    ] {
        let path = "/explained/alike";
        let signed = who.signed("POST", path).at(now_s() / 100 * 100).body("{\"a\":1}");
        let answer = world.ask(signed.bytes());
        answer.expect(401, "signature_invalid");
        let text = explanation(&answer).unwrap_or_else(|| panic!("no explanation: {answer:?}"));
        assert!(text.contains("POST") && text.contains(path), "the canonical request is shown: {text}");
        assert!(!text.contains(&who.secret) && !text.contains(&world.tester.secret), "{text}");
        let signature = signed.authorization();
        let signature = signature.rsplit('=').next().expect("a signature");
        let right =
            world.tester.signed("POST", path).at(now_s() / 100 * 100).body("{\"a\":1}").authorization();
        assert!(
            !text.contains(right.rsplit('=').next().expect("a signature")),
            "the right one is never shown"
        );
        told.push(text.replace(&who.id, "ID").replace(signature, "SIGNATURE"));
    }
    assert!(told.iter().all(|text| *text == told[0]), "{told:#?}");
    // Elsewhere, and where nothing is wrong with the signature, nothing is told.
    for who in [&world.signer.with_secret("wrong"), &world.signer.with_id("nobody"), &world.tester] {
        let answer = post(who, "/signed/x");
        assert_eq!(answer.status, 401);
        assert_eq!(explanation(&answer), None, "{answer:?}");
    }
    post(&world.tester, "/explained/x").expect_ok();
    let missing = world.ask("POST /explained/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(explanation(missing.expect(401, "credential_missing")), None);
    // The sandbox's requests and the production's go where they belong.
    assert!(world.sandbox.count() == 1 && world.production.count() == 0);
}

/// Case 35: secrets that sign, wherever a caller may put them; none shows up anywhere.
#[test]
fn no_secret_that_signs_leaves_a_trace() {
    let mut world = SigningWorld::new();
    let actors = [&world.signer, &world.second, &world.aws, &world.tester];
    for who in actors {
        let secret = &who.secret;
        let path = || format!("/signed/{}", tag());
        let good = who.signed("POST", &path()).body("hello");
        let bytes = good.bytes();
        for request in [
            bytes.clone(),
            bytes,
            who.with_id("nobody").signed("GET", &path()).bytes(),
            who.with_id(secret).signed("GET", &path()).bytes(),
            who.signed("GET", &path()).at(now_s() - 900).bytes(),
            who.signed("GET", &format!("/signed/x?secret={secret}")).bytes(),
            who.signed("GET", "/explained/x").field("X-Secret", secret).bytes(),
            who.signed("POST", "/explained/x").body(secret).bytes(),
            who.signed("GET", &path()).signing("Authorization-2", secret).bytes(),
            good.head_with(secret, "").into_bytes(),
            good.head_with(&format!("ANTAVO-HMAC-SHA256 {secret}"), "").into_bytes(),
            good.head_with(
                &good.authorization().replacen("Signature=", &format!("Signature={secret}"), 1),
                "",
            )
            .into_bytes(),
            format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", who.signed("GET", "/presigned/x").presigned(60))
                .into(),
        ] {
            let _ = world.gateway.connect().send(request).try_answer("GET");
        }
    }
    eventually("the events", || world.gateway.event_lines().len() >= 13 * actors.len());
    let secrets: Vec<String> = actors.iter().flat_map(|who| spellings(&who.secret)).collect();
    let metrics = world.gateway.operations("/metrics").text();
    let listed = world.gateway.command(&["credential", "list", "--json"]).ok().stdout;
    let id = world.signer.id.clone();
    world.gateway.signal("TERM");
    world.gateway.ended();
    let read = |path: String| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let file = |name: &str| read(world.gateway.folder.file(name));
    let stored = String::from_utf8_lossy(&world.gateway.stored()).into_owned();
    assert!(stored.contains(&id) && file("events.jsonl").contains(&id), "nothing was read");
    for (place, text) in [
        ("event lines", file("events.jsonl")),
        ("log", file("stderr.log")),
        ("standard output", file("stdout.log")),
        ("metrics", metrics),
        ("list", listed),
        ("store", stored),
    ] {
        for secret in &secrets {
            // Whoever takes a secret for an id shows it.
            let shown =
                text.lines().any(|line| line.contains(secret.as_str()) && !line.contains("\"unknown\""));
            assert!(!shown, "{place}: {secret}");
        }
    }
}
