//! What a policy relies on, and nobody has provided: it is obeyed as it stands, and refuses.
use doorward_core::credential::SchemeName;
use doorward_core::policy::Policy;
use std::collections::BTreeSet;

/// Sentences for an operator. `issues`: whether the settings name an issuer of tokens.
pub(crate) fn told(policy: &Policy, issues: bool) -> Vec<String> {
    let mut all = Vec::new();
    let of_tokens = policy.routes.iter().find(|route| route.local.is_some());
    let takes = policy.apis.iter().find(|api| api.schemes.contains(&SchemeName::Bearer));
    if !issues && let Some(api) = of_tokens.map(|route| &policy.apis[route.api]).or(takes) {
        all.push(format!(
            "api `{}` gives or takes tokens, but `tokens.issuer` is not set: its token endpoints answer 503, and every token is \
             refused",
            api.id
        ));
    }
    let there: BTreeSet<&str> =
        policy.workspaces.values().flat_map(|w| w.licences.iter().map(|licence| &*licence.name)).collect();
    let asked: BTreeSet<(&str, &str)> = policy
        .routes
        .iter()
        .flat_map(|route| route.licences.iter().map(|name| (&**name, policy.apis[route.api].id.as_str())))
        .filter(|(name, _)| !there.contains(name))
        .collect();
    all.extend(asked.iter().map(|(name, api)| {
        format!("api `{api}` asks for the licence `{name}`, which nobody has: there is no [[licence]] of that name")
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::policy::{compile, draft::read};

    #[test]
    fn what_is_not_there_is_told_once() {
        let policy = |more: &str| {
            let text = format!(
                "[[workspace]]\nid = \"w\"\nenvironment = \"production\"\n[[api]]\nid = \"a\"\ndialect = \"standard\"\n\
                 schemes = [\"api_key\", \"bearer\"]\nupstream = {{ production = \"http://u:1\" }}\n[[api.route]]\npath = \"/x\"\n\
                 licences = [\"gold\"]\n[[api.route]]\npath = \"/y\"\nlicences = [\"gold\"]\n{more}"
            );
            compile(&read(&text).unwrap(), None).unwrap()
        };
        let bare = told(&policy(""), false);
        assert_eq!(bare.len(), 2, "{bare:?}");
        assert!(bare[0].contains("`a`") && bare[0].contains("`tokens.issuer` is not set"), "{bare:?}");
        assert!(bare[1].contains("the licence `gold`"), "{bare:?}");
        let gold = "[[licence]]\nname = \"gold\"\nworkspace = \"w\"\n";
        assert_eq!(told(&policy(gold), true), Vec::<String>::new());
    }
}
