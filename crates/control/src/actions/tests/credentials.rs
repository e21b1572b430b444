use super::super::credentials as verbs;
use super::*;
use doorward_core::credential::Status;
use doorward_core::ids;
use doorward_core::schemes::escher::SigningSecret;

const DAY_MS: i64 = 86_400_000;

async fn secret_at(office: &Office, id: &str, ms: i64) -> Result<String, Error> {
    Ok(verbs::reveal(office.later(ms), id).await?.secret.unwrap().0)
}

#[tokio::test]
async fn a_new_credential_has_a_fresh_id_and_secret_of_which_only_a_hash_stays() {
    let office = Office::with_policy().await;
    let one = office.create(&wanted("live", Kind::Server)).await.unwrap();
    let two = office.create(&wanted("live", Kind::Integration)).await.unwrap();
    assert_eq!((one.kind, one.dialect, one.scheme), ("server", "standard", "api_key"));
    assert_ne!(one.id, two.id);
    let secret = one.secret.clone().unwrap().0;
    assert!(one.id.starts_with(ids::KEY_ID) && secret.starts_with(ids::KEY_SECRET));
    assert!(ids::checksum_fits(&one.id) && ids::checksum_fits(&secret));
    let stored = office.store.credential(&one.id).await.unwrap().unwrap();
    let known = stored.credential.secret;
    assert!(office.keys.fits(one.id.as_bytes(), secret.as_bytes(), Some(&known)));
    assert!(!office.keys.fits(two.id.as_bytes(), secret.as_bytes(), Some(&known)));
    assert!(!format!("{one:?}").contains(&secret));
    let listed = verbs::list(office.desk(), Some("live")).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(!serde_json::to_string(&listed).unwrap().contains("secret"));
    office.store.check().await.unwrap();
}

#[tokio::test]
async fn the_fields_of_a_credential_come_in_a_fixed_order() {
    let office = Office::with_policy().await;
    let asked = Wanted {
        dialect: dialect("voucherify"),
        name: "Web shop".to_owned(),
        origins: ["https://Shop.example", "https://shop.example:443", ".shop.example"]
            .map(str::to_owned)
            .to_vec(),
        scopes: ["client_api", "client_api"].map(str::to_owned).to_vec(),
        expires_at: Some(NOW.plus_ms(DAY_MS)),
        ..wanted("live", Kind::Client)
    };
    let made = office.create(&asked).await.unwrap();
    let (id, token) = (made.id.clone(), made.secret.clone().unwrap().0);
    assert!(token.starts_with(ids::PUBLISHABLE_TOKEN));
    assert_eq!(
        serde_json::to_string(&made).unwrap(),
        format!(
            "{{\"workspace\":\"live\",\"kind\":\"client\",\"name\":\"Web shop\",\"dialect\":\"voucherify\",\
             \"scheme\":\"publishable\",\"id\":\"{id}\",\"secret\":\"{token}\",\"plain_key\":false,\"weak\":false,\
             \"origins\":[\"https://shop.example\",\".shop.example\"],\"scopes\":[\"client_api\"],\
             \"status\":\"active\",\"expires_at\":\"2026-01-02T00:00:00.000Z\",\
             \"created_at\":\"2026-01-01T00:00:00.000Z\",\"last_used\":null,\"exposed_at\":null}}"
        )
    );
}

#[tokio::test]
async fn how_long_a_secret_can_be_shown_again() {
    let office = Office::with_policy().await;
    let of = |workspace, name| Wanted { dialect: dialect(name), ..wanted(workspace, Kind::Server) };
    let standard = office.create(&of("live", "standard")).await.unwrap();
    assert!(matches!(secret_at(&office, &standard.id, 0).await, Err(Error::NotShownAgain(_))));

    let vendor = office.create(&of("live", "voucherify")).await.unwrap();
    assert_eq!(secret_at(&office, &vendor.id, 13 * DAY_MS).await.unwrap(), vendor.secret.unwrap().0);
    assert!(matches!(secret_at(&office, &vendor.id, 14 * DAY_MS).await, Err(Error::NotShownAgain(_))));

    let again = verbs::regenerate(office.desk(), &vendor.id, None, &mut |b| office.fill(b)).await.unwrap();
    let new = again.secret.unwrap().0;
    assert_eq!(secret_at(&office, &vendor.id, 14 * 60_000).await.unwrap(), new);
    assert!(matches!(secret_at(&office, &vendor.id, 15 * 60_000).await, Err(Error::NotShownAgain(_))));

    let client = Wanted { origins: vec!["*".to_owned()], ..of("live", "voucherify") };
    let client = office.create(&Wanted { kind: Kind::Client, ..client }).await.unwrap();
    let sandbox = office.create(&of("try", "standard")).await.unwrap();
    let always = Wanted { showing: Showing::Always, ..of("live", "standard") };
    let always = office.create(&always).await.unwrap();
    for c in [client, sandbox, always] {
        assert_eq!(secret_at(&office, &c.id, 4_000 * DAY_MS).await.unwrap(), c.secret.unwrap().0);
    }
}

#[tokio::test]
async fn a_new_secret_ends_the_old_one() {
    let office = Office::with_policy().await;
    let made = office.create(&wanted("live", Kind::Server)).await.unwrap();
    let again = verbs::regenerate(office.desk(), &made.id, None, &mut |b| office.fill(b)).await.unwrap();
    let (old, new) = (made.secret.unwrap().0, again.secret.unwrap().0);
    let known = office.store.credential(&made.id).await.unwrap().unwrap().credential.secret;
    let fits = |secret: &str| office.keys.fits(made.id.as_bytes(), secret.as_bytes(), Some(&known));
    assert!(fits(&new) && !fits(&old));
}

/// Unless it is said, the dialect tells whether tokens live on.
#[tokio::test]
async fn a_new_secret_ends_tokens_or_keeps_them() {
    let office = Office::with_policy().await;
    for (name, said, keeps) in [
        ("voucherify", None, true),
        ("voucherify", Some(false), false),
        ("standard", None, false),
        ("standard", Some(true), true),
        ("antavo", None, false),
        ("aws4", None, false),
    ] {
        let wanted = Wanted { dialect: dialect(name), ..wanted("live", Kind::Server) };
        let id = office.create(&wanted).await.unwrap().id;
        let since = async || office.store.credential(&id).await.unwrap().unwrap().credential.tokens_since;
        let before = since().await;
        verbs::regenerate(office.desk(), &id, said, &mut |b| office.fill(b)).await.unwrap();
        assert_eq!(since().await == before, keeps, "{name} {said:?}");
    }
}

async fn signs_with(office: &Office, id: &str) -> Option<SigningSecret> {
    office.store.credential(id).await.unwrap().unwrap().credential.signing
}

fn secret(text: &str) -> Option<SigningSecret> {
    Some(SigningSecret::new(text.as_bytes()))
}

/// What signs has to stay, whether or not it may be shown; what is sent needs a hash and no more.
#[tokio::test]
async fn secrets_that_sign_are_kept_and_others_are_not() {
    let office = Office::with_policy().await;
    for (kind, name) in [(Kind::Server, "antavo"), (Kind::Integration, "aws4")] {
        let made = office.create(&Wanted { dialect: dialect(name), ..wanted("live", kind) }).await.unwrap();
        let (id, told) = (made.id, made.secret.unwrap().0);
        assert_eq!((made.scheme, signs_with(&office, &id).await), ("escher", secret(&told)));
        // As those who sign read ids.
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        assert!(matches!(secret_at(&office, &id, 0).await, Err(Error::NotShownAgain(_))));
        let again = verbs::regenerate(office.desk(), &id, None, &mut |b| office.fill(b)).await.unwrap();
        let new = again.secret.unwrap().0;
        assert!(new != told && signs_with(&office, &id).await == secret(&new));
        assert!(matches!(secret_at(&office, &id, 0).await, Err(Error::NotShownAgain(_))));
        verbs::block(office.desk(), &id).await.unwrap();
        assert_eq!(signs_with(&office, &id).await, secret(&new));
    }
    for name in ["standard", "voucherify"] {
        let asked = Wanted { dialect: dialect(name), ..wanted("try", Kind::Server) };
        let made = office.create(&asked).await.unwrap();
        assert_eq!((made.scheme, signs_with(&office, &made.id).await), ("api_key", None));
    }
    let shown = Wanted { dialect: dialect("antavo"), ..wanted("try", Kind::Server) };
    let shown = office.create(&shown).await.unwrap();
    assert_eq!(secret_at(&office, &shown.id, 4_000 * DAY_MS).await.unwrap(), shown.secret.unwrap().0);
    // Two that sign and may not be shown, two keys and one that signs that may: each of the latter has a copy, too.
    assert_eq!(office.store.check().await.unwrap().sealed, 2 + 2 + 2);
    let changes = office.store.changes_after(0, 100).await.unwrap();
    assert!(!format!("{changes:?}").contains(ids::KEY_SECRET));
}

#[tokio::test]
async fn blocking_is_undone_and_deleting_is_not() {
    let office = Office::with_policy().await;
    let id = office.create(&wanted("live", Kind::Server)).await.unwrap().id;
    let before = office.seq().await;
    assert_eq!(verbs::block(office.desk(), &id).await.unwrap().status, "blocked");
    assert_eq!(verbs::block(office.desk(), &id).await.unwrap().status, "blocked");
    assert_eq!(office.seq().await, before + 1, "what changes nothing writes nothing");
    let stored = office.store.credential(&id).await.unwrap().unwrap();
    assert_eq!(stored.credential.status, Status::Blocked);
    assert_eq!(verbs::unblock(office.desk(), &id).await.unwrap().status, "active");
    assert_eq!(verbs::delete(office.desk(), &id).await.unwrap().id, id);
    for gone in [
        verbs::show(office.desk(), &id).await,
        verbs::reveal(office.desk(), &id).await,
        verbs::block(office.desk(), &id).await,
        verbs::delete(office.desk(), &id).await,
        verbs::regenerate(office.desk(), &id, None, &mut |b| office.fill(b)).await,
    ] {
        assert!(matches!(gone, Err(Error::UnknownCredential(_))));
    }
    office.store.check().await.unwrap();
}

#[tokio::test]
async fn an_imported_key_is_kept_as_it_is() {
    let office = Office::with_policy().await;
    let import = |id: &str, secret: &str| Wanted {
        import: Some(Import { id: id.to_owned(), secret: Some(secret.to_owned()) }),
        ..wanted("live", Kind::Server)
    };
    let asked = import("Shop_key-1", "0123456789abcdef");
    let made = office.create(&asked).await.unwrap();
    assert_eq!((made.id.as_str(), made.secret.unwrap().0.as_str()), ("Shop_key-1", "0123456789abcdef"));
    assert!(!format!("{asked:?}").contains("0123456789abcdef"));
    let before = office.seq().await;
    for (id, secret, wrong) in [
        ("Shop_key-1", "0123456789abcdef", "already"),
        ("a.b", "0123456789abcdef", "an id has"),
        ("", "0123456789abcdef", "an id has"),
        (&"x".repeat(129), "0123456789abcdef", "an id has"),
        ("ok", "0123456789abcde", "a secret has"),
        ("ok", &"x".repeat(257), "a secret has"),
        ("ok", "0123456789 abcdef", "a secret has"),
        ("ok", "0123456789abcdef\u{e4}", "a secret has"),
    ] {
        let told = office.create(&import(id, secret)).await.unwrap_err().to_string();
        assert!(told.contains(wrong), "{id} {secret}: {told}");
        assert!(secret.len() < 17 || !told.contains(secret));
    }
    assert_eq!(office.seq().await, before);
}

#[tokio::test]
async fn every_mistake_is_told_at_once_and_nothing_is_written() {
    let office = Office::with_policy().await;
    let before = office.seq().await;
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let asked = Wanted {
        workspace: "nowhere".to_owned(),
        dialect: dialect("standard"),
        name: "a\nb".to_owned(),
        origins: owned(&["null", "*.shop.example", "https://shop.example/path"]),
        scopes: owned(&["fine", "two words", "\"quoted\"", ""]),
        expires_at: Some(NOW),
        import: Some(Import { id: "a b".to_owned(), secret: Some("short".to_owned()) }),
        ..wanted("live", Kind::Client)
    };
    let Err(Error::Credential(all)) = office.create(&asked).await else { panic!("it must be refused") };
    assert_eq!(all.len(), 1 + 1 + 1 + 3 + 3 + 1 + 2, "{all:#?}");
    assert_eq!(office.seq().await, before);
}

#[tokio::test]
async fn kinds_dialects_and_switches_have_to_fit() {
    let office = Office::with_policy().await;
    let told = async |asked: Wanted| office.create(&asked).await.unwrap_err().to_string();
    let server = || wanted("live", Kind::Server);
    assert!(told(wanted("live", Kind::Client)).await.contains("at least one origin"));
    let with_origin = Wanted { origins: vec!["*".to_owned()], ..server() };
    assert!(told(with_origin).await.contains("has no origins"));
    let no_form =
        Wanted { dialect: dialect("antavo"), origins: vec!["*".to_owned()], ..wanted("live", Kind::Client) };
    assert!(told(no_form).await.contains("antavo has no client credentials; use one of voucherify"));
    for name in ["standard", "voucherify"] {
        let weak = Wanted { plain_key: true, dialect: dialect(name), ..server() };
        assert!(told(weak).await.contains("never presents an id alone"));
    }
    let weak = office.create(&Wanted { plain_key: true, ..wanted("try", Kind::Server) }).await.unwrap();
    assert_eq!((weak.dialect, weak.plain_key, weak.weak, weak.scheme), ("antavo", true, true, "escher"));
    let stored = office.store.credential(&weak.id).await.unwrap().unwrap().credential;
    assert_eq!(stored.label(), office.keys.pseudonym(&weak.id));
    let aws4 = Wanted { plain_key: true, dialect: dialect("aws4"), ..server() };
    assert!(told(aws4).await.contains("the dialect aws4 never presents an id alone"));
    // Without the switch it signs, and opens nothing by its id.
    let strong = office.create(&Wanted { dialect: dialect("antavo"), ..server() }).await.unwrap();
    assert_eq!((strong.weak, strong.scheme), (false, "escher"));
    let stored = office.store.credential(&strong.id).await.unwrap().unwrap().credential;
    assert_eq!((stored.label(), &stored.pseudonym), (&*strong.id, &None));
    assert!(matches!(verbs::list(office.desk(), Some("nowhere")).await, Err(Error::UnknownWorkspace(_))));
}
