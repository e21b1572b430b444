//! `doorward check`: tells everything that is wrong at once, and changes nothing.
use super::print;
use crate::callers::{Listed, MOST_CREDENTIALS, Sight};
use crate::config::{self, Config, LedgerPlace};
use crate::{Failure, clock, front, ledger, master_key, missing, place};
use doorward_control::actions::token_keys;
use doorward_core::policy::{Policy, compile};
use doorward_core::token_keys::KeyState;
use doorward_store::ledger::{LedgerError, look_at_redis};
use doorward_store::{Filter, Purpose, Store};
use std::path::Path;

pub(super) async fn run(file: &Path) -> Result<(), Failure> {
    let config = config::load(file)?;
    print::line(format_args!("ok: the settings in {}", file.display()))?;
    let mut wrong = beside(&config);
    if wrong.is_empty() {
        print::line("ok: the files that they name")?;
        wrong.extend(redis(&config).await?);
        wrong.extend(store(&config).await?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// The files that the settings name.
fn beside(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(front::faults_of_certificates(config));
    wrong.extend(front::upstream_roots(config).err().map(|e| e.to_string()));
    wrong.extend(master_key::load(&config.store.master_key_file).err().map(|e| e.to_string()));
    wrong.extend(place::address(&config.store).err().map(|e| e.to_string()));
    let store = config.store.url.file();
    let journal = match &config.ledger.place {
        LedgerPlace::Memory { journal } => journal.as_deref(),
        LedgerPlace::Redis { url, password_file, ca_file } => {
            let server = ledger::redis::server(url, password_file.as_deref(), ca_file.as_deref());
            wrong.extend(server.err().map(|e| e.to_string()));
            None
        }
    };
    let files =
        [("store.url", store), ("ledger.journal", journal), ("events.file", config.events_file.as_deref())];
    for (setting, file) in files {
        let folder = file.and_then(Path::parent).filter(|f| !f.as_os_str().is_empty() && !f.is_dir());
        wrong.extend(folder.map(|f| format!("{setting}: there is no folder {}; make it first", f.display())));
    }
    wrong
}

/// The server that nodes share for what is accepted once, and for limits.
async fn redis(config: &Config) -> Result<Option<String>, Failure> {
    let LedgerPlace::Redis { url, password_file, ca_file } = &config.ledger.place else { return Ok(None) };
    let server = ledger::redis::server(url, password_file.as_deref(), ca_file.as_deref())?;
    match look_at_redis(&server).await {
        Ok(()) => print::line(format_args!("ok: the Redis server {url} keeps the ledger and counts limits"))?,
        Err(e @ LedgerError::Unfit { .. }) => return Ok(Some(e.to_string())),
        // It may be up when the node starts.
        Err(e) => print::line(format_args!(
            "warning: {e}; while it is away, what is accepted once is refused, and each node counts its share of limits"
        ))?,
    }
    Ok(None)
}

/// What tokens are signed with.
async fn keys(config: &Config, store: &Store) -> Result<(), Failure> {
    let Some(issuer) = &config.tokens.issuer else { return Ok(()) };
    let (keys, now) = (store.token_keys().await?, clock::now());
    for alg in token_keys::needed(config.tokens.algorithm) {
        let own = || keys.iter().filter(|key| key.algorithm == alg.name());
        let name = alg.name();
        match own().filter(|key| key.state != KeyState::Retired && key.signs_from <= now).count() {
            0 => print::line(format_args!("note: there is no {name} key yet; the next start makes one"))?,
            _ => print::line(format_args!("ok: {issuer} has {name} keys ({} that verify)", own().count()))?,
        }
        for key in own().filter(|key| key.signs_from > now) {
            print::line(format_args!("note: the {name} key {} signs from {} on", key.kid, key.signs_from))?;
        }
    }
    Ok(())
}

/// Rules about where callers are, which this node may not be able to see.
async fn callers(config: &Config, policy: &Policy, store: &Store) -> Result<(), Failure> {
    let mut rules = Listed::of_policies(policy);
    let filter = Filter { with_networks: true, ..Filter::default() };
    let own = store.credentials_page(&filter, None, MOST_CREDENTIALS as i64).await?;
    rules.extend(own.iter().filter_map(|stored| Listed::of_credential(&stored.credential)));
    let sight = Sight::of(config);
    for doubt in sight.doubts(&rules) {
        print::line(format_args!("warning: {doubt}"))?;
    }
    sight.note(&rules).map_or(Ok(()), |note| Ok(print::line(format_args!("note: {note}"))?))
}

async fn store(config: &Config) -> Result<Option<String>, Failure> {
    if !Store::is_at(&place::address(&config.store)?).await? {
        // Looking must not make it.
        print::line(format_args!("ok: {} is not there yet; the first start makes it", config.store.url))?;
        return Ok(None);
    }
    let opened = place::open_configured(&config.store, Purpose::Own).await?;
    let report = opened.store.check().await?;
    print::line(format_args!(
        "ok: the store holds {} changes, {} credentials and {} objects",
        report.changes, report.credentials, report.objects
    ))?;
    print::line(format_args!("ok: all {} sealed secrets open", report.sealed))?;
    if report.master_keys > 1 {
        print::line(format_args!(
            "note: {} master keys open the store; when every node has the new one, retire the other (`doorward master-key retire`)",
            report.master_keys
        ))?;
    }
    keys(config, &opened.store).await?;
    match compile(&opened.store.policy().await?, config.region.as_deref()) {
        Ok(policy) => {
            print::line(format_args!(
                "ok: the policy has {} workspaces, {} APIs and {} routes",
                policy.workspaces.len(),
                policy.apis.len(),
                policy.routes.len()
            ))?;
            for sentence in missing::told(&policy, config.tokens.issuer.is_some()) {
                print::line(format_args!("warning: {sentence}"))?;
            }
            callers(config, &policy, &opened.store).await?;
            Ok(None)
        }
        Err(mistakes) => {
            let told: Vec<String> =
                mistakes.iter().map(|m| format!("the policy in the store: {m}")).collect();
            Ok(Some(told.join("\n")))
        }
    }
}
