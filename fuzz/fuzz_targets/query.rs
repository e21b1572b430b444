//! The canonical query: made canonical once more it stays as it is, its order does not depend on how it was sent, nothing
//! is lost, and whatever is signed verifies.
#![no_main]
use doorward_core::canonical::{
    CanonicalForm, CanonicalRequest, PathForm, Payload, QueryOrder, QueryReading, Recipe, Spaces,
};
use doorward_core::schemes::escher::DateForm;
use doorward_fuzz::{MOST_BYTES, NOW, Sent, blurred, configs, parameters, sign};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, query)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else {
        return;
    };
    let on = |bit: u8| choice & (1 << bit) != 0;
    let reading = QueryReading {
        plus_is_plus: on(0),
        // Nobody reads a plus as itself and its escape as a space.
        escaped_plus_is_space: on(1) && !on(0),
        bang_and_star_plain: on(2),
        ..QueryReading::default()
    };
    let order = if on(3) { QueryOrder::NamesThenValues } else { QueryOrder::Pairs };
    let canonical = |query: &[u8]| canonical(query, order, reading);
    let once = canonical(query);
    assert_eq!(canonical(once.as_bytes()), once, "{}", query.escape_ascii());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b);
    assert!(once.bytes().all(|b| plain(b) || reading.bang_and_star_plain && b"!*".contains(&b)), "{once}");
    let mut pieces: Vec<&[u8]> = query.split(|b| *b == b'&').collect();
    assert!(query.is_empty() || once.split('&').count() == pieces.len(), "{once}");
    pieces.reverse();
    assert_eq!(canonical(&pieces.join(&b'&')), once, "{}", query.escape_ascii());
    let (sent, signed) = (parameters(query), parameters(once.as_bytes()));
    match reading.plus_is_plus || reading.escaped_plus_is_space {
        true => assert_eq!(blurred(sent), blurred(signed), "{once}"),
        false => assert_eq!(sent, signed, "{once}"),
    }
    let Ok(text) = std::str::from_utf8(query) else { return };
    let configs = configs();
    let config = &configs[usize::from(choice >> 4) % configs.len()];
    let target = format!("/x?{text}");
    let Some(signed) = sign(config, &target, false, NOW, DateForm::IsoBasic) else {
        assert!(text.bytes().any(|b| b.is_ascii_control()), "{target:?} can't be signed");
        return;
    };
    match Sent::signed(&signed).judge(config, NOW) {
        Some(Ok(proof)) => assert_eq!(proof.string_to_sign(), &signed.string_to_sign),
        // The query holds a signature of its own.
        Some(Err(refusal)) => {
            assert!(matches!(refusal.detail, "signed-twice" | "parameter-disguised"), "{refusal}: {target}");
        }
        None => panic!("the signature is not found: {target}"),
    }
});

fn canonical(query: &[u8], query_order: QueryOrder, reading: QueryReading) -> String {
    let form = CanonicalForm {
        method_upper: true,
        path: PathForm { normalised: false, encoded: false },
        query_order,
        spaces: Spaces::Everywhere,
    };
    let sent = Sent { method: "GET", target: [b"/?", query].concat(), fields: Vec::new() };
    let request = sent.view(|req| {
        CanonicalRequest::of(
            req,
            &Recipe {
                form,
                signed: &[],
                date_field: "",
                signature_parameter: None,
                token_parameter: None,
                payload: Payload::Unsigned,
                reading,
            },
        )
    });
    let shown = request.to_string();
    let lines: Vec<&str> = shown.split('\n').collect();
    assert!(lines.len() == 6 && lines[0] == "GET" && lines[5] == "UNSIGNED-PAYLOAD", "{shown}");
    lines[2].to_owned()
}
