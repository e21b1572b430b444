//! Command lines that work when they are pasted into a shell.

/// For a shell: as it is where that is safe, else in single quotes.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/@%+,".contains(&b);
    if !text.is_empty() && !text.starts_with('~') && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The name of a header field as people write it: `X-App-Id`.
pub(crate) fn capitals(name: &str) -> String {
    let part = |p: &str| p[..1].to_ascii_uppercase() + &p[1..];
    name.split('-').filter(|p| !p.is_empty()).map(part).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(quoted("http://127.0.0.1:8080/echo/hello"), "http://127.0.0.1:8080/echo/hello");
        assert_eq!(quoted("http://[::1]:80/x?y=1"), "'http://[::1]:80/x?y=1'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("~root"), "'~root'");
        assert_eq!(quoted("a\nb $c"), "'a\nb $c'");
        assert_eq!(capitals("x-client-application-id"), "X-Client-Application-Id");
    }
}
