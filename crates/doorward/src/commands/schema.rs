//! `doorward schema`: the JSON schema of the policy file, for editors that help to write one.
use super::print;
use crate::Failure;

/// The schema (draft 2020-12).
const SCHEMA: &str = include_str!("policy.schema.json");

/// Prints it.
///
/// # Errors
/// Nobody takes it.
pub(super) fn run() -> Result<(), Failure> {
    Ok(print::line(SCHEMA.trim_end())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::policy::draft::read_what_can_be;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// The settings that the reader of policies knows where there is one that it does not know.
    fn known(text: &str) -> BTreeSet<String> {
        let (_, mistakes) = read_what_can_be(text);
        let told =
            mistakes.iter().find_map(|m| m.message.strip_prefix("there is no such setting; known here: "));
        let told = told.unwrap_or_else(|| panic!("{text}: {mistakes:?}"));
        told.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_knows_what_the_reader_knows() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let workspace = "[[workspace]]\nid = \"w\"\nenvironment = \"sandbox\"\n";
        let api = "[[api]]\nid = \"a\"\ndialect = \"antavo\"\nschemes = [\"escher\"]\nupstream = { sandbox = \"http://u:1\" }\n";
        let policy = "[[policy]]\nworkspace = \"w\"\napi = \"a\"\n";
        let odd = "no_such = 1\n";
        for (pointer, text) in [
            ("", odd.to_owned()),
            ("/workspace/items", format!("{workspace}{odd}")),
            (
                "/workspace/items/role/items",
                format!("{workspace}[[workspace.role]]\nname = \"r\"\nscopes = []\n{odd}"),
            ),
            ("/api/items", format!("{api}route = [{{ path = \"/\" }}]\n{odd}")),
            ("/api/items/paths", format!("{api}route = [{{ path = \"/\" }}]\npaths = {{ no_such = 1 }}\n")),
            (
                "/api/items/cors",
                format!("{api}route = [{{ path = \"/\" }}]\ncors = {{ origins = [\"*\"], no_such = 1 }}\n"),
            ),
            (
                "/api/items/upstream",
                format!("{api}route = [{{ path = \"/\" }}]\n").replace("{ sandbox", "{ no_such = 1, sandbox"),
            ),
            (
                "/$defs/service/anyOf/2",
                format!("{api}route = [{{ path = \"/\" }}]\n")
                    .replace("\"http://u:1\"", "{ addresses = [\"http://u:1\"], no_such = 1 }"),
            ),
            (
                "/$defs/service/anyOf/2/properties/probe",
                format!("{api}route = [{{ path = \"/\" }}]\n").replace(
                    "\"http://u:1\"",
                    "{ addresses = [\"http://u:1\"], probe = { path = \"/\", no_such = 1 } }",
                ),
            ),
            ("/api/items/signing/items", format!("{api}[[api.route]]\npath = \"/\"\n[[api.signing]]\n{odd}")),
            ("/api/items/route/items", format!("{api}[[api.route]]\npath = \"/\"\n{odd}")),
            ("/licence/items", format!("{workspace}[[licence]]\nname = \"l\"\nworkspace = \"w\"\n{odd}")),
            ("/policy/items", format!("{policy}{odd}")),
            ("/policy/items/network", format!("{policy}network = {{ allow = [], no_such = 1 }}\n")),
            (
                "/policy/items/limits",
                format!("{policy}limits = {{ client = {{ requests = 1, per_s = 1 }}, no_such = 1 }}\n"),
            ),
            (
                "/policy/items/limits/client",
                format!("{policy}limits = {{ client = {{ requests = 1, per_s = 1, no_such = 1 }} }}\n"),
            ),
        ] {
            let mut at = schema.pointer(pointer).filter(|_| pointer.starts_with("/$")).unwrap_or(&schema);
            let pointer = if pointer.starts_with("/$") { "" } else { pointer };
            for name in pointer.split('/').filter(|name| !name.is_empty()) {
                at = if name == "items" { &at["items"] } else { &at["properties"][name] };
            }
            let named: BTreeSet<String> =
                at["properties"].as_object().unwrap_or_else(|| panic!("{pointer}")).keys().cloned().collect();
            assert_eq!(named, known(&text), "{pointer}");
            assert_eq!(at["additionalProperties"], false, "{pointer}");
        }
    }
}
