//! The public vectors of AWS Signature Version 4: header and query form of each case.
use crate::support::{Http, Known, at, public_vectors};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, How, Signer, SigningSecret, ToSign};
use serde_json::Value;

/// Reads a request of the vectors: bare line feeds, folded lines, spaces in the target.
fn request(text: &str) -> Http {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let unfolded = head.trim_end_matches('\n').replace("\n ", " ");
    let mut lines = unfolded.split('\n');
    let first = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let (method, target) = first.split_once(' ').unwrap();
    let mut http = Http::new(method, target, "").body(body);
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        if name == "Host" {
            http.host = value.as_bytes().to_vec();
        } else {
            http = http.header(name, value.trim());
        }
    }
    http
}

/// What a signer has to do in order to get the vector's signature.
fn to_sign(http: &Http, but: &[&str]) -> (ToSign, How) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers: Vec<(String, String)> = http
        .headers
        .iter()
        .map(|(n, v)| (text(n), text(v)))
        .filter(|(n, _)| !but.iter().any(|b| n.eq_ignore_ascii_case(b)))
        .collect();
    let fields = headers.iter().map(|(n, _)| n.clone()).collect();
    let body = BodyDigest::of(Hash::Sha256, &http.body);
    let (method, host, target) = (text(&http.method), text(&http.host), text(&http.target));
    (ToSign { method, host, target, headers, body }, How { fields, ..How::default() })
}

#[test]
fn aws_vectors() {
    let Some(folder) = public_vectors("aws-sigv4") else { return };
    let file: Value =
        serde_json::from_slice(&std::fs::read(folder.join("sigv4_v4_suite.json")).unwrap()).unwrap();
    let (mut passed, mut signed_alike) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        let context = &case["context"];
        let text = |of: &Value| of.as_str().unwrap().to_owned();
        let (id, secret) = (
            text(&context["credentials"]["access_key_id"]),
            text(&context["credentials"]["secret_access_key"]),
        );
        let known = Known { id: &id, secret: &secret };
        let scope = format!("{}/{}/aws4_request", text(&context["region"]), text(&context["service"]));
        let expires = context["expiration_in_seconds"].as_i64().unwrap();
        let mut config = Config::aws4(&scope).unwrap().with_presigned(expires);
        if context["normalize"] == false {
            config = config.with_paths_as_sent();
        }
        let now = at(&text(&context["timestamp"]));
        let signer = Signer { id: id.clone(), secret: SigningSecret::new(secret.as_bytes()) };
        for form in ["header", "query"] {
            let name = format!("{} ({form})", text(&case["name"]));
            let of = |what: &str| text(&case[&*format!("{form}_{what}")]);
            let http = request(&of("signed_request"));
            let proof = http.judge(&config, now, &known).unwrap_or_else(|| panic!("{name}: not recognised"));
            let proof = proof.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
            assert_eq!(proof.string_to_sign().to_string(), of("string_to_sign"), "{name}");
            assert_eq!(
                proof.canonical_request().digest(Hash::Sha256),
                Hash::Sha256.of(of("canonical_request").as_bytes()),
                "{name}"
            );
            let wrong = Known { id: &id, secret: "wrong" };
            assert_eq!(http.code(&config, now, &wrong), "signature_invalid", "{name}");
            passed += 1;
            // The mirror. A token that is added after signing is no part of what is signed.
            let later = context["omit_session_token"] == true;
            let unsigned: &[&str] =
                if later { &["authorization", "x-amz-security-token"] } else { &["authorization"] };
            let made = if form == "header" {
                let (req, how) = to_sign(&http, unsigned);
                escher::sign(&config, &signer, &req, &how, now).unwrap()
            } else {
                let mut plain = request(&text(&case["request"]));
                if let (Some(token), false) = (context["credentials"]["token"].as_str(), later) {
                    let token: String = token.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
                    plain.target.extend(format!("?X-Amz-Security-Token={token}").bytes());
                }
                let (req, how) = to_sign(&plain, unsigned);
                escher::presign(&config, &signer, &req, &how, expires, now).unwrap()
            };
            assert_eq!(made.string_to_sign.to_string(), of("string_to_sign"), "{name}");
            let shown = made.headers.last().map_or(&made.target, |(_, value)| value);
            assert!(shown.ends_with(&format!("Signature={}", of("signature"))), "{name}: {shown}");
            signed_alike += 1;
        }
    }
    assert_eq!((passed, signed_alike), (76, 76));
}
