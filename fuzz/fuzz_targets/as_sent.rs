//! Path and query under a signature in the header, with a piece replaced, however they were signed: what is accepted means the
//! same to a service as what was signed. Some clients sign path or query of Signature Version 4 as they are sent.
#![no_main]
use aws_lc_rs::hmac;
use doorward_core::canonical::{
    CanonicalForm, CanonicalRequest, Hash, PathForm, Payload, QueryOrder, QueryReading, Recipe, Spaces,
    StringToSign,
};
use doorward_core::schemes::escher::{Config, DateForm};
use doorward_fuzz::{ID, MOST_BYTES, NOW, SECRET, Sent, accepted_means_the_same, configs, sign, splice};
use libfuzzer_sys::fuzz_target;

const TARGETS: [&str; 6] = [
    "/x?b=2&a=1",
    "/c%C3%A9?name=John%20Doe&a=%2B1&l=x,y&e&a=x!*",
    "/a,b/%2C/(c)?q=a+b",
    "/a%2520b?a%252Bb",
    "/%41%3a?x==y&&%zz",
    "/",
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else {
        return;
    };
    let configs = configs();
    let config = &configs[usize::from(choice & 0x07) % configs.len()];
    let (own, rest) = match choice & 0x20 {
        0 => (None, rest),
        // A target of the input's own, and then what becomes of it.
        _ => {
            let cut = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
            let Ok(text) = std::str::from_utf8(&rest[..cut]) else { return };
            (Some(format!("/{text}")), rest.get(cut + 1..).unwrap_or_default())
        }
    };
    let target = own.as_deref().unwrap_or(TARGETS[usize::from(choice >> 3) % TARGETS.len()]);
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return;
    }
    let as_sent = config.hashes().len() == 1 && choice & 0x80 != 0;
    let right = match as_sent {
        true => signed_as_sent(config, target, choice & 0x40 != 0),
        false => match sign(config, target, false, NOW, DateForm::IsoBasic) {
            Some(signed) => Sent::signed(&signed),
            None => return,
        },
    };
    let mut changed = right.clone();
    splice(&mut changed.target, rest);
    // Whatever the server says of the right one, the changed one must not be taken for another.
    accepted_means_the_same(config, &right, &changed);
});

/// Signed like curl does: the query as it stands there, and the path too, or encoded once more.
fn signed_as_sent(config: &Config, target: &str, path_too: bool) -> Sent {
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let date = NOW.iso_basic();
    let mut sent = Sent {
        method: "GET",
        target: target.as_bytes().to_vec(),
        fields: vec![field("x-trace", "some 1"), field("x-amz-date", &date)],
    };
    let encoded = !config.scope().contains("/s3/");
    let signed = ["host".into(), "x-amz-date".into(), "x-trace".into()];
    let canonical = sent.view(|req| {
        let form = CanonicalForm {
            method_upper: false,
            path: PathForm { normalised: encoded, encoded },
            query_order: QueryOrder::NamesThenValues,
            spaces: Spaces::Everywhere,
        };
        let recipe = Recipe {
            form,
            signed: &signed,
            date_field: "x-amz-date",
            signature_parameter: None,
            token_parameter: None,
            payload: Payload::Body(&Hash::Sha256.of(b"")),
            reading: QueryReading { query_as_sent: true, path_as_sent: path_too, ..QueryReading::default() },
        };
        CanonicalRequest::of(req, &recipe)
    });
    let (day, scope) = (&date[..8], config.scope());
    let string = StringToSign::of("AWS4", Hash::Sha256, NOW, &[day, scope], &canonical.digest(Hash::Sha256));
    let mac = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in std::iter::once(day).chain(scope.split('/')) {
        key = mac(&key, part.as_bytes()).as_ref().to_vec();
    }
    let signature: String =
        mac(&key, string.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={ID}/{day}/{scope}, SignedHeaders=host;x-amz-date;x-trace, Signature={signature}"
    );
    sent.fields.push(field("authorization", &value));
    sent
}
