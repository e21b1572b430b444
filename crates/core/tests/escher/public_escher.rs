//! The public vectors of Escher.
use crate::support::{Http, Known, at, public_vectors};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, DateForm, Flavour, How, Signer, SigningSecret, ToSign};
use serde_json::Value;
use std::collections::BTreeMap;

/// Signed with `!` and `*` left as they are: what libraries differ in. Both are taken; ours are encoded.
const SPLIT: &str = "signrequest-get-with-printable-characters.json";
/// What these would have us refuse can't be written down here: a list that is none, a body that is undefined.
const BY_TYPE: [&str; 3] = [
    "ducktype_cases/authenticate-error-mandatoryheaders-not-array-of-strings.json",
    "ducktype_cases/authenticate-error-mandatoryheaders-not-array.json",
    ".conflict/signrequest-error-post-body-is-empty.json",
];

fn text(of: &Value) -> String {
    of.as_str().unwrap_or_default().to_owned()
}

fn config(case: &Value) -> Config {
    let c = &case["config"];
    let or = |of: &Value, other: &str| of.as_str().unwrap_or(other).to_owned();
    let must: Vec<&str> =
        case["mandatorySignedHeaders"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Config::new(
        Flavour::Escher,
        &text(&c["algoPrefix"]),
        &text(&c["vendorKey"]),
        &or(&c["authHeaderName"], "Authorization"),
        &or(&c["dateHeaderName"], "Date"),
        &text(&c["credentialScope"]),
    )
    .unwrap()
    .with_presigned(200_000)
    .with_fields_to_sign(&must)
}

fn request(r: &Value) -> Http {
    let mut http = Http::new(&text(&r["method"]), &text(&r["url"]), "").body(&text(&r["body"]));
    for pair in r["headers"].as_array().into_iter().flatten() {
        let (name, value) = (text(&pair[0]), text(&pair[1]));
        if name.eq_ignore_ascii_case("host") {
            http.host = value.into_bytes();
        } else {
            http = http.header(&name, value.trim());
        }
    }
    http
}

fn hash(case: &Value) -> Hash {
    if case["config"]["hashAlgo"] == "SHA512" { Hash::Sha512 } else { Hash::Sha256 }
}

fn to_sign(case: &Value, http: &Http) -> (ToSign, How) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let req = ToSign {
        method: text(&http.method),
        host: text(&http.host),
        target: text(&http.target),
        headers: http.headers.iter().map(|(n, v)| (text(n), text(v))).collect(),
        body: BodyDigest::of(hash(case), &http.body),
    };
    let names = case["headersToSign"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields = names.map(str::to_owned).collect();
    (req, How { date_form: DateForm::Http, fields, ..How::default() })
}

fn signer(case: &Value) -> Signer {
    let c = &case["config"];
    Signer { id: text(&c["accessKeyId"]), secret: SigningSecret::new(text(&c["apiSecret"]).as_bytes()) }
}

fn signs(name: &str, case: &Value) {
    let (expected, config) = (&case["expected"], config(case));
    let now = at(&text(&case["config"]["date"]));
    let http = request(&case["request"]);
    let (req, how) = to_sign(case, &http);
    let signed =
        escher::sign(&config, &signer(case), &req, &how, now).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (id, secret) = (text(&case["config"]["accessKeyId"]), text(&case["config"]["apiSecret"]));
    let known = Known { id: &id, secret: &secret };
    let canonical = hash(case).of(text(&expected["canonicalizedRequest"]).as_bytes());
    let header = text(&expected["authHeader"]);
    if name.ends_with(SPLIT) {
        assert_ne!(signed.canonical_request.digest(hash(case)), canonical, "{name}: no split any more");
    } else {
        assert_eq!(signed.canonical_request.digest(hash(case)), canonical, "{name}");
        assert_eq!(signed.string_to_sign.to_string(), text(&expected["stringToSign"]), "{name}");
        assert_eq!(signed.headers.last().unwrap().1, header, "{name}");
        assert_eq!(Http::signed(&req, &http.body, &signed).code(&config, now, &known), "ok", "{name}");
    }
    // What the vector signed is taken.
    let field = case["config"]["authHeaderName"].as_str().unwrap();
    let mut theirs = http.header(field, &header);
    theirs.headers.extend(
        signed.headers.iter().filter(|(n, _)| n == "date").map(|(n, v)| (n.clone().into(), v.clone().into())),
    );
    let proof = theirs.judge(&config, now, &known).unwrap().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(proof.string_to_sign().to_string(), text(&expected["stringToSign"]), "{name}");
}

fn does_not_sign(name: &str, case: &Value) {
    let http = request(&case["request"]);
    let (req, how) = to_sign(case, &http);
    let now = at(&text(&case["config"]["date"]));
    let refused = escher::sign(&config(case), &signer(case), &req, &how, now);
    assert!(refused.is_err(), "{name}");
}

fn presigns(name: &str, case: &Value) {
    let url = text(&case["request"]["url"]);
    let (address, fragment) =
        url.split_once('#').map_or((&*url, String::new()), |(a, f)| (a, format!("#{f}")));
    let (scheme, rest) = address.split_once("://").unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let req = ToSign {
        method: "GET".to_owned(),
        host: host.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: BodyDigest::empty(hash(case)),
    };
    let expires = case["expiresIn"].as_i64().or(case["request"]["expires"].as_i64()).unwrap_or(123_456);
    let now = at(&text(&case["config"]["date"]));
    let signed = escher::presign(&config(case), &signer(case), &req, &How::default(), expires, now).unwrap();
    assert_eq!(
        format!("{scheme}://{host}{}{fragment}", signed.target),
        text(&case["expected"]["url"]),
        "{name}"
    );
    let (id, secret) = (text(&case["config"]["accessKeyId"]), text(&case["config"]["apiSecret"]));
    let http = Http::signed(&req, b"", &signed);
    assert_eq!(http.code(&config(case), now, &Known { id: &id, secret: &secret }), "ok", "{name}");
}

fn judged(name: &str, case: &Value) {
    let (id, secret) = (text(&case["keyDb"][0][0]), text(&case["keyDb"][0][1]));
    let now = at(&text(&case["config"]["date"]));
    let code = request(&case["request"]).code(&config(case), now, &Known { id: &id, secret: &secret });
    let wanted: &[&str] = match case["expected"]["error"].as_str() {
        None => &["ok"],
        Some("Could not parse auth header" | "The authorization header is missing") => &["none"],
        Some("The request date is not within the accepted time range") => &["signature_expired"],
        Some(
            "Invalid Escher key"
            | "The signatures do not match"
            | "The credential scope is invalid"
            | "The request url shouldn't contains http or https"
            | "The request body shouldn't be empty if the request method is POST",
        ) => &["signature_invalid"],
        Some(_) => &["credential_malformed"],
    };
    assert!(wanted.contains(&code), "{name}: {code}, not {wanted:?} ({})", case["expected"]["error"]);
}

#[test]
fn escher_vectors() {
    let Some(folder) = public_vectors("escher") else { return };
    let file: Value =
        serde_json::from_slice(&std::fs::read(folder.join("escher_cases.json")).unwrap()).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in file["cases"].as_array().unwrap() {
        let (name, case) = (text(&entry["path"]), &entry["case"]);
        let error = case["expected"]["error"].is_string();
        let what = if BY_TYPE.contains(&&*name) {
            "can't be written down"
        } else if name.contains("presignurl") {
            presigns(&name, case);
            "presigned"
        } else if name.contains("signrequest") && error {
            does_not_sign(&name, case);
            "not signed"
        } else if name.contains("signrequest") {
            signs(&name, case);
            "signed and accepted"
        } else {
            judged(&name, case);
            if error { "refused" } else { "accepted" }
        };
        *counts.entry(what).or_default() += 1;
    }
    let counts: Vec<(&str, usize)> = counts.into_iter().collect();
    println!("{counts:?}");
    assert_eq!(counts.iter().map(|(_, n)| n).sum::<usize>(), 79);
    assert_eq!(
        counts.iter().find(|(what, _)| *what == "can't be written down"),
        Some(&("can't be written down", 3))
    );
}
