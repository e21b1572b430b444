//! What drafts say about signatures.
use super::Compiler;
use crate::dialect::{Dialect, SigningForm};
use crate::policy::draft::{ApiDraft, Draft, SigningDraft};
use crate::policy::{DEFAULT_SKEW_S, OnceOnly, Signing};
use crate::schemes::escher::{Config, ConfigError, Flavour};
use std::sync::Arc;

impl Compiler {
    /// How requests to an API are signed, one way for each of its dialects that has signatures.
    pub(super) fn signing(&mut self, d: &ApiDraft, names: &[&'static Dialect]) -> Vec<Arc<Signing>> {
        let place = format!("api `{}`, signing", d.id);
        let signing: Vec<(&'static Dialect, SigningForm)> =
            names.iter().filter_map(|n| Some((*n, n.signing?))).collect();
        // Where odd paths are let through, they must not share a signature with plain ones.
        let odd_paths = d.paths.empty_segments || d.paths.dot_segments;
        let mut out = Vec::new();
        let mut used = vec![false; d.signing.len()];
        for (dialect, form) in &signing {
            let of =
                |s: &SigningDraft| s.dialect.as_deref().map_or(signing.len() == 1, |n| n == dialect.name);
            let mut drafts = d.signing.iter().enumerate().filter(|(_, s)| of(s));
            let none = SigningDraft::default();
            let draft = drafts.next().map_or(&none, |(at, s)| {
                used[at] = true;
                s
            });
            if let Some((at, second)) = drafts.next() {
                used[at] = true;
                self.wrong(second.line.0, &place, format!("the dialect {} is there already", dialect.name));
            }
            let line = if draft.line.0 > 0 { draft.line.0 } else { d.line.0 };
            match one(dialect, *form, draft, self.policy.region.as_deref(), odd_paths) {
                Ok(signing) => out.push(Arc::new(signing)),
                Err(why) => self.wrong(line, &place, why.to_string()),
            }
        }
        for (s, _) in d.signing.iter().zip(used).filter(|(_, used)| !used) {
            let all: Vec<_> = signing.iter().map(|(n, _)| n.name).collect();
            let why = match &s.dialect {
                Some(name) => format!("`{name}` is no dialect of this API that has signatures"),
                None => format!("say `dialect`: {} have signatures here", all.join(" and ")),
            };
            self.wrong(s.line.0, &place, why);
        }
        out
    }

    /// One algorithm prefix in one field belongs to one way of signing, or no request could be told to be signed in it.
    pub(super) fn clashes(&mut self, draft: &Draft) {
        let all: Vec<_> = self
            .policy
            .apis
            .iter()
            .flat_map(|a| a.signing.iter().map(|s| (a.id.clone(), Arc::clone(s))))
            .collect();
        for (index, (id, signing)) in all.iter().enumerate() {
            let clash = all[..index].iter().find(|(_, other)| signing.config.clashes_with(&other.config));
            if let Some((other, _)) = clash {
                let line = draft.apis.iter().find(|a| a.id == *id).map_or(0, |a| a.line.0);
                let why = format!(
                    "its `prefix` and `auth_field` are those of api `{other}`, but `vendor` or dialect differ"
                );
                self.wrong(line, format!("api `{id}`, signing"), why);
            }
        }
    }
}

fn one(
    dialect: &'static Dialect,
    form: SigningForm,
    draft: &SigningDraft,
    region: Option<&str>,
    odd_paths: bool,
) -> Result<Signing, ConfigError> {
    let scope = draft.scope.clone().unwrap_or_else(|| form.default_scope(region));
    let own = [&draft.prefix, &draft.vendor, &draft.auth_field, &draft.date_field];
    let mut config = if own.iter().all(|name| name.is_none()) {
        form.config(&scope)?
    } else {
        let (flavour, names) = match form {
            SigningForm::Antavo => (Flavour::Escher, ["ANTAVO", "Antavo", "authorization", "date"]),
            SigningForm::Aws4 => (Flavour::SigV4, ["AWS4", "Amz", "authorization", "x-amz-date"]),
        };
        let name = |i: usize| own[i].as_deref().unwrap_or(names[i]);
        Config::new(flavour, name(0), name(1), name(2), name(3), &scope)?
    };
    if odd_paths {
        config = config.with_paths_as_sent();
    }
    if let Some(max_s) = draft.presigned_max_s {
        config = config.with_presigned(i64::try_from(max_s).unwrap_or(i64::MAX));
    }
    if let Some(accepted) = draft.escaped_plus_as_space {
        config = config.with_escaped_plus_as_space(accepted);
    }
    let fields: Vec<&str> = draft.fields.iter().map(String::as_str).collect();
    let once_only = draft.once_only.as_deref().map_or(Ok(OnceOnly::All), OnceOnly::parse);
    let json = (form == SigningForm::Antavo).then_some("application/json");
    let content_type = draft.content_type.as_deref().or(json).filter(|value| !value.is_empty());
    Ok(Signing {
        dialect,
        config: config.with_fields_to_sign(&fields),
        skew_ms: u32::try_from(draft.skew_s.unwrap_or(DEFAULT_SKEW_S) * 1000).unwrap_or(u32::MAX),
        once_only: once_only.map_err(ConfigError::new)?,
        pass_unsigned: draft.pass_unsigned.iter().map(|name| name.as_str().into()).collect(),
        content_type: content_type.map(Box::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::compile;
    use crate::policy::draft::read;

    /// A request that is signed under a prefix is signed in one way.
    #[test]
    fn a_prefix_belongs_to_one_way_of_signing() {
        let api = |id: &str, more: &str| {
            format!(
                "[[api]]\nid = \"{id}\"\ndialect = \"antavo\"\nschemes = [\"escher\"]\nsigning = [{{ {more} }}]\n\
                 upstream = {{ sandbox = \"http://u:1\" }}\nroute = [{{ path = \"/{id}\" }}]\n"
            )
        };
        let both = |more: &str| compile(&read(&(api("a", "") + &api("b", more))).unwrap(), None);
        assert!(both("skew_s = 9").is_ok() && both("prefix = \"OWN\", vendor = \"Own\"").is_ok());
        let wrong = both("vendor = \"Own\"").err().unwrap_or_default();
        assert!(wrong.len() == 1 && wrong[0].to_string().contains("`vendor` or dialect differ"), "{wrong:?}");
    }

    /// Two paths that lead to two places never have one signature.
    #[test]
    fn where_odd_paths_pass_they_are_signed_as_they_are_sent() {
        let config = |paths: &str| {
            let text = format!(
                "[[api]]\nid = \"a\"\ndialect = \"antavo\"\nschemes = [\"escher\"]\n{paths}\n\
                 upstream = {{ sandbox = \"http://u:1\" }}\nroute = [{{ path = \"/*\" }}]\n"
            );
            compile(&read(&text).unwrap(), Some("eu")).unwrap().apis[0].signing[0].config.clone()
        };
        let usual = Config::antavo("eu/api/antavo_request").unwrap();
        assert_eq!(config(""), usual);
        assert_eq!(config("paths = { encoded_slash = true }"), usual);
        for odd in ["empty_segments", "dot_segments"] {
            assert_eq!(config(&format!("paths = {{ {odd} = true }}")), usual.clone().with_paths_as_sent());
        }
    }
}
