//! Values of header fields as they are signed.

/// Which runs of spaces in a value become one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spaces {
    /// All but those between double quotes.
    OutsideQuotes,
    /// All.
    Everywhere,
}

/// Appends one value: spaces at both ends are gone, runs of them are one. A tab is no space here and stays what it is.
pub(crate) fn push_value(out: &mut Vec<u8>, value: &[u8], spaces: Spaces) {
    let value = value.trim_ascii();
    // Most values have no run of spaces, and then it does not matter where quotes are.
    if !value.windows(2).any(|two| two == b"  ") {
        return out.extend_from_slice(value);
    }
    let (mut quoted, mut after_space) = (false, false);
    for &b in value {
        quoted ^= b == b'"' && spaces == Spaces::OutsideQuotes;
        if b == b' ' && after_space && !quoted {
            continue;
        }
        after_space = b == b' ';
        out.push(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_spaces_become_one() {
        let signed = |value: &str, spaces| {
            let mut out = Vec::new();
            push_value(&mut out, value.as_bytes(), spaces);
            String::from_utf8(out).unwrap()
        };
        for (value, outside, everywhere) in [
            ("", "", ""),
            ("  a   b ", "a b", "a b"),
            ("\"a   b\"  c   d", "\"a   b\" c d", "\"a b\" c d"),
            ("\"   foo   bar   \"", "\"   foo   bar   \"", "\" foo bar \""),
            ("a  \"b   c", "a \"b   c", "a \"b c"),
            ("a\tb", "a\tb", "a\tb"),
        ] {
            assert_eq!(signed(value, Spaces::OutsideQuotes), outside, "{value}");
            assert_eq!(signed(value, Spaces::Everywhere), everywhere, "{value}");
        }
    }
}
