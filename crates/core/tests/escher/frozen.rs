//! The signing examples in `vectors/`: written from `sign`, and never changed since. With `DOORWARD_WRITE_VECTORS=1` they are
//! written anew.
use crate::support::{Http, Known, at};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, DateForm, Flavour, How, Signer, SigningSecret, ToSign};
use serde_json::{Value, json};
use std::path::PathBuf;

const NOW: &str = "2026-11-21T18:32:11Z";
const ID: &str = "dwi_EXAMPLE";
const SECRET: &str = "dws_EXAMPLE-not-a-secret";

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(name)
}

/// One example: what is signed, how, and what comes of it.
struct Example {
    name: &'static str,
    method: &'static str,
    target: &'static str,
    host: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    date_form: DateForm,
    hash: Hash,
    expires_s: Option<i64>,
}

const PLAIN: Example = Example {
    name: "get",
    method: "GET",
    target: "/customers/8eb1b522",
    host: "api.example.com",
    headers: &[],
    body: "",
    date_form: DateForm::IsoBasic,
    hash: Hash::Sha256,
    expires_s: None,
};
const QUERY: &str = "/customers?b=2&a=1&a=0&q=two%20words&p=a%2Bb&list=x,y&e&t=2026-11-21T18:32:11%2B00:00";
const JSON: &str = "{\"customer\":\"8eb1b522\",\"points\":325}";
const EXAMPLES: [Example; 8] = [
    PLAIN,
    Example { name: "get-port", host: "api.example.com:8443", ..PLAIN },
    Example { name: "get-query", target: QUERY, ..PLAIN },
    Example { name: "get-path", target: "/a%20b/%C3%A9/c~d", ..PLAIN },
    Example { name: "get-http-date", date_form: DateForm::Http, ..PLAIN },
    Example {
        name: "post",
        method: "POST",
        target: "/events",
        headers: &[("Content-Type", "application/json")],
        body: JSON,
        ..PLAIN
    },
    Example { name: "get-sha512", hash: Hash::Sha512, ..PLAIN },
    Example { name: "get-presigned", target: "/customers/8eb1b522?limit=1", expires_s: Some(3_600), ..PLAIN },
];

fn example(config: &Config, e: &Example) -> Value {
    let signer = Signer { id: ID.to_owned(), secret: SigningSecret::new(SECRET.as_bytes()) };
    let req = ToSign {
        method: e.method.to_owned(),
        host: e.host.to_owned(),
        target: e.target.to_owned(),
        headers: e.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: BodyDigest::of(e.hash, e.body.as_bytes()),
    };
    let fields = e.headers.iter().map(|(n, _)| n.to_ascii_lowercase()).collect();
    let how = How { date_form: e.date_form, fields, ..How::default() };
    let signed = match e.expires_s {
        None => escher::sign(config, &signer, &req, &how, at(NOW)),
        Some(s) => escher::presign(config, &signer, &req, &how, s, at(NOW)),
    }
    .unwrap();
    let http = Http::signed(&req, e.body.as_bytes(), &signed);
    assert_eq!(http.code(config, at(NOW), &Known { id: ID, secret: SECRET }), "ok", "{}", e.name);
    let pairs = |all: &[(String, String)]| all.iter().map(|(n, v)| json!([n, v])).collect::<Vec<_>>();
    json!({
        "name": e.name,
        "request": {
            "method": e.method,
            "host": e.host,
            "target": e.target,
            "headers": pairs(&req.headers),
            "body": e.body,
        },
        "date": at(NOW).iso_basic(),
        "expires_s": e.expires_s,
        "canonical_request": signed.canonical_request.to_string(),
        "string_to_sign": signed.string_to_sign.to_string(),
        "signed": { "target": signed.target, "headers": pairs(&signed.headers) },
    })
}

#[test]
fn the_examples_have_not_changed() {
    let own =
        Config::new(Flavour::Escher, "DWD1", "Doorward", "X-Dwd-Auth", "X-Dwd-Date", "eu/orders/dwd_request");
    for (name, config, prefix, vendor) in [
        ("antavo", Config::antavo("us/api/antavo_request"), "ANTAVO", "Antavo"),
        ("aws4", Config::aws4("us-east-1/execute-api/aws4_request"), "AWS4", "Amz"),
        ("own", own, "DWD1", "Doorward"),
    ] {
        let config = config.unwrap().with_presigned(3_600);
        let fits = |e: &&Example| {
            config.hashes().contains(&e.hash) && (name != "aws4" || e.date_form == DateForm::IsoBasic)
        };
        let now = json!({
            "about": "Signed by Doorward. See README.md.",
            "preset": name,
            "algorithm_prefix": prefix,
            "vendor_key": vendor,
            "credential_scope": config.scope(),
            "id": ID,
            "secret": SECRET,
            "examples": EXAMPLES.iter().filter(fits).map(|e| example(&config, e)).collect::<Vec<_>>(),
        });
        let path = file(&format!("signing-{name}.json"));
        if std::env::var_os("DOORWARD_WRITE_VECTORS").is_some() {
            std::fs::write(&path, format!("{now:#}\n")).unwrap();
        }
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let frozen: Value = serde_json::from_slice(&text).unwrap();
        let count = frozen["examples"].as_array().map_or(0, Vec::len);
        assert!(count >= 6, "{name}: {count} examples");
        let both = frozen["examples"].as_array().unwrap().iter().zip(now["examples"].as_array().unwrap());
        both.for_each(|(frozen, now)| assert_eq!(frozen, now, "{name}: an example has changed"));
        assert_eq!(frozen, now, "{name}");
    }
}
