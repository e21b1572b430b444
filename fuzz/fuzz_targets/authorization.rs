//! The header field with the signature: whatever stands there, and the right one with a piece replaced. Nothing but the
//! right one is accepted, its spaces aside and the order of the names in `SignedHeaders`.
#![no_main]
use doorward_core::schemes::escher::DateForm;
use doorward_fuzz::{MOST_BYTES, NOW, Sent, configs, sign, splice};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else {
        return;
    };
    let configs = configs();
    let config = &configs[usize::from(choice & 0x7f) % configs.len()];
    let signed = sign(config, "/x?b=2&a=1", false, NOW, DateForm::IsoBasic).expect("it can be signed");
    let mut sent = Sent::signed(&signed);
    assert!(matches!(sent.judge(config, NOW), Some(Ok(_))), "the law");
    let field = sent.fields.last_mut().expect("the signature");
    let right = normal(&field.1);
    match choice & 0x80 {
        0 => field.1 = rest.to_vec(),
        _ => splice(&mut field.1, rest),
    }
    let changed = normal(&field.1);
    if let Some(Ok(_)) = sent.judge(config, NOW) {
        assert_eq!(right, changed, "{:?}", sent.fields);
    }
});

/// Without spaces, the signed names sorted.
fn normal(value: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(value).split(' ').collect();
    let Some((before, rest)) = text.split_once("SignedHeaders=") else { return text };
    let (names, after) = rest.split_once(',').unwrap_or((rest, ""));
    let mut names: Vec<&str> = names.split(';').collect();
    names.sort_unstable();
    format!("{before}{names:?}{after}")
}
