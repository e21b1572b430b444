//! Signed requests that are refused, each with its code (section 2 F: every place, every trick).
use crate::support::{Signed, SigningWorld, now_s, tag, wait_for};
use std::sync::OnceLock;

fn world() -> &'static SigningWorld {
    static WORLD: OnceLock<SigningWorld> = OnceLock::new();
    WORLD.get_or_init(SigningWorld::new)
}

fn get() -> Signed {
    world().signer.signed("GET", &format!("/signed/{}", tag()))
}

fn aws() -> Signed {
    world().aws.signed("GET", &format!("/signed/{}", tag()))
}

/// Sends a request whose `Authorization` was changed; it must not arrive.
#[track_caller]
fn refused(request: &Signed, change: impl Fn(String) -> String, status: u16, code: &str) {
    let head = request.head_with(&change(request.authorization()), "");
    let answer = world().ask(&head);
    assert_eq!((answer.status, answer.code()), (status, code), "{head}{answer:?}");
    assert!(world().production.seen(&request.target).is_empty(), "it arrived: {head}");
}

#[test]
fn two_credentials_are_one_too_many() {
    let world = world();
    for request in [get(), aws()] {
        let own = format!("Authorization: {}\r\n", request.authorization());
        let keys = "X-App-Id: a\r\nX-App-Token: b\r\n";
        let target = request.clone();
        for lines in [own.as_str(), "Authorization: Bearer abc\r\n", "authorization: Basic YTpi\r\n"] {
            let answer = world.ask(request.head(lines));
            answer.expect(400, "credential_ambiguous");
        }
        // Also where this API does not take the other one at all.
        world.ask(target.head(keys)).expect(400, "credential_ambiguous");
    }
    // Signed twice, under both names, and in the header and the query.
    let (one, other) = (get(), aws());
    let lines = format!("X-Amz-Date: {}\r\nAuthorization: {}\r\n", other.date, other.authorization());
    world.ask(one.head(&lines)).expect(400, "credential_ambiguous");
    for path in ["/signed/", "/presigned/"] {
        for caller in [&world.signer, &world.aws] {
            let target = caller.signed("GET", &format!("{path}{}", tag())).presigned(60);
            let both = caller.signed("GET", &target);
            world.ask(both.head("")).expect(400, "credential_ambiguous");
            assert!(world.production.seen(&both.target).is_empty());
        }
    }
}

/// `Connection` takes fields away before the upstream; what was signed for the upstream is not one of them.
#[test]
fn what_was_signed_can_not_be_taken_away() {
    let world = world();
    for request in [get(), aws()] {
        let request = request.signing("X-Dry-Run", "1").signing("Content-Type", "text/csv");
        for name in ["x-dry-run", "Content-Type", "close, X-Dry-Run"] {
            let lines = format!("Connection: {name}\r\n");
            world.ask(request.head(&lines)).expect(400, "request_ambiguous");
        }
        world.ask(request.head("Connection: x-other\r\n")).expect_ok();
    }
}

#[test]
fn dates_scopes_and_days_must_agree() {
    let today = get().day();
    let yesterday = |text: String| text.replacen(&today, "20200101", 1);
    refused(&get(), yesterday, 401, "credential_malformed");
    refused(&aws(), yesterday, 401, "credential_malformed");
    for (from, to, code) in [
        ("/us/api/antavo_request", "/us/api/antavo_request/x", "credential_malformed"),
        ("/us/api/antavo_request", "/us/api", "credential_malformed"),
        ("/us/api/antavo_request", "/us/api/", "credential_malformed"),
        ("/us/api/antavo_request", "/us//antavo_request", "credential_malformed"),
        ("/us/api/antavo_request", "/us/../antavo_request", "signature_invalid"),
        ("/us/api/antavo_request", "/eu/api/antavo_request", "signature_invalid"),
        ("/us/api/antavo_request", "/us/api/Antavo_request", "signature_invalid"),
    ] {
        refused(&get(), |text| text.replacen(from, to, 1), 401, code);
    }
    // A foreign scope is foreign even where the signature is right.
    let foreign = Signed { scope: "eu/api/antavo_request".to_owned(), ..get() };
    refused(&foreign, |text| text, 401, "signature_invalid");
    let extra = Signed { scope: "us/api/antavo_request/x".to_owned(), ..get() };
    refused(&extra, |text| text, 401, "credential_malformed");
    for date in ["", "yesterday", "20150830", "2015-08-30T12:36:00Z", "1440938160"] {
        refused(&Signed { date: date.to_owned(), ..get() }, |text| text, 401, "credential_malformed");
        refused(&Signed { date: date.to_owned(), ..aws() }, |text| text, 401, "credential_malformed");
    }
    let twice = get();
    refused(&twice.clone().field("Date", &twice.date), |text| text, 401, "credential_malformed");
}

#[test]
fn host_and_date_must_be_signed_and_what_is_signed_must_be_there() {
    for (from, to) in [
        ("SignedHeaders=date;host", "SignedHeaders=date"),
        ("SignedHeaders=date;host", "SignedHeaders=host"),
        ("SignedHeaders=date;host", "SignedHeaders="),
        ("SignedHeaders=date;host", "SignedHeaders=date;host;x-absent"),
        ("SignedHeaders=date;host", "SignedHeaders=date;host;host"),
        ("SignedHeaders=date;host", "SignedHeaders=Date;Host"),
        ("SignedHeaders=date;host", "SignedHeaders=authorization;date;host"),
        ("SignedHeaders=date;host", "SignedHeaders=date,host"),
    ] {
        refused(&get(), |text| text.replacen(from, to, 1), 401, "credential_malformed");
    }
    for (from, to) in [("host;x-amz-date", "x-amz-date"), ("host;x-amz-date", "x-amz-date;host")] {
        refused(&aws(), |text| text.replacen(from, to, 1), 401, "credential_malformed");
    }
    // Signed and absent, with a signature over nothing in its place.
    let mut absent = get();
    absent.signs.push("x-absent".to_owned());
    refused(&absent, |text| text, 401, "credential_malformed");
    // The host as it is received, port included.
    for (signed, sent) in [
        ("api.example.com", "api.example.com:8080"),
        ("api.example.com:8080", "api.example.com"),
        ("api.example.com", "api.example.org"),
    ] {
        let request = Signed { host: signed.to_owned(), ..get() };
        let head = request.head("").replacen(&format!("Host: {signed}\r\n"), &format!("Host: {sent}\r\n"), 1);
        world().ask(&head).expect(401, "signature_invalid");
    }
    let request = Signed { host: "api.example.com:8080".to_owned(), ..get() };
    world().ask(request.bytes()).expect_ok();
}

#[test]
fn algorithms_are_those_of_the_names_and_no_others() {
    for to in [
        "ANTAVO-HMAC-MD5",
        "ANTAVO-HMAC-SHA1",
        "ANTAVO-HMAC-SHA512",
        "ANTAVO-HMAC-sha256",
        "antavo-HMAC-SHA256",
        "ANTAVO-HMAC-NONE",
        "ANTAVO-NONE",
        "ANTAVO-",
        "ANTAVO",
        "ANTAVO-HMAC-SHA256 ANTAVO-HMAC-SHA256",
        "ANTAVO-HMAC-SHA256,",
    ] {
        refused(&get(), |text| text.replacen("ANTAVO-HMAC-SHA256", to, 1), 401, "credential_malformed");
    }
    for to in ["ANTAVO2-HMAC-SHA256", "Bearer", "HMAC-SHA256", ""] {
        refused(&get(), |text| text.replacen("ANTAVO-HMAC-SHA256", to, 1), 401, "credential_missing");
    }
    for to in ["AWS4-HMAC-SHA512", "AWS4-HMAC-SHA1", "AWS4-ECDSA-P256-SHA256", "AWS4"] {
        refused(&aws(), |text| text.replacen("AWS4-HMAC-SHA256", to, 1), 401, "credential_malformed");
    }
    // The other dialect's algorithm over one's own request.
    refused(&get(), |text| text.replacen("ANTAVO-", "AWS4-", 1), 401, "signature_invalid");
    let longer = |text: String| text.replacen("SHA256", "SHA512", 1) + &"0".repeat(64);
    refused(&get(), longer, 401, "signature_invalid");
}

#[test]
fn the_parts_of_a_signature_are_read_strictly() {
    let cut = |text: String| text[..text.len() - 1].to_owned();
    let upper = |text: String| {
        let at = text.find("Signature=").expect("there is one") + 10;
        format!("{}{}", &text[..at], text[at..].replace(['a', 'b', 'c', 'd', 'e', 'f'], "A"))
    };
    refused(&get(), cut, 401, "credential_malformed");
    refused(&get(), upper, 401, "credential_malformed");
    refused(&get(), |text| text + "00", 401, "credential_malformed");
    refused(&get(), |text| text + ", Signature=00", 401, "credential_malformed");
    refused(&get(), |text| text + ", X=y", 401, "credential_malformed");
    for (from, to) in [
        ("Signature=", "signature="),
        ("Signature=", "Signature= "),
        (", Signature=", "; Signature="),
        ("Credential=", "Credential=\""),
        ("Credential=", "Credential==/"),
        ("Credential=", "Credential=a b"),
        ("Credential=", "Credential=%41"),
        ("SignedHeaders=", "SignedHeaders=SignedHeaders="),
    ] {
        refused(&get(), |text| text.replacen(from, to, 1), 401, "credential_malformed");
    }
    let swapped = |text: String| {
        let mut parts: Vec<&str> = text.split(", ").collect();
        parts.swap(1, 2);
        parts.join(", ")
    };
    refused(&get(), swapped, 401, "credential_malformed");
    // An id says nothing by itself, with whatever stands for a signature.
    for signature in ["0".repeat(64), "f".repeat(64), world().signer.secret.clone()] {
        let forged = |text: String| {
            let at = text.find("Signature=").expect("there is one") + 10;
            format!("{}{signature}", &text[..at])
        };
        let code = if signature.len() == 64 && !signature.starts_with('d') {
            "signature_invalid"
        } else {
            "credential_malformed"
        };
        refused(&get(), forged, 401, code);
    }
}

/// Case 22: the body is signed in every mode that there is, or it is refused.
#[test]
fn bodies_that_are_not_signed_are_refused() {
    let world = world();
    let post = |digest: &str| {
        let request = world.aws.signed("POST", &format!("/signed/{}", tag())).body("hello");
        request.signing("X-Amz-Content-Sha256", digest)
    };
    let right = crate::support::sha256(b"hello");
    for (digest, code) in [
        ("UNSIGNED-PAYLOAD", "scheme_not_accepted"),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "scheme_not_accepted"),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "scheme_not_accepted"),
        ("", "credential_malformed"),
        ("unsigned-payload", "credential_malformed"),
        (&right.to_uppercase(), "credential_malformed"),
        (&crate::support::sha256(b"hallo"), "digest_invalid"),
    ] {
        let request = post(digest);
        world.ask(request.bytes()).expect(401, code);
        assert!(world.production.seen(&request.target).is_empty(), "{digest}");
    }
    world.ask(post(&right).bytes()).expect_ok();
    let unsigned = world.aws.signed("POST", &format!("/signed/{}", tag())).body("hello");
    let unsigned = unsigned.field("X-Amz-Content-Sha256", &right);
    world.ask(unsigned.bytes()).expect(401, "credential_malformed");
}

/// R3: five minutes either way, the last second included.
#[test]
fn dates_are_taken_up_to_five_minutes_away() {
    for away in [-290, 290] {
        world().ask(get().at(now_s() + away).bytes()).expect_ok();
        world().ask(aws().at(now_s() + away).bytes()).expect_ok();
    }
    for away in [-330, 330, -86_400, 86_400] {
        world().ask(get().at(now_s() + away).bytes()).expect(401, "signature_expired");
        world().ask(get().at(now_s() + away).http_date().bytes()).expect(401, "signature_expired");
        world().ask(aws().at(now_s() + away).bytes()).expect(401, "signature_expired");
    }
    // To the second: what is tried is over before the second is.
    for (away, status) in [(300, 200), (301, 401), (-299, 200), (-301, 401)] {
        let answer = wait_for("a second that does not end meanwhile", || {
            let now = now_s();
            let answer = world().ask(get().at(now + away).bytes());
            (now_s() == now).then_some(answer)
        });
        assert_eq!(answer.status, status, "{away} s: {answer:?}");
    }
}
