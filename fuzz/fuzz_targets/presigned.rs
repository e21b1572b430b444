//! Signed addresses: whatever the query holds, and a right one with a piece replaced. What is accepted means the same to a
//! service as what was signed, and its signature parameters are as they were.
#![no_main]
use doorward_core::schemes::escher::DateForm;
use doorward_fuzz::{MOST_BYTES, NOW, Sent, accepted_means_the_same, configs, sign, splice};
use libfuzzer_sys::fuzz_target;

const TARGETS: [&str; 3] = ["/x?b=2&a=1", "/c%C3%A9?name=John%20Doe&a=%2B1&l=x,y&e&a=x!*", "/"];

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else {
        return;
    };
    let configs = configs();
    let config = &configs[usize::from(choice & 0x0f) % configs.len()];
    match choice >> 4 {
        0..4 => {
            let sent = Sent { method: "GET", target: [b"/x?", rest].concat(), fields: Vec::new() };
            assert!(!matches!(sent.judge(config, NOW), Some(Ok(_))), "a signature was guessed");
        }
        4..8 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let Some(signed) = sign(config, &format!("/{text}"), true, NOW, DateForm::IsoBasic) else {
                return;
            };
            match Sent::signed(&signed).judge(config, NOW) {
                Some(Ok(proof)) => assert!(!proof.once() && proof.string_to_sign() == &signed.string_to_sign),
                // The query had parameters of that name already.
                Some(Err(refusal)) => assert!(refusal.detail.starts_with("parameter-"), "{refusal}: {text}"),
                None => panic!("the signature is not found: {text}"),
            }
        }
        which => {
            let target = TARGETS[usize::from(which) % TARGETS.len()];
            let signed = sign(config, target, true, NOW, DateForm::IsoBasic).expect("it can be signed");
            let right = Sent::signed(&signed);
            assert!(matches!(right.judge(config, NOW), Some(Ok(_))), "the law");
            let mut changed = right.clone();
            splice(&mut changed.target, rest);
            accepted_means_the_same(config, &right, &changed);
        }
    }
});
