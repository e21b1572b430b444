//! Writing JSON by hand where a request's own path runs: strings, and the few numbers around them.

/// Appends a JSON string. Control characters, DEL, and what is not UTF-8 or not ASCII are escaped, so that a line is
/// one line and shows nothing but what it says, wherever it is shown.
pub(crate) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut plain = 0;
    for (i, b) in bytes.iter().enumerate() {
        if matches!(b, 0x20..=0x7e) && !matches!(b, b'"' | b'\\') {
            continue;
        }
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *b]),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// Appends `"name":"value",` or `"name":null,`.
pub(crate) fn member(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    match value {
        Some(value) => string(out, value),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b',');
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_raw_control_character_gets_through() {
        let mut out = Vec::new();
        let all: Vec<u8> = (0..=255).collect();
        super::string(&mut out, &all);
        assert!(out.iter().all(|b| (0x20..=0x7e).contains(b)));
        assert!(out.starts_with(b"\"\\u0000\\u0001") && out.ends_with(b"\\u00fe\\u00ff\""));
    }
}
