//! Six requests signed with a synthetic key pair, on which independent implementations agree.
use crate::support::{Http, Known, at};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, DateForm, How, Signer, SigningSecret, ToSign};

const KNOWN: Known<'static> = Known { id: "ANTAVOKEYEXAMPLE", secret: "AntavoSecretExample123" };
const HOST: &str = "api.st2.antavo.com";
const NOW: &str = "2015-08-30T12:36:00Z";
const BODY: &str = r#"{"customer":"8eb1b522","action":"point_add","data":{"points":325}}"#;
const LONG: &str = "/customers/8eb1b522/events?limit=10&fields=a,b&name=John%20Doe&timestamp.gt=2023-01-05T13:28:55.233%2B0000&action=opt_in&action=checkout";

fn config() -> Config {
    Config::antavo("st2/api/antavo_request").unwrap().with_presigned(86_400)
}

fn signer() -> Signer {
    Signer { id: KNOWN.id.to_owned(), secret: SigningSecret::new(KNOWN.secret.as_bytes()) }
}

fn request(method: &str, target: &str, body: &str) -> ToSign {
    ToSign {
        method: method.to_owned(),
        host: HOST.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: BodyDigest::of(Hash::Sha256, body.as_bytes()),
    }
}

#[test]
fn five_requests_signed_in_a_header() {
    let json = ("Content-Type".to_owned(), "application/json".to_owned());
    let iso = How::default();
    let http = How { date_form: DateForm::Http, ..How::default() };
    let typed = How { fields: vec!["Content-Type".to_owned()], ..http.clone() };
    for (name, method, target, body, how, canonical, signature) in [
        (
            "A1",
            "GET",
            "/customers/8eb1b522",
            "",
            &iso,
            "5e04a8b8e67c35d818ff905d8e8399079e407f21c5405e467a6675e9529902e9",
            "aa67a5eed92c48d5ce6e3ef57bd85ddb4344179621d78b378ee6cbeaca9737da",
        ),
        (
            "A2",
            "GET",
            "/customers/8eb1b522",
            "",
            &http,
            "87fa91b30f9fb0ac5028ef46f8f5400134aac4aeeffc756417705d13d9f06746",
            "90033d5aa1a4f506c5660e89e5899c9dedc5daa6d44756b8d05ee4d964f8af22",
        ),
        (
            "A3",
            "POST",
            "/events",
            BODY,
            &iso,
            "b7fe90959763afa0eebcc786cf74035eaba6861c368e6bfa7cbe4ca74299b4d1",
            "894527e5855615eef6d419b7bf1d96d9c94ced9d13a90949ff2a3a44b39d3488",
        ),
        (
            "A4",
            "POST",
            "/events",
            BODY,
            &typed,
            "cf16e538050e523f401627f8b324b03b83a8db68e6106a8a1544178f83162272",
            "299178e3d0265938e2c2731f51dadbd260e3eefb6a86879bc40bda1b82ca2195",
        ),
        (
            "A5",
            "GET",
            LONG,
            "",
            &iso,
            "7a51c88189e48a143c4d757bba85651acf77bd90c6e4e6678930c05fa110f021",
            "b163f2cbf6416d35dd3d5bf9a77f42e729ffe82039cd0d785fe7a209168d645f",
        ),
    ] {
        let mut req = request(method, target, body);
        if name == "A4" {
            req.headers.push(json.clone());
        }
        let signed = escher::sign(&config(), &signer(), &req, how, at(NOW)).unwrap();
        assert_eq!(signed.canonical_request.digest(Hash::Sha256).to_string(), canonical, "{name}");
        let (field, value) = signed.headers.last().unwrap();
        assert_eq!(field, "authorization");
        assert!(value.ends_with(&format!("Signature={signature}")), "{name}: {value}");
        let http = Http::signed(&req, body.as_bytes(), &signed);
        let proof = http.judge(&config(), at(NOW), &KNOWN).unwrap().unwrap();
        assert_eq!(proof.string_to_sign(), &signed.string_to_sign);
        assert!(proof.once());
    }
}

#[test]
fn the_canonical_request_is_shown_whole() {
    let signed = escher::sign(
        &config(),
        &signer(),
        &request("GET", "/customers/8eb1b522", ""),
        &How::default(),
        at(NOW),
    );
    let signed = signed.unwrap();
    assert_eq!(
        signed.canonical_request.to_string(),
        "GET\n/customers/8eb1b522\n\ndate:20150830T123600Z\nhost:api.st2.antavo.com\n\ndate;host\n\
         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let long =
        escher::sign(&config(), &signer(), &request("GET", LONG, ""), &How::default(), at(NOW)).unwrap();
    let query = long.canonical_request.to_string().lines().nth(2).unwrap().to_owned();
    assert_eq!(
        query,
        "action=checkout&action=opt_in&fields=a%2Cb&limit=10&name=John%20Doe&timestamp.gt=2023-01-05T13%3A28%3A55.233%2B0000"
    );
}

#[test]
fn a_presigned_address() {
    let req = request("GET", "/customers/8eb1b522?limit=1", "");
    let signed = escher::presign(&config(), &signer(), &req, &How::default(), 86_400, at(NOW)).unwrap();
    assert_eq!(
        signed.canonical_request.digest(Hash::Sha256).to_string(),
        "484675717494436811b8cb8975c060e9943633acfecfb6f6a4e9b4310977cfab"
    );
    assert_eq!(
        signed.target,
        "/customers/8eb1b522?limit=1&X-Antavo-Algorithm=ANTAVO-HMAC-SHA256&X-Antavo-Credentials=ANTAVOKEYEXAMPLE%2F20150830%2Fst2%2Fapi%2Fantavo_request&X-Antavo-Date=20150830T123600Z&X-Antavo-Expires=86400&X-Antavo-SignedHeaders=host&X-Antavo-Signature=af770f3919b3c1cc9c724c677caee203d6748bdeb61808159c5bea0584a8714e"
    );
    let http = Http::signed(&req, b"", &signed);
    let proof = http.judge(&config(), at(NOW), &KNOWN).unwrap().unwrap();
    assert!(!proof.once());
    for (now, code) in [
        ("2015-08-30T12:30:59.999Z", "signature_expired"),
        ("2015-08-30T12:31:00Z", "ok"),
        ("2015-08-31T12:36:00Z", "ok"),
        ("2015-08-31T12:36:00.001Z", "signature_expired"),
    ] {
        assert_eq!(http.code(&config(), at(now), &KNOWN), code, "{now}");
    }
    assert_eq!(
        http.code(&Config::antavo("st2/api/antavo_request").unwrap(), at(NOW), &KNOWN),
        "scheme_not_accepted"
    );
    assert_eq!(http.code(&config().with_presigned(86_399), at(NOW), &KNOWN), "credential_malformed");
    assert_eq!(http.clone().body("{}").code(&config(), at(NOW), &KNOWN), "digest_invalid");
    let post = Http { method: b"POST".to_vec(), ..http };
    assert_eq!(post.code(&config(), at(NOW), &KNOWN), "scheme_not_accepted");
}

/// R3: the edges of what is accepted, to the millisecond.
#[test]
fn a_date_is_good_for_the_skew_and_not_longer() {
    let req = request("GET", "/x", "");
    let signed = escher::sign(&config(), &signer(), &req, &How::default(), at(NOW)).unwrap();
    let http = Http::signed(&req, b"", &signed);
    for (now, code) in [
        ("2015-08-30T12:30:59.999Z", "signature_expired"),
        ("2015-08-30T12:31:00Z", "ok"),
        ("2015-08-30T12:41:00Z", "ok"),
        ("2015-08-30T12:41:00.001Z", "signature_expired"),
    ] {
        assert_eq!(http.code(&config(), at(now), &KNOWN), code, "{now}");
    }
    let until = http.view(|req| escher::detect(&config(), req).unwrap().unwrap().accepted_until(300_000));
    assert_eq!(until, at("2015-08-30T12:41:00Z"));
}
