//! Servers that can't hold a ledger are told so, each in a sentence.
use super::*;

async fn refused(server: RedisServer) -> String {
    let place = AStore::new().await;
    let (ledger, keeper) = RedisLedger::new(&place.store, server, Settings::default(), Arc::new(now));
    let why = keeper.open().await.unwrap_err();
    assert!(matches!(why, LedgerError::Unfit { .. }), "{why}");
    assert_eq!(ledger.claim(&once(1, now().0)).await, Claim::Unavailable);
    let why = why.to_string();
    assert!(!why.contains("hush"), "{why}");
    why
}

#[tokio::test]
async fn a_server_that_evicts_or_stands_by_is_refused() {
    let test = "ledger::tests::redis::fitness::a_server_that_evicts_or_stands_by_is_refused";
    let Some(redis) = Redis::with(test, &["--maxmemory-policy", "allkeys-lru"]) else { return };
    let why = refused(server(&redis)).await;
    assert!(why.contains("maxmemory-policy is allkeys-lru") && why.contains(&redis.url()), "{why}");
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let Some(replica) = Redis::start(test) else { return };
    replica.ask(&["REPLICAOF", "127.0.0.1", &redis.address().port().to_string()]);
    assert!(refused(server(&replica)).await.contains("it is a replica"));
    // A running node notices, too, and goes on when it is mended.
    let place = AStore::new().await;
    let node = Node::start(&place.store, server(&redis), Settings::default()).await;
    let seen = once(1, now().0);
    assert_eq!(node.claim(&seen).await, Claim::New);
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    node.is_up(false).await;
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    node.is_up(true).await;
    assert_eq!(node.claim(&seen).await, Claim::Replayed);
    redis.ask(&["REPLICAOF", "127.0.0.1", &replica.address().port().to_string()]);
    assert_eq!(node.claim(&once(2, now().0)).await, Claim::Unavailable);
    node.is_up(false).await;
}

#[tokio::test]
async fn users_and_passwords_have_to_be_right() {
    let test = "ledger::tests::redis::fitness::users_and_passwords_have_to_be_right";
    // As docs/ledger.md has it.
    let rights = "~doorward:* +@read +@write +@scripting +@connection +info +time";
    let user: Vec<_> = ["--user", "ann", "on", ">hush-ann"].into_iter().chain(rights.split(' ')).collect();
    let Some(redis) = Redis::with(test, &[&["--requirepass", "hush"][..], &user].concat()) else { return };
    let with = |url: &str, password: Option<&str>| {
        RedisServer::new(url.parse().unwrap(), password.map(str::to_owned), None)
    };
    for wrong in [None, Some("hush-wrong")] {
        assert!(refused(with(&redis.url(), wrong)).await.contains("ledger.password_file"), "{wrong:?}");
    }
    let ann = redis.url().replace("redis://", "redis://ann@");
    assert!(refused(with(&ann, Some("hush"))).await.contains("ledger.password_file"));
    for (url, password) in [(redis.url(), "hush"), (ann, "hush-ann")] {
        let place = AStore::new().await;
        let node = Node::start(&place.store, with(&url, Some(password)), Settings::default()).await;
        assert_eq!(node.claim(&once(1, now().0)).await, Claim::New);
    }
}

#[tokio::test]
async fn tls_asks_for_a_certificate_that_names_the_server() {
    let test = "ledger::tests::redis::fitness::tls_asks_for_a_certificate_that_names_the_server";
    let folder = Folder::new();
    let file = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=ledger",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", &file("key"), "-out", &file("cert")])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: {test}: there is no openssl");
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let options = ["--tls-port", &free, "--tls-auth-clients", "no", "--tls-cert-file", &file("cert")];
    let files = ["--tls-key-file".to_owned(), file("key"), "--tls-ca-cert-file".to_owned(), file("cert")];
    let files = files.each_ref().map(String::as_str);
    let Some(_redis) = Redis::with(test, &[&options[..], &files].concat()) else { return };
    let pem = std::fs::read(file("cert")).unwrap();
    let to = |host: &str, pem: Option<Vec<u8>>| {
        RedisServer::new(format!("rediss://{host}:{free}").parse().unwrap(), None, pem)
    };
    let place = AStore::new().await;
    let open = |server| {
        let (ledger, keeper) = RedisLedger::new(&place.store, server, Settings::default(), Arc::new(now));
        async move {
            let opened = keeper.open().await;
            (ledger, keeper, opened)
        }
    };
    for (host, pem) in [("localhost", None), ("127.0.0.1", Some(pem.clone()))] {
        let (_, _, opened) = open(to(host, pem)).await;
        assert!(opened.unwrap_err().to_string().contains("certificate"), "{host}");
    }
    let (ledger, keeper, opened) = open(to("localhost", Some(pem))).await;
    opened.unwrap();
    let keeping = tokio::spawn(keeper.keep(drop));
    assert_eq!(ledger.claim(&once(1, now().0)).await, Claim::New);
    keeping.abort();
}
