//! Licence expressions: is one satisfied by a list of licences? (SPDX 2.3, annex D; `/` is the older `OR`.)

use crate::Outcome;

/// Whether `allowed` is enough to use something under `expression`.
///
/// # Errors
/// What is wrong with an expression that can't be read.
pub(crate) fn satisfied(expression: &str, allowed: &[String]) -> Outcome<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let verdict = reader.either()?;
    match reader.words.first() {
        None => Ok(verdict),
        Some(word) => Err(format!("unexpected {word} in licence {expression}")),
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Reader<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    fn either(&mut self) -> Outcome<bool> {
        let mut verdict = self.both()?;
        while self.next_is("OR") {
            verdict |= self.both()?;
        }
        Ok(verdict)
    }

    fn both(&mut self) -> Outcome<bool> {
        let mut verdict = self.one()?;
        while self.next_is("AND") {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Outcome<bool> {
        if self.next_is("(") {
            let verdict = self.either()?;
            return if self.next_is(")") { Ok(verdict) } else { Err("a licence lacks a )".to_owned()) };
        }
        let (name, rest) = self.words.split_first().ok_or("a licence ends too early")?;
        if matches!(*name, ")" | "AND" | "OR" | "WITH") {
            return Err(format!("unexpected {name} in a licence"));
        }
        self.words = rest;
        let mut licence = (*name).to_owned();
        if self.next_is("WITH") {
            let (exception, rest) = self.words.split_first().ok_or("a licence ends after WITH")?;
            self.words = rest;
            licence = format!("{licence} WITH {exception}");
        }
        Ok(self.allowed.contains(&licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str) -> Outcome<bool> {
        satisfied(
            expression,
            &["MIT".to_owned(), "ISC".to_owned(), "GPL-2.0 WITH Classpath-exception-2.0".to_owned()],
        )
    }

    #[test]
    fn expressions_are_weighed_as_they_are_written() {
        for (expression, verdict) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("(ISC AND GPL-3.0) OR GPL-3.0", false),
            // AND binds tighter than OR.
            ("MIT OR ISC AND GPL-3.0", true),
            ("GPL-2.0", false),
            ("GPL-2.0 WITH Classpath-exception-2.0", true),
            ("MIT WITH Classpath-exception-2.0", false),
        ] {
            assert_eq!(check(expression), Ok(verdict), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND MIT", "GPL-2.0 WITH"] {
            assert!(check(expression).is_err(), "{expression}");
        }
    }
}
