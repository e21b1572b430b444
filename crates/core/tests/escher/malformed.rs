//! Signatures that are refused whoever made them, each with its code and the detail for the log.
use crate::support::{Http, Known, at};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, How, Signer, SigningSecret, ToSign};

const KNOWN: Known<'static> = Known { id: "KEY", secret: "secret" };
const NOW: &str = "2015-08-30T12:36:00Z";

fn antavo() -> Config {
    Config::antavo("us/api/antavo_request").unwrap().with_presigned(3_600)
}

fn aws4() -> Config {
    Config::aws4("us-east-1/execute-api/aws4_request").unwrap().with_presigned(3_600)
}

fn signed(config: &Config, method: &str, presigned: bool) -> Http {
    let signer = Signer { id: KNOWN.id.to_owned(), secret: SigningSecret::new(KNOWN.secret.as_bytes()) };
    let req = ToSign {
        method: method.to_owned(),
        host: "api.example".to_owned(),
        target: "/x?a=1".to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: BodyDigest::empty(Hash::Sha256),
    };
    let how = How { payload_field: true, ..How::default() };
    let made = if presigned {
        escher::presign(config, &signer, &req, &how, 60, at(NOW))
    } else {
        escher::sign(config, &signer, &req, &how, at(NOW))
    };
    Http::signed(&req, b"", &made.unwrap())
}

/// What becomes of a request: code and detail.
fn said(http: &Http, config: &Config) -> String {
    match http.judge(config, at(NOW), &KNOWN) {
        None => "none".to_owned(),
        Some(Ok(_)) => "ok".to_owned(),
        Some(Err(refusal)) => format!("{} {}", refusal.reason.code(), refusal.detail),
    }
}

/// The request with its authorization changed.
fn changed(http: &Http, from: &str, to: &str) -> Http {
    let mut http = http.clone();
    for (name, value) in &mut http.headers {
        if name == b"authorization" {
            let text = String::from_utf8(value.clone()).unwrap();
            assert!(text.contains(from), "{text} has no {from}");
            *value = text.replace(from, to).into_bytes();
        }
    }
    http
}

fn without(http: &Http, field: &str) -> Http {
    let mut http = http.clone();
    http.headers.retain(|(name, _)| name != field.as_bytes());
    http
}

fn query(http: &Http, from: &str, to: &str) -> Http {
    let mut http = http.clone();
    let target = String::from_utf8(http.target).unwrap();
    assert!(target.contains(from), "{target} has no {from}");
    http.target = target.replace(from, to).into_bytes();
    http
}

#[test]
fn authorizations() {
    let (config, good) = (antavo(), signed(&antavo(), "GET", false));
    assert_eq!(said(&good, &config), "ok");
    let grammar = "credential_malformed authorization-grammar";
    let algorithm = "credential_malformed algorithm";
    let signature = "credential_malformed signature-unreadable";
    let names = "credential_malformed signed-headers";
    for (from, to, expected) in [
        // Another scheme's.
        ("ANTAVO-HMAC-SHA256 ", "Bearer ", "none"),
        ("ANTAVO-HMAC-SHA256 ", "ANTAVOX-HMAC-SHA256 ", "none"),
        ("ANTAVO-HMAC-SHA256 ", "", "none"),
        // Algorithm games.
        ("SHA256", "SHA1", algorithm),
        ("SHA256", "SHA999", algorithm),
        ("SHA256", "sha256", algorithm),
        ("SHA256", "SHA256,SHA512", algorithm),
        ("SHA256", "", algorithm),
        ("HMAC-SHA256", "NONE", algorithm),
        ("ANTAVO-HMAC", "antavo-hmac", algorithm),
        ("ANTAVO-HMAC-SHA256 ", "ANTAVO ", algorithm),
        ("SHA256", "SHA512", signature),
        // Parts.
        ("Credential=", "credential=", grammar),
        ("Credential=", "Credential ", grammar),
        ("Credential=", "", grammar),
        (", Signature=", " Signature=", grammar),
        (", SignedHeaders=date;host", "", grammar),
        (", Signature=", ", Extra=1, Signature=", grammar),
        (", Signature=", ", SignedHeaders=date;host, Signature=", grammar),
        ("Signature=", "Signature=aa, Signature=", grammar),
        ("SHA256 ", "SHA256\t", grammar),
        // Space around commas is nobody's business.
        (", Signature=", ",Signature=", "ok"),
        (", Signature=", ",   Signature=", "ok"),
        // The credential.
        ("KEY/", "/", "credential_malformed id-unreadable"),
        ("KEY/", "K%45Y/", "credential_malformed id-unreadable"),
        ("KEY/", "KE Y/", "credential_malformed id-unreadable"),
        ("KEY/", "OTHER/", "signature_invalid unknown"),
        ("/20150830/us", "/20150830", "credential_malformed scope-parts"),
        ("/20150830/us/api/antavo_request", "", "credential_malformed credential-parts"),
        ("/20150830/", "/2015083/", "credential_malformed credential-day"),
        ("/20150830/", "/2015-08-30/", "credential_malformed credential-day"),
        ("/20150830/", "/20150831/", "credential_malformed day-differs"),
        ("/us/api/", "/us/api/api/", "credential_malformed scope-parts"),
        ("/us/api/", "/us//", "credential_malformed scope-parts"),
        ("antavo_request", "antavo_request/", "credential_malformed scope-parts"),
        ("antavo_request", "antavo_request/x", "credential_malformed scope-parts"),
        ("/us/api/", "/eu/api/", "signature_invalid scope-foreign"),
        ("/us/api/", "/us/ap/", "signature_invalid scope-foreign"),
        // Signed fields.
        ("=date;host", "=date", "credential_malformed field-not-signed"),
        ("=date;host", "=host", "credential_malformed field-not-signed"),
        ("=date;host", "=", names),
        ("=date;host", "=date;;host", names),
        ("=date;host", "=date;host;", names),
        ("=date;host", "=date;host;host", names),
        ("=date;host", "=Date;host", names),
        ("=date;host", "=date host", names),
        ("=date;host", "=date;host;x-absent", "credential_malformed signed-field-absent"),
        ("=date;host", "=authorization;date;host", "credential_malformed signs-itself"),
        ("=date;host", "=content-type;date;host", "signature_invalid wrong-signature"),
        ("=date;host", "=host;date", "ok"),
        // The signature.
        ("Signature=", "Signature=0", signature),
        ("Signature=", "Signature=00", signature),
        ("Signature=", "Signature= ", signature),
    ] {
        let http = changed(&good, from, to);
        assert_eq!(said(&http, &config), expected, "{from} -> {to}");
    }
    let upper = String::from_utf8(good.headers.last().unwrap().1.clone()).unwrap();
    let (head, hex) = upper.split_once("Signature=").unwrap();
    for bad in [hex.to_uppercase(), hex[1..].to_owned(), String::new(), format!("{hex}{hex}")] {
        let http = changed(&good, &upper, &format!("{head}Signature={bad}"));
        assert_eq!(said(&http, &config), signature, "{bad}");
    }
    let zero = changed(&good, hex, &"0".repeat(64));
    assert_eq!(said(&zero, &config), "signature_invalid wrong-signature");
}

#[test]
fn header_fields() {
    let (config, good) = (antavo(), signed(&antavo(), "GET", false));
    let twice = good.clone().header("Authorization", "Bearer x");
    assert_eq!(said(&twice, &config), "credential_ambiguous two-authorizations");
    let again = String::from_utf8(good.headers.last().unwrap().1.clone()).unwrap();
    assert_eq!(
        said(&good.clone().header("AUTHORIZATION", &again), &config),
        "credential_ambiguous two-authorizations"
    );
    assert_eq!(said(&without(&good, "authorization"), &config), "none");
    assert_eq!(said(&without(&good, "date"), &config), "credential_malformed date-missing");
    let date = |value: &str| said(&without(&good, "date").header("Date", value), &config);
    assert_eq!(date("20150830T123600Z"), "ok");
    assert_eq!(date("Sun, 30 Aug 2015 12:36:00 GMT"), "signature_invalid wrong-signature");
    for bad in
        ["", "now", "2015-08-30T12:36:00Z", "20150830T123660Z", "Sun, 30 Aug 2015 12:36:00 UTC", "1440938160"]
    {
        assert_eq!(date(bad), "credential_malformed date-unreadable", "{bad}");
    }
    assert_eq!(
        said(&good.clone().header("date", "20150830T123600Z"), &config),
        "credential_malformed field-repeated"
    );
    let mut nowhere = good.clone();
    nowhere.host.clear();
    assert_eq!(said(&nowhere, &config), "credential_malformed host-missing");
    let brew = Http { method: b"BREW".to_vec(), ..good.clone() };
    assert_eq!(said(&brew, &config), "credential_malformed method");
    let strict = antavo().with_fields_to_sign(&["Content-Type"]);
    assert_eq!(said(&good, &strict), "credential_malformed field-not-signed");
}

#[test]
fn presigned_addresses() {
    for (config, v, c) in [(antavo(), "X-Antavo", "Credentials"), (aws4(), "X-Amz", "Credential")] {
        let good = signed(&config, "GET", true);
        assert_eq!(said(&good, &config), "ok");
        let p = |name: &str| format!("&{v}-{name}=");
        for (from, to, expected) in [
            (p("Date"), p("Nothing"), "credential_malformed parameter-missing"),
            (p("Expires"), p("expires"), "credential_malformed parameter-disguised"),
            (p("Algorithm"), p("Algorythm"), "credential_malformed parameter-missing"),
            (p("Signature"), p("signature"), "credential_malformed parameter-disguised"),
            (p("Signature"), p("%53ignature"), "credential_malformed parameter-disguised"),
            (p("Signature"), p("Signature[]"), "credential_malformed parameter-disguised"),
            (p("Signature"), p("Signature").replace('&', ";"), "credential_malformed parameter-missing"),
            (p("Date"), format!("{}1{}", p("Date"), p("Date")), "credential_malformed parameter-repeated"),
            (p("Date"), format!("{}1{}", p("date"), p("Date")), "credential_malformed parameter-disguised"),
            // 960 s is within the cap, but not what was signed.
            (p("Expires"), p("Expires") + "9", "signature_invalid wrong-signature"),
            ("Expires=60".to_owned(), "Expires=3601".to_owned(), "credential_malformed expires"),
            ("Expires=60".to_owned(), "Expires=0".to_owned(), "credential_malformed expires"),
            ("Expires=60".to_owned(), "Expires=-1".to_owned(), "credential_malformed expires"),
            ("Expires=60".to_owned(), "Expires=%2B60".to_owned(), "credential_malformed expires"),
            ("Expires=60".to_owned(), "Expires=".to_owned(), "credential_malformed expires"),
            ("Expires=60".to_owned(), "Expires=61".to_owned(), "signature_invalid wrong-signature"),
            ("Date=2015".to_owned(), "Date=Sun".to_owned(), "credential_malformed date-unreadable"),
            (
                "SignedHeaders=host".to_owned(),
                "SignedHeaders=date".to_owned(),
                "credential_malformed field-not-signed",
            ),
            ("HMAC-SHA256".to_owned(), "HMAC-SHA1".to_owned(), "credential_malformed algorithm"),
            (format!("{c}=KEY"), format!("{c}=%FF"), "credential_malformed parameter-not-utf8"),
            ("a=1".to_owned(), "a=2".to_owned(), "signature_invalid wrong-signature"),
        ] {
            assert_eq!(said(&query(&good, &from, &to), &config), expected, "{from} -> {to}");
        }
        let both = Http { target: good.target.clone(), ..signed(&config, "GET", false) };
        assert_eq!(said(&both, &config), "credential_ambiguous signed-twice");
        let bearer = good.clone().header("authorization", "Bearer x");
        assert_eq!(said(&bearer, &config), "ok", "whose it is, the machine decides");
    }
    assert_eq!(
        said(&signed(&antavo(), "GET", true), &Config::antavo("us/api/antavo_request").unwrap()),
        "scheme_not_accepted presigned-off"
    );
}

/// MinIO's lesson: no mode of sending a body leaves the signature unchecked or the body unbound.
#[test]
fn modes_of_sending_a_body() {
    let (config, good) = (aws4(), signed(&aws4(), "POST", false));
    assert_eq!(said(&good, &config), "ok");
    let field = "x-amz-content-sha256";
    let mode = |value: &str| said(&without(&good, field).header(field, value), &config);
    for (value, expected) in [
        ("UNSIGNED-PAYLOAD", "scheme_not_accepted payload-not-signed"),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "scheme_not_accepted payload-not-signed"),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "scheme_not_accepted payload-not-signed"),
        ("unsigned-payload", "credential_malformed digest-unreadable"),
        ("", "credential_malformed digest-unreadable"),
        (
            "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "credential_malformed digest-unreadable",
        ),
        ("0000000000000000000000000000000000000000000000000000000000000000", "digest_invalid other-body"),
    ] {
        assert_eq!(mode(value), expected, "{value}");
    }
    assert_eq!(said(&good.clone().body("x"), &config), "digest_invalid other-body");
    assert_eq!(said(&good.clone().header(field, "x"), &config), "credential_malformed field-repeated");
    let unsigned = changed(&good, "host;x-amz-content-sha256;", "host;");
    assert_eq!(said(&unsigned, &config), "credential_malformed field-not-signed");
    let unsorted =
        changed(&good, "host;x-amz-content-sha256;x-amz-date", "x-amz-date;host;x-amz-content-sha256");
    assert_eq!(said(&unsorted, &config), "credential_malformed signed-headers");
    let plain = without(&changed(&good, "host;x-amz-content-sha256;", "host;"), field);
    assert_eq!(said(&plain, &config), "signature_invalid wrong-signature");
    // In a presigned address: for GET, and then without a body.
    let get = signed(&config, "GET", true);
    assert_eq!(said(&get.clone().body("x"), &config), "signature_invalid wrong-signature");
    let more = |http: &Http| query(http, "?a=1", "?a=1&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD");
    assert_eq!(said(&more(&get), &config), "signature_invalid wrong-signature");
    assert_eq!(said(&more(&get).body("x"), &config), "digest_invalid unsigned-body");
    assert_eq!(
        said(&more(&signed(&config, "POST", true)), &config),
        "scheme_not_accepted payload-not-signed"
    );
}

/// Unknown and wrong are the same to the caller.
#[test]
fn nobody_learns_who_is_known() {
    let (config, good) = (antavo(), signed(&antavo(), "GET", false));
    let refused = |known: &Known<'_>| good.judge(&config, at(NOW), known).unwrap().unwrap_err();
    let wrong = refused(&Known { id: "KEY", secret: "another" });
    let unknown = refused(&Known { id: "another", secret: "secret" });
    assert_eq!((wrong.reason, &wrong.note), (unknown.reason, &unknown.note));
    // Not even with the key that unknown ids are answered with.
    let dummy = Signer { id: "KEY".to_owned(), secret: SigningSecret::new(&[b'.'; 32]) };
    let req = ToSign {
        method: "GET".to_owned(),
        host: "api.example".to_owned(),
        target: "/x".to_owned(),
        headers: Vec::new(),
        body: BodyDigest::empty(Hash::Sha256),
    };
    let made = escher::sign(&config, &dummy, &req, &How::default(), at(NOW)).unwrap();
    let http = Http::signed(&req, b"", &made);
    assert_eq!(said(&http, &config), "signature_invalid wrong-signature");
    assert_eq!(http.code(&config, at(NOW), &Known { id: "another", secret: "" }), "signature_invalid");
}

#[test]
fn configurations() {
    let own = |prefix, vendor, auth, date, scope| {
        Config::new(escher::Flavour::Escher, prefix, vendor, auth, date, scope)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(own("EMS", "Ems", "X-Ems-Auth", "X-Ems-Date", "eu/own/ems_request"), Ok(()));
    for (made, what) in [
        (own("E MS", "Ems", "a", "b", "x/y"), "prefix"),
        (own("EMS", "", "a", "b", "x/y"), "vendor key"),
        (own("EMS", "Ems", "a b", "b", "x/y"), "signature's header field"),
        (own("EMS", "Ems", "a", "", "x/y"), "date's header field"),
        (own("EMS", "Ems", "Date", "date", "x/y"), "as well"),
        (own("EMS", "Ems", "a", "b", "x"), "scope"),
        (own("EMS", "Ems", "a", "b", "x//y"), "scope"),
        (own("EMS", "Ems", "a", "b", "x/y,z"), "scope"),
    ] {
        assert!(made.as_ref().is_err_and(|e| e.contains(what)), "{made:?} {what}");
    }
}
