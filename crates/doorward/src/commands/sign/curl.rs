//! A signed request as a curl command: it sends what was signed, byte for byte.
use super::super::signing::is_stdin;
use super::{Body, Made};
use crate::Failure;
use crate::shell::quoted;
use std::path::Path;

pub(super) fn line(made: &Made, ca_file: Option<&Path>) -> Result<String, Failure> {
    let mut words = vec!["curl".to_owned()];
    let mut add = |word: &str| words.push(word.to_owned());
    let path = made.url.target.split('?').next().unwrap_or_default();
    // curl would remove dot segments, and take brackets for a pattern.
    if path.contains("/.") || path.to_ascii_lowercase().contains("%2e") {
        add("--path-as-is");
    }
    if made.url.target.contains(['[', ']', '{', '}']) {
        add("--globoff");
    }
    if let Some(file) = ca_file {
        add("--cacert");
        add(&quoted(&file.display().to_string()));
    }
    match (made.method.as_str(), &made.body) {
        ("GET", None) | ("POST", Some(_)) => {}
        ("HEAD", None) => add("--head"),
        (method, _) => {
            add("-X");
            add(&quoted(method));
        }
    }
    add(&quoted(&made.url.with_target(&made.url.target)));
    for (name, value) in &made.headers {
        add("-H");
        // Without a value, curl sends a field only when it is written so.
        add(&quoted(&if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") }));
    }
    if let Some(body) = &made.body {
        // curl would say that it sends a form.
        if !made.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            add("-H");
            add("'Content-Type:'");
        }
        match body {
            Body::File(file, _) if !is_stdin(file) => {
                add("--data-binary");
                add(&quoted(&format!("@{}", file.display())));
            }
            _ => {
                let text = std::str::from_utf8(body.bytes()).ok().filter(|text| !text.contains('\0'));
                add("--data-raw");
                add(&quoted(text.ok_or(
                    "a body that is no text can't stand in a command line; put it in a file: --data-file FILE",
                )?));
            }
        }
    }
    Ok(words.join(" "))
}
