//! Writing JSON by hand where a request's own path runs: strings, and the few numbers around them.

/// Appends a JSON string. Control characters, DEL, and what is not UTF-8 or not ASCII are escaped, so that a line is
/// one line and shows nothing but what it says, wherever it is shown.
pub(crate) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    // Without an early end, so that many octets are looked at at once: what comes is nearly always plain.
    if bytes.iter().fold(true, |all, b| all & is_plain(*b)) {
        out.extend_from_slice(bytes);
    } else {
        escaped(out, bytes);
    }
    out.push(b'"');
}

fn is_plain(b: u8) -> bool {
    matches!(b, 0x20..=0x7e) & (b != b'"') & (b != b'\\')
}

#[cold]
fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for b in bytes {
        match b {
            b if is_plain(*b) => out.push(*b),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *b]),
            b => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
            }
        }
    }
}

/// Appends `"name":"value",` or `"name":null,`.
#[inline(always)]
pub(crate) fn member(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    out.reserve(name.len() + value.map_or(4, <[u8]>::len) + 6);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    match value {
        Some(value) => string(out, value),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b',');
}

/// Appends `"name":"value",` for a value that has nothing to escape by what it is: names of ours, ids read strictly.
/// Inlined, since names are constants: they are then stored, not copied.
#[inline(always)]
pub(crate) fn plain(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    out.reserve(name.len() + value.map_or(4, str::len) + 6);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    match value {
        Some(value) => {
            debug_assert!(
                value.bytes().all(|b| (0x20..=0x7e).contains(&b) && b != b'"' && b != b'\\'),
                "{value:?}"
            );
            out.extend_from_slice(b"\":\"");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\",");
        }
        None => out.extend_from_slice(b"\":null,"),
    }
}

/// Appends a number in decimal digits: a fraction of what the formatting machinery costs.
pub(crate) fn decimal(out: &mut Vec<u8>, mut n: u64) {
    // Two digits at a time: a division takes longer than anything else here.
    let mut digits = [0; 20];
    let mut at = digits.len();
    while n >= 10 {
        at -= 2;
        let pair = (n % 100) as usize * 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
        n /= 100;
    }
    if n > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + n as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// `00` to `99`.
const PAIRS: [u8; 200] = {
    let (mut pairs, mut n) = ([0; 200], 0);
    while n < 100 {
        pairs[n * 2] = b'0' + (n / 10) as u8;
        pairs[n * 2 + 1] = b'0' + (n % 10) as u8;
        n += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_written_as_ever() {
        for n in [0, 1, 9, 10, 99, 100, 101, 999, 1_000, 12_345, u64::MAX / 10, u64::MAX] {
            let mut out = Vec::new();
            super::decimal(&mut out, n);
            assert_eq!(out, n.to_string().as_bytes());
        }
    }

    #[test]
    fn no_raw_control_character_gets_through() {
        let mut out = Vec::new();
        let all: Vec<u8> = (0..=255).collect();
        super::string(&mut out, &all);
        assert!(out.iter().all(|b| (0x20..=0x7e).contains(b)));
        assert!(out.starts_with(b"\"\\u0000\\u0001") && out.ends_with(b"\\u00fe\\u00ff\""));
    }
}
