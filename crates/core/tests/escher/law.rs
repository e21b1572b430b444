//! The law of every scheme: what is signed is detected and verifies, whatever was signed.
use crate::support::{Http, Known, Seeded, at};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, DateForm, Flavour, How, Signer, SigningSecret, ToSign};

const ROUNDS: usize = 4_000;
const NOW: &str = "2026-11-21T18:32:11.075Z";

fn configs() -> Vec<Config> {
    let own = Config::new(
        Flavour::Escher,
        "DWD1",
        "Doorward",
        "X-Dwd-Auth",
        "X-Dwd-Date",
        "eu/own scope/dwd_request",
    );
    [
        Config::antavo("us/api/antavo_request"),
        Config::antavo("us/api/antavo_request").map(|c| c.with_escaped_plus_as_space(false)),
        Config::aws4("us-east-1/execute-api/aws4_request"),
        Config::aws4("eu-west-1/s3/aws4_request"),
        own,
    ]
    .into_iter()
    .map(|config| config.unwrap().with_presigned(1_000))
    .collect()
}

fn some_text(seeded: &mut Seeded, pieces: &[&str], most: usize) -> String {
    (0..seeded.below(most + 1)).map(|_| *seeded.pick(pieces)).collect()
}

fn some_request(seeded: &mut Seeded, hash: Hash) -> (ToSign, String, How) {
    const PATH: [&str; 14] =
        ["/", "/a", "b", ".", "..", "/", "%20", "%2f", "+", "~", ";v=1", "\u{e9}", "%", "C"];
    const QUERY: [&str; 17] = [
        "a", "=", "&", "b=1", "%20", "+", "%2B", "%2b", "!", "*", ",", "%", "%zz", "\u{1234}", ";", "-",
        "Param",
    ];
    const VALUE: [&str; 7] = ["a", " ", "  ", "\"", ",", "\t", "\u{e9}"];
    let mut target = format!("/{}", some_text(seeded, &PATH, 8));
    if seeded.below(4) > 0 {
        target = format!("{target}?{}", some_text(seeded, &QUERY, 12));
    }
    let names = ["X-One", "x-two", "Content-Type", "x-three"];
    let mut headers: Vec<(String, String)> = Vec::new();
    for _ in 0..seeded.below(5) {
        headers.push(((*seeded.pick(&names)).to_owned(), some_text(seeded, &VALUE, 6).trim().to_owned()));
    }
    let fields =
        headers.iter().filter(|_| seeded.below(3) > 0).map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let body = some_text(seeded, &["{}", "a=b", "\u{1f600}", "\n"], 4);
    let how = How {
        date_form: *seeded.pick(&[DateForm::IsoBasic, DateForm::Http]),
        fields,
        payload_field: seeded.below(2) == 0,
    };
    let req = ToSign {
        method: (*seeded.pick(&["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])).to_owned(),
        host: (*seeded.pick(&["api.example", "api.example:8443", "[::1]:80", "API.example"])).to_owned(),
        target,
        headers,
        body: BodyDigest::of(hash, body.as_bytes()),
    };
    (req, body, how)
}

#[test]
fn what_is_signed_verifies() {
    let seeded = &mut Seeded(20_261_121);
    let configs = configs();
    let signer = Signer { id: "dwi_abc-1.2".to_owned(), secret: SigningSecret::new(b"dws_secret") };
    let known = Known { id: &signer.id, secret: "dws_secret" };
    for round in 0..ROUNDS {
        let config = seeded.pick(&configs);
        let hash = *seeded.pick(config.hashes());
        let (mut req, body, mut how) = some_request(seeded, hash);
        // A field with the date is written in one form only by Signature Version 4.
        if config.hashes().len() == 1 {
            how.date_form = DateForm::IsoBasic;
        }
        let presigned = seeded.below(4) == 0;
        let (signed, body) = if presigned {
            req.method = "GET".to_owned();
            req.body = BodyDigest::empty(hash);
            (escher::presign(config, &signer, &req, &how, 900, at(NOW)), String::new())
        } else {
            (escher::sign(config, &signer, &req, &how, at(NOW)), body)
        };
        let signed = signed.unwrap_or_else(|e| panic!("round {round}: {e}: {req:?} {:?}", req.target));
        let http = Http::signed(&req, body.as_bytes(), &signed);
        let proof = http.judge(config, at(NOW), &known).unwrap();
        let proof = proof.unwrap_or_else(|e| panic!("round {round}: {e}: {}", req.target));
        assert_eq!(proof.string_to_sign(), &signed.string_to_sign, "round {round}");
        assert_eq!(proof.once(), !presigned);
        // What is not so is refused.
        let code = |http: &Http, known: &Known<'_>| http.code(config, at(NOW), known);
        assert_eq!(code(&http, &Known { id: &signer.id, secret: "dws_secreu" }), "signature_invalid");
        assert_eq!(code(&http, &Known { id: "somebody", secret: "dws_secret" }), "signature_invalid");
        let other = code(&http.clone().body(&format!("{body} ")), &known);
        assert!(matches!(other, "signature_invalid" | "digest_invalid"), "round {round}: {other}");
        let mut other = http.clone();
        other.host.push(b'x');
        assert_eq!(code(&other, &known), "signature_invalid");
        for other in configs.iter().filter(|c| c.scope() != config.scope()) {
            assert_ne!(http.code(other, at(NOW), &known), "ok", "round {round}");
        }
    }
}

#[test]
fn what_can_t_be_sent_is_not_signed() {
    let config = Config::antavo("us/api/antavo_request").unwrap();
    let good = ToSign {
        method: "GET".to_owned(),
        host: "h".to_owned(),
        target: "/".to_owned(),
        headers: vec![("x-a".to_owned(), "v".to_owned())],
        body: BodyDigest::empty(Hash::Sha256),
    };
    let how = How { fields: vec!["x-a".to_owned()], ..How::default() };
    let with = |id: &str, secret: &str, req: &ToSign, how: &How| {
        let signer = Signer { id: id.to_owned(), secret: SigningSecret::new(secret.as_bytes()) };
        escher::sign(&config, &signer, req, how, at(NOW)).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(with("id", "s", &good, &how), Ok(()));
    let changed = |change: fn(&mut ToSign)| {
        let mut req = good.clone();
        change(&mut req);
        with("id", "s", &req, &how)
    };
    let say = |what: Result<(), String>| what.unwrap_err();
    assert!(say(with("", "s", &good, &how)).contains("id or the secret"));
    assert!(say(with("a/b", "s", &good, &how)).contains("id or the secret"));
    assert!(say(with("id", "", &good, &how)).contains("id or the secret"));
    assert!(say(changed(|r| r.method = "BREW".to_owned())).contains("method"));
    assert!(say(changed(|r| r.target = "http://h/".to_owned())).contains("target"));
    assert!(say(changed(|r| r.target = "/a\nb".to_owned())).contains("target"));
    assert!(say(changed(|r| r.host.clear())).contains("host"));
    assert!(say(changed(|r| r.headers.clear())).contains("x-a"));
    assert!(say(changed(|r| r.headers[0].1 = "a\r\nb: c".to_owned())).contains("x-a"));
    assert!(
        say(changed(|r| r.headers.push(("Date".to_owned(), "20150830T123600Z".to_owned())))).contains("date")
    );
    assert!(say(changed(|r| r.headers.push(("x-b".to_owned(), "v".repeat(70_000))))).contains("too large"));
    let aws = Config::aws4("us-east-1/execute-api/aws4_request").unwrap();
    let signer = Signer { id: "id".to_owned(), secret: SigningSecret::new(b"s") };
    let long = ToSign { body: BodyDigest::empty(Hash::Sha512), ..good.clone() };
    assert_eq!(escher::sign(&aws, &signer, &long, &how, at(NOW)).unwrap_err(), escher::SignError::Hash);
    for expires in [0, -1, 1_000_000_000] {
        let refused = escher::presign(&config, &signer, &good, &how, expires, at(NOW)).unwrap_err();
        assert_eq!(refused, escher::SignError::Expires);
    }
}

/// No form of output of anything here shows a secret or a signature.
#[test]
fn nothing_shows_a_secret() {
    let config = Config::antavo("us/api/antavo_request").unwrap();
    let signer = Signer { id: "id".to_owned(), secret: SigningSecret::new(b"hush-hush") };
    let req = ToSign {
        method: "GET".to_owned(),
        host: "h".to_owned(),
        target: "/".to_owned(),
        headers: vec![("x-secret".to_owned(), "hush-hush".to_owned())],
        body: BodyDigest::empty(Hash::Sha256),
    };
    let how = How { fields: vec!["x-secret".to_owned()], ..How::default() };
    let signed = escher::sign(&config, &signer, &req, &how, at(NOW)).unwrap();
    let signature = signed.headers.last().unwrap().1.rsplit('=').next().unwrap().to_owned();
    let http = Http::signed(&req, b"", &signed);
    let proof = http.judge(&config, at(NOW), &Known { id: "id", secret: "hush-hush" }).unwrap().unwrap();
    let presented = http.view(|r| format!("{:?}", escher::detect(&config, r).unwrap().unwrap()));
    let key =
        escher::SigningKey::derive(Hash::Sha256, "ANTAVO", Some(&signer.secret), "20261121", config.scope());
    let shown = format!(
        "{:?} {:?} {:?} {} {} {presented} {key:?} {:?}",
        signer, req, signed, signed.canonical_request, signed.string_to_sign, proof
    );
    assert!(!shown.contains("hush"), "{shown}");
    assert!(!shown.contains(&signature), "{shown}");
    assert!(shown.contains("x-secret:<hidden>"), "{shown}");
}
