//! What is said about words that nobody expected. They may be secrets that somebody typed where they don't belong, and what is
//! said may be kept in a log.
use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Longer words are not repeated: nobody needs them to see what is wrong.
const LONGEST_WORD: usize = 40;
const HIDDEN: &str = "...";

/// Hides such words.
pub(crate) fn hushed(mut error: Error) -> Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        let alone = kind == ContextKind::InvalidArg && error.kind() == ErrorKind::UnknownArgument;
        let hides = match error.get(kind) {
            Some(ContextValue::String(word)) => {
                !word.starts_with('-') && (alone || word.len() > LONGEST_WORD)
            }
            _ => false,
        };
        if hides {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn a_word_that_may_be_secret_is_not_repeated() {
        let said = |words: &[&str]| {
            let error = Cli::try_parse_from([&["doorward"], words].concat()).err().unwrap();
            hushed(error).to_string()
        };
        let token = "eyJ".repeat(20);
        for words in [
            &["token", "introspect", &token][..],
            &["token", "introspect", "a password"],
            &["token", &token],
            &["token", "revoke", "--jti", &token],
        ] {
            let said = said(words);
            assert!(said.contains("'...'") && !said.contains("eyJ") && !said.contains("password"), "{said}");
        }
        // What helps is told.
        assert!(said(&["tokens"]).contains("'tokens'"));
        assert!(said(&["token", "list", "--limit", "many"]).contains("'many'"));
        assert!(said(&["token", "introspect", "--token", "a password"]).contains("'--token'"));
    }
}
