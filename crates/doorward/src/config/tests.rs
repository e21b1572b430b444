use super::*;
use std::net::SocketAddr;

const LEAST: &str = "[store]\nurl = \"sqlite:d.db\"\nmaster_key_file = \"/k\"\n[listen]\nplain = \"127.0.0.1:0\"\n\
                     [plain_http]\nmode = \"serve\"\n";

fn read(text: &str, folder: &Path) -> Result<Config, Vec<Mistake>> {
    super::read(text, folder, None)
}

fn mistakes(text: &str) -> Vec<String> {
    read(text, Path::new("/etc/doorward")).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn the_least_there_can_be() {
    let c = read(LEAST, Path::new("/etc/doorward")).unwrap();
    assert_eq!(c.store.url.to_string(), "sqlite:/etc/doorward/d.db");
    assert_eq!(c.store.master_key_file, Path::new("/k"));
    assert_eq!((c.store.max_staleness_s, c.plain_http), (60, PlainHttp::Serve));
    assert_eq!((c.timeouts, c.limits), (Timeouts::default(), Limits::default()));
    assert!(c.cores > 0 && c.trusted.networks.is_empty() && c.events_file.is_none());
}

#[test]
fn every_limit_and_time_out_is_read() {
    let more = "[timeouts]\nhead_ms=51\nidle_ms=52\nbody_ms=53\nconnect_ms=54\nresponse_ms=55\nresponse_body_ms=56\n\
                write_ms=57\ntls_handshake_ms=58\nupstream_idle_ms=59\ndrain_ms=60\nupstream_wait_ms=61\nupgraded_idle_ms=62\n[limits]\nconnections=1\n\
                connections_per_address=14\nrequests=15\nqueue_ms=16\nmin_answer_rate_bytes_per_s=17\nhead_bytes=256\nfields=3\nbody_bytes=4\ninterim_responses=5\ntrailer_bytes=6\nunread_body_bytes=7\n\
                signed_body_bytes=10\nsigned_bodies_caller_bytes=11\nsigned_bodies_node_bytes=12\nlocal_body_bytes=13\n\
                min_body_rate_bytes_per_s=8\nupstream_idle_connections=9\n[runtime]\ncores=3\n[events]\nfile=\"e\"\n";
    let c = read(&format!("{LEAST}{more}"), Path::new("/d")).unwrap();
    let t = Timeouts {
        head_ms: 51,
        idle_ms: 52,
        body_ms: 53,
        connect_ms: 54,
        response_ms: 55,
        response_body_ms: 56,
        write_ms: 57,
        tls_handshake_ms: 58,
        upstream_idle_ms: 59,
        upstream_wait_ms: 61,
        upgraded_idle_ms: 62,
        drain_ms: 60,
    };
    let l = Limits {
        connections: 1,
        connections_per_address: 14,
        requests: 15,
        queue_ms: 16,
        head_bytes: 256,
        fields: 3,
        body_bytes: 4,
        interim_responses: 5,
        trailer_bytes: 6,
        signed_body_bytes: 10,
        signed_bodies_caller_bytes: 11,
        signed_bodies_node_bytes: 12,
        local_body_bytes: 13,
        unread_body_bytes: 7,
        min_body_rate_bytes_per_s: 8,
        min_answer_rate_bytes_per_s: 17,
        upstream_idle_connections: 9,
        token_cache_entries: Limits::default().token_cache_entries,
    };
    assert_eq!((c.timeouts, c.limits, c.cores), (t, l, 3));
    assert_eq!(c.events_file.as_deref(), Some(Path::new("/d/e")));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = "name = \"a b\"\nregio = \"us\"\n[store]\nurl = \"mysql://u:hush@x/d\"\n[listen]\nplain = \"8080\"\n\
                tls = \"0.0.0.0:443\"\noperations = \"127.0.0.1:443\"\n[tls]\nkey_file = \"k\"\n[plain_http]\n\
                mode = \"allow\"\n[trusted_proxies]\nnetworks = [\"10.0.0.0/8\", \"0.0.0.0/0\", \"10.0.0/8\"]\n\
                [timeouts]\nhead_ms = 0\n[limits]\nfields = \"many\"\n";
    assert_eq!(
        mistakes(text),
        [
            "line 1, name: `a b`: write 1 to 64 letters, digits, `-`, `_` or `.`",
            "line 2, regio: there is no such setting; known here: captcha, events, ledger, limits, listen, name, plain_http, region, \
             role, runtime, store, timeouts, tls, tokens, trusted_proxies, upstream",
            "line 3, store: `master_key_file` is missing",
            "line 4, store.url: `mysql:` is no kind of store; write sqlite:/path/to/doorward.db or \
             postgres://user@host:port/database?sslmode=verify-full",
            "line 6, listen.plain: `8080` is not an address with a port, as in 127.0.0.1:8080 or [::1]:8080",
            "line 7, listen.tls: a TLS listener needs `tls.certificate_file`",
            "line 8, listen.operations: 127.0.0.1:443 is taken by `tls` already",
            "line 12, plain_http.mode: `allow` is none of redirect, refuse, serve",
            "line 14, trusted_proxies.networks[1]: `0.0.0.0/0` is everybody: whoever connects could then pose as anybody",
            "line 14, trusted_proxies.networks[2]: `10.0.0/8` is not a network, as in 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32",
            "line 16, timeouts.head_ms: must be from 50 to 3600000",
            "line 18, limits.fields: expected a whole number, found a string",
        ]
    );
}

/// SXFF-4: bits beyond the prefix say nothing, and one address is a network of itself.
#[test]
fn networks_are_masked() {
    let more = "[trusted_proxies]\nnetworks = [\"127.0.0.77/24\", \"2001:db8::7\"]\nheader = \"forwarded\"\n";
    let trusted = read(&format!("{LEAST}{more}"), Path::new("")).unwrap().trusted;
    assert_eq!(trusted.networks.texts(), ["127.0.0.0/24", "2001:db8::7"]);
    assert_eq!(trusted.header, doorward_gateway::TrustedHeader::Forwarded);
}

#[test]
fn sections_have_to_fit_together() {
    let store = "[store]\nurl = \"sqlite:/d\"\nmaster_key_file = \"/k\"\n";
    let only = |rest: &str| mistakes(&format!("{store}{rest}"));
    assert_eq!(only(""), ["line 1: `listen` is missing; write [listen] with `plain`, `tls`, or both"]);
    assert_eq!(only("[listen]\noperations = \"127.0.0.1:1\"\n").len(), 1);
    // A redirect has to lead somewhere.
    let plain = "[listen]\nplain = \"127.0.0.1:8080\"\n";
    assert!(only(plain)[0].starts_with("line 5, listen.plain: plain HTTP is redirected to https"));
    assert!(
        only(&format!("{plain}[plain_http]\nmode = \"redirect\"\n"))[0]
            .starts_with("line 7, plain_http.mode")
    );
    assert_eq!(only(&format!("{plain}[plain_http]\nhttps_port = 443\n")), Vec::<String>::new());
    assert_eq!(only(&format!("{plain}[plain_http]\nmode = \"refuse\"\n")), Vec::<String>::new());
    // HTTP/2 over plain HTTP needs a listener for it.
    let switched_on = "[plain_http]\nmode = \"serve\"\nhttp2 = true\n";
    let c = read(&format!("{store}{plain}{switched_on}"), Path::new("")).unwrap();
    assert!(c.plain_http2 && !read(LEAST, Path::new("")).unwrap().plain_http2);
    let without = only(&format!("[listen]\noperations = \"127.0.0.1:1\"\n{switched_on}"));
    assert!(
        without.iter().any(|m| m.starts_with("line 8, plain_http.http2: there is no `listen.plain`")),
        "{without:?}"
    );
    // Files without a listener, a listener without files.
    let unused = only(&format!("{plain}[plain_http]\nmode = \"serve\"\n[tls]\ncertificate_file = \"c\"\n"));
    assert_eq!(unused, ["line 9, tls.certificate_file: there is no `listen.tls`, so nothing would use it"]);
    assert_eq!(only("[listen]\ntls = \"127.0.0.1:0\"\n").len(), 2);
    // Port 0 picks a free one each time, so two of them do not clash.
    let free = "[listen]\nplain = \"127.0.0.1:0\"\ntls = \"127.0.0.1:0\"\n[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\n";
    let c = read(&format!("{store}{free}"), Path::new("")).unwrap();
    assert_eq!(c.listen.tls, Some(SocketAddr::from(([127, 0, 0, 1], 0))));
    assert_eq!(c.tls.hsts, Some(Hsts { max_age_s: 31_536_000, include_subdomains: false }));
}

/// A password is in the address or in a file of its own, and in nothing that is shown.
#[test]
fn a_servers_store_has_one_password() {
    let with = |store: &str| LEAST.replace("url = \"sqlite:d.db\"", store);
    let read_in = |text: &str| read(text, Path::new("/etc/doorward"));
    let server = "url = \"postgres://ann@db.example/doorward\"\npassword_file = \"pw\"";
    let c = read_in(&with(server)).unwrap();
    assert_eq!(c.store.url.to_string(), "postgres://ann@db.example:5432/doorward?sslmode=verify-full");
    assert_eq!(c.store.password_file.as_deref(), Some(Path::new("/etc/doorward/pw")));
    let c = read_in(&with("url = \"postgres://ann:hush@db.example/doorward\"")).unwrap();
    assert!(c.store.url.has_password() && !format!("{c:?}").contains("hush"));
    let twice = mistakes(&with("url = \"postgres://ann:hush@db/d\"\npassword_file = \"pw\""));
    assert!(twice.len() == 1 && twice[0].contains("line 3, store.password_file"), "{twice:?}");
    let file = mistakes(&with("url = \"sqlite:d.db\"\npassword_file = \"pw\""));
    assert!(file.len() == 1 && file[0].contains("a file has no password"), "{file:?}");
}

/// The examples in the tree are complete and right.
#[test]
fn the_examples_are_right() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let config = load(&examples.join("doorward.toml")).unwrap();
    assert_eq!((config.timeouts, config.limits), (Timeouts::default(), Limits::default()));
    assert_eq!((config.plain_http, config.store.max_staleness_s), (PlainHttp::Redirect, 60));
    let text = std::fs::read_to_string(examples.join("policy.toml")).unwrap();
    let draft = doorward_core::policy::draft::read(&text).unwrap();
    doorward_core::policy::compile(&draft, config.region.as_deref()).unwrap();
}

/// No setting is left out of the example.
#[test]
fn the_example_names_every_setting() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let text = std::fs::read_to_string(examples.join("doorward.toml")).unwrap();
    // An unknown setting in each table brings out the list of the known ones.
    let mut broken = String::from("zzz = 1\n");
    for line in text.lines() {
        broken.push_str(line);
        broken.push('\n');
        if line.starts_with('[') {
            broken.push_str("zzz = 1\n");
        }
    }
    let told = mistakes(&broken);
    assert_eq!(told.len(), 1 + text.lines().filter(|l| l.starts_with('[')).count());
    for mistake in told {
        let known = mistake.split_once("known here: ").unwrap().1;
        for name in known.split(", ") {
            let set = |l: &str| {
                let l = l.trim_start_matches(['#', ' ']);
                l.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
                    || l == format!("[{name}]")
            };
            assert!(name == "zzz" || text.lines().any(set), "{name} is not in the example");
        }
    }
}

/// A node that takes no callers needs no listeners for them; which role counts is what the command line says, then the
/// file.
#[test]
fn the_role_decides_what_has_to_be_there() {
    let folder = Path::new("");
    let store = "[store]\nurl = \"sqlite:/d\"\nmaster_key_file = \"/k\"\n";
    let told = |role: &str| format!("role = \"{role}\"\n{store}");
    assert_eq!(read(LEAST, folder).unwrap().role, Role::All);
    for text in [told("control"), told("control") + "[listen]\noperations = \"127.0.0.1:1\"\n"] {
        let config = read(&text, folder).unwrap();
        assert_eq!((config.role, config.listen.plain, config.listen.tls), (Role::Control, None, None));
        assert_eq!(super::read(&text, folder, Some(Role::Gateway)).err().map(|m| m.len()), Some(1));
    }
    assert_eq!(super::read(store, folder, Some(Role::Control)).unwrap().role, Role::Control);
    for role in ["gateway", "all"] {
        let missing = mistakes(&told(role));
        assert_eq!(missing, ["line 1: `listen` is missing; write [listen] with `plain`, `tls`, or both"]);
        assert_eq!(super::read(&told(role), folder, Some(Role::Control)).unwrap().role, Role::Control);
    }
    let unknown = mistakes(&format!("role = \"master\"\n{LEAST}"));
    assert_eq!(unknown, ["line 1, role: `master` is none of gateway, control, all"]);
}

/// A ledger is in this node's memory, with a journal beside an SQLite store, or on Redis; shares go with its size.
#[test]
fn a_ledger_has_one_place() {
    let read_in = |text: &str| read(text, Path::new("/etc/doorward"));
    let place = |text: &str| format!("{:?}", read_in(text).unwrap().ledger.place);
    let of = |ledger: &str| format!("{LEAST}[ledger]\n{ledger}\n");
    let beside = "Memory { journal: Some(\"/etc/doorward/d.db.ledger\") }";
    assert_eq!(place(LEAST), beside);
    assert_eq!(place(&of("url = \"memory\"")), beside);
    assert_eq!(place(&of("journal = \"j\"")), "Memory { journal: Some(\"/etc/doorward/j\") }");
    let server = LEAST.replace("sqlite:d.db", "postgres://ann@db/d");
    assert_eq!(place(&server), "Memory { journal: None }");
    assert_eq!(place(&format!("{server}[ledger]\njournal = \"/j\"\n")), "Memory { journal: Some(\"/j\") }");
    let redis = read_in(&of("url = \"redis://h/2\"\npassword_file = \"pw\"\nentries = 100")).unwrap().ledger;
    let LedgerPlace::Redis { url, password_file, ca_file } = &redis.place else { panic!("{redis:?}") };
    assert_eq!((url.to_string().as_str(), ca_file), ("redis://h:6379/2", &None));
    assert_eq!(password_file.as_deref(), Some(Path::new("/etc/doorward/pw")));
    let s = redis.settings;
    assert_eq!((s.entries, s.workspace_entries, s.credential_entries), (100, 75, 50));
    let s = read_in(&of("entries = 10\nentries_per_workspace = 7\nentries_per_credential = 3")).unwrap();
    let s = s.ledger.settings;
    assert_eq!((s.entries, s.workspace_entries, s.credential_entries), (10, 7, 3));
    for (bad, why) in [
        ("url = \"disk\"", "line 9, ledger.url: write \"memory\" or \"redis://host:port/database\""),
        (
            "url = \"redis://:hush@h\"",
            "line 9, ledger.url: there is a password in its address; put it in a file of its own",
        ),
        ("ca_file = \"c\"", "line 9, ledger.ca_file: it is for a ledger on Redis: name that in `url`"),
        (
            "url = \"redis://h\"\njournal = \"j\"",
            "line 10, ledger.journal: it is for a ledger in memory: Redis remembers by itself",
        ),
        (
            "url = \"redis://h\"\nca_file = \"c\"",
            "line 10, ledger.ca_file: it is for TLS: write rediss:// in `url`",
        ),
        ("entries = 0", "line 9, ledger.entries: must be from 1 to 1000000000"),
        (
            "entries = 5\nentries_per_workspace = 6",
            "line 10, ledger.entries_per_workspace: a share is a part of `entries`, which is 5",
        ),
    ] {
        assert_eq!(mistakes(&of(bad)), [why], "{bad}");
    }
}

#[test]
fn tokens_are_issued_by_whom_the_settings_say() {
    let none = read(LEAST, Path::new("/d")).unwrap().tokens;
    assert_eq!((none.issuer, none.algorithm.name(), none.publish_before_s), (None, "ES256", 3_600));
    let section = "[tokens]\nissuer=\"https://api.example\"\nalgorithm=\"EdDSA\"\npublish_before_s=60\ncache_entries=100\n";
    let config = read(&format!("{LEAST}{section}"), Path::new("/d")).unwrap();
    let some = config.tokens;
    assert_eq!(some.issuer.unwrap().as_str(), "https://api.example");
    assert_eq!(
        (some.algorithm.name(), some.publish_before_s, config.limits.token_cache_entries),
        ("EdDSA", 60, 100)
    );
    let bad = "[tokens]\nalgorithm=\"HS256\"\npublish_before_s=90000\ncache_entries=-1\nissue=\"x\"\n";
    let told = mistakes(&format!("{LEAST}{bad}"));
    assert_eq!(told.len(), 5, "{told:?}");
    for (told, part) in told.iter().zip([
        "`issuer` is missing",
        "`HS256` is none of ES256, RS256, EdDSA",
        "must be from 0 to 86400",
        "must be from 0 to 1048576",
        "there is no such setting; known here: algorithm, cache_entries, issuer, publish_before_s",
    ]) {
        assert!(told.contains(part), "{told}");
    }
    let slash = mistakes(&format!("{LEAST}[tokens]\nissuer=\"https://api.example/\"\n"));
    assert!(slash.len() == 1 && slash[0].contains("is no issuer"), "{slash:?}");
}
