//! Dates: what is read is what would be written, an instant goes there and back, and a signed date can't be changed.
#![no_main]
use doorward_core::schemes::escher::{self, DEFAULT_SKEW_MS, DateForm};
use doorward_core::time::UnixMillis;
use doorward_fuzz::{MOST_BYTES, NOW, Sent, configs, sign};
use libfuzzer_sys::fuzz_target;

/// From 0000-01-01 on to the end of 9999: what four digits of a year can tell.
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_300_799_999;

fuzz_target!(|data: &[u8]| {
    if data.len() > MOST_BYTES {
        return;
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Some(at) = UnixMillis::parse_iso_basic(text) {
            assert_eq!(at.iso_basic(), text);
        }
        if let Some(at) = UnixMillis::parse_http_date(text) {
            // Any day of the week is taken.
            assert_eq!(at.http_date()[3..], text[3..]);
        }
        if let Some(at) = UnixMillis::parse(text) {
            assert_eq!(UnixMillis::parse(&at.to_string()), Some(at), "{text}");
        }
    }
    let configs = configs();
    let config = &configs[data.len() % configs.len()];
    // A date that was not signed is not accepted.
    let signed = sign(config, "/", false, NOW, DateForm::IsoBasic).expect("it can be signed");
    let mut sent = Sent::signed(&signed);
    let date = &mut sent.fields[1];
    let right = date.1.clone();
    date.1 = data.to_vec();
    if let Some(Ok(_)) = sent.judge(config, NOW) {
        assert_eq!(data.trim_ascii(), right);
    }
    // An instant goes there and back, and is good for the skew and not longer.
    let Some(bytes) = data.first_chunk::<8>() else { return };
    let ms = FIRST_MS + i64::from_be_bytes(*bytes).rem_euclid(LAST_MS - FIRST_MS);
    let (at, second) = (UnixMillis(ms), UnixMillis(ms.div_euclid(1000) * 1000));
    assert_eq!(UnixMillis::parse(&at.to_string()), Some(at));
    assert_eq!(UnixMillis::parse_iso_basic(&at.iso_basic()), Some(second));
    assert_eq!(UnixMillis::parse_http_date(&at.http_date()), Some(second));
    for form in [DateForm::IsoBasic, DateForm::Http] {
        let signed = sign(config, "/", false, at, form).expect("it can be signed");
        let sent = Sent::signed(&signed);
        if config.hashes().len() == 1 && form == DateForm::Http {
            continue;
        }
        let judged = |ms: i64| matches!(sent.judge(config, second.plus_ms(ms)), Some(Ok(_)));
        assert!(judged(0) && judged(DEFAULT_SKEW_MS) && judged(-DEFAULT_SKEW_MS), "{at}");
        assert!(!judged(DEFAULT_SKEW_MS + 1) && !judged(-DEFAULT_SKEW_MS - 1), "{at}");
        let until = sent
            .view(|req| escher::detect(config, req).map(|p| p.map(|p| p.accepted_until(DEFAULT_SKEW_MS))));
        assert_eq!(until, Ok(Some(second.plus_ms(DEFAULT_SKEW_MS))));
    }
});
