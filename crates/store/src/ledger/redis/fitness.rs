//! What a Redis server has to be, as it tells of itself.
use super::link::Fault;

/// The oldest version that replicates a script by what it did, and not by running it again.
const MIN_MAJOR: u32 = 6;

/// Which server it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) run_id: String,
    pub(super) history: String,
}

/// Reads the answer to INFO.
pub(super) fn see(info: &str) -> Result<Seen, Fault> {
    let of = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).filter(|value| !value.is_empty())
    };
    let unfit = |why: String| Err(Fault::Unfit(why));
    if of("loading") == Some("1") {
        return Err(Fault::Away("it is still loading its data".to_owned()));
    }
    let version = of("redis_version").unwrap_or("?");
    let major = version.split('.').next().and_then(|n| n.parse::<u32>().ok());
    if major.is_none_or(|major| major < MIN_MAJOR) {
        return unfit(format!("its version is {version}, and {MIN_MAJOR} is the oldest that will do"));
    }
    match of("role") {
        Some("master") => (),
        Some("slave") => {
            return unfit(
                "it is a replica, which takes no writes; name the master, or an address that leads to whichever server is it"
                    .to_owned(),
            );
        }
        _ => return unfit("it does not tell its role; the user has to be allowed to ask (INFO)".to_owned()),
    }
    match of("maxmemory_policy") {
        Some("noeviction") => (),
        Some(policy) => {
            return unfit(format!(
                "its maxmemory-policy is {policy}, so it may forget what was accepted; set it to noeviction, and give the \
                 ledger a server of its own"
            ));
        }
        None => return unfit("it does not tell its maxmemory-policy".to_owned()),
    }
    let Some(run_id) = of("run_id") else { return unfit("it does not tell its run_id".to_owned()) };
    let history = of("master_replid").unwrap_or_default();
    Ok(Seen { run_id: run_id.to_owned(), history: history.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n# Persistence\r\nloading:0\r\n\
                        # Memory\r\nmaxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\nmaster_replid:def\r\n";

    #[test]
    fn a_server_has_to_be_fit() {
        assert_eq!(see(GOOD).unwrap(), Seen { run_id: "abc".to_owned(), history: "def".to_owned() });
        for (from, to, why) in [
            ("7.0.15", "5.0.14", "6 is the oldest"),
            ("role:master", "role:slave", "it is a replica"),
            ("role:master", "x:y", "does not tell its role"),
            ("noeviction", "allkeys-lru", "its maxmemory-policy is allkeys-lru"),
            ("maxmemory_policy", "x", "does not tell its maxmemory-policy"),
            ("run_id:abc", "run_id:", "does not tell its run_id"),
        ] {
            match see(&GOOD.replace(from, to)) {
                Err(Fault::Unfit(told)) => assert!(told.contains(why), "{told}"),
                other => panic!("{from}: {other:?}"),
            }
        }
        assert!(matches!(see(&GOOD.replace("loading:0", "loading:1")), Err(Fault::Away(_))));
    }
}
