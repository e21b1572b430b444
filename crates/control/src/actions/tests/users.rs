//! Users with their passwords, and OAuth clients.
use super::super::credentials as verbs;
use super::*;
use doorward_core::ids;
use doorward_core::password::fits;

const FIRST: &str = "swordfish & chips";
const SECOND: &str = "chips & swordfish";

fn user(name: &str, password: &str) -> Wanted {
    Wanted {
        import: Some(Import { id: name.to_owned(), secret: None }),
        password: Some(Password::new(password.to_owned())),
        ..wanted("live", Kind::User)
    }
}

async fn mistakes(office: &Office, wanted: &Wanted) -> Vec<String> {
    match office.create(wanted).await {
        Err(Error::Credential(wrong)) => wrong,
        other => panic!("{other:?}"),
    }
}

async fn knows(office: &Office, name: &str, password: &str) -> bool {
    let stored = office.store.credential(name).await.unwrap().unwrap();
    stored.password.as_ref().is_some_and(|kept| fits(password, kept))
}

#[tokio::test]
async fn of_a_password_only_a_hash_stays_and_a_new_one_takes_its_place() {
    let office = Office::with_policy().await;
    let made = office.create(&user("svc@acme.example", FIRST)).await.unwrap();
    assert_eq!((made.kind, made.dialect, made.scheme), ("user", "standard", "bearer"));
    assert_eq!((made.id.as_str(), made.secret.as_ref()), ("svc@acme.example", None));
    assert!(knows(&office, &made.id, FIRST).await && !knows(&office, &made.id, SECOND).await);
    let since =
        || async { office.store.credential(&made.id).await.unwrap().unwrap().credential.tokens_since };
    let first = since().await;
    assert!(first > 0);

    let set = |password: &str, keep| {
        let chosen = Password::new(password.to_owned());
        let office = &office;
        async move {
            verbs::set_password(office.desk(), "svc@acme.example", &chosen, keep, &mut |b| office.fill(b))
                .await
        }
    };
    assert!(matches!(set("short", false).await, Err(Error::Credential(_))));
    set(SECOND, true).await.unwrap();
    assert!(!knows(&office, &made.id, FIRST).await && knows(&office, &made.id, SECOND).await);
    assert_eq!(since().await, first, "its tokens were kept");
    set(FIRST, false).await.unwrap();
    assert!(since().await > first, "its tokens are dead");

    for refused in [
        verbs::regenerate(office.desk(), &made.id, None, &mut |b| office.fill(b)).await,
        verbs::reveal(office.desk(), &made.id).await,
    ] {
        let told = refused.unwrap_err().to_string();
        assert!(told.contains("its password is never shown"), "{told}");
    }
    let listed = serde_json::to_string(&verbs::list(office.desk(), None).await.unwrap()).unwrap();
    assert!(!listed.contains("argon2") && !listed.contains("secret"), "{listed}");
    for change in office.store.changes_after(0, 100).await.unwrap() {
        assert!(!format!("{change:?}").contains("argon2"), "{change:?}");
    }
    assert!(!format!("{:?}", user("svc", FIRST)).contains(FIRST));
    office.store.check().await.unwrap();
}

#[tokio::test]
async fn whatever_does_not_go_together_is_told_at_once() {
    let office = Office::with_policy().await;
    let seq = office.seq().await;
    let nameless = Wanted { import: None, password: None, ..user("svc", FIRST) };
    let told = mistakes(&office, &nameless).await;
    assert!(told.len() == 2 && told[0].contains("a password") && told[1].contains("a name"), "{told:?}");
    for (wanted, part) in [
        (user("svc", "short"), "12 to 128"),
        (user("service.of.acme", "Service.Of.Acme"), "the user's name"),
        (user("svc", "Password1234"), "everybody tries"),
        (user("a b", FIRST), "the name of a user"),
        (user("", FIRST), "the name of a user"),
        (user("weak-1", FIRST), "weak-"),
        (Wanted { plain_key: true, ..user("svc", FIRST) }, "a user credential"),
        (Wanted { dialect: dialect("voucherify"), ..user("svc", FIRST) }, "has no user credentials"),
        (Wanted { origins: vec!["https://a.example".to_owned()], ..user("svc", FIRST) }, "no origins"),
        (Wanted { password_grant: true, ..user("svc", FIRST) }, "only an oauth_client"),
        (Wanted { kind: Kind::Server, ..user("svc", FIRST) }, "has no password"),
        (Wanted { dialect: dialect("antavo"), ..wanted("live", Kind::OauthClient) }, "no oauth_client"),
    ] {
        let told = mistakes(&office, &wanted).await;
        assert!(told.iter().any(|t| t.contains(part)), "{part}: {told:?}");
        assert!(!told.iter().any(|t| t.contains(FIRST)), "{told:?}");
    }
    let secret = Some("s".repeat(20));
    let with_secret = Wanted { import: Some(Import { id: "svc".to_owned(), secret }), ..user("svc", FIRST) };
    assert_eq!(mistakes(&office, &with_secret).await, ["a user has a password, and no secret"]);
    let one = office.create(&wanted("live", Kind::Server)).await.unwrap();
    let chosen = Password::new(FIRST.to_owned());
    let refused = verbs::set_password(office.desk(), &one.id, &chosen, false, &mut |b| office.fill(b)).await;
    assert!(refused.unwrap_err().to_string().contains("has no password"));
    let seq = seq + 1;
    assert_eq!(office.seq().await, seq);
}

#[tokio::test]
async fn an_oauth_client_has_a_secret_and_a_switch() {
    let office = Office::with_policy().await;
    let asked = Wanted { password_grant: true, ..wanted("live", Kind::OauthClient) };
    let made = office.create(&asked).await.unwrap();
    assert_eq!((made.kind, made.dialect, made.scheme), ("oauth_client", "standard", "bearer"));
    assert!(made.secret.as_ref().unwrap().0.starts_with(ids::KEY_SECRET) && made.password_grant);
    let stored = office.store.credential(&made.id).await.unwrap().unwrap();
    assert!(stored.credential.password_grant && stored.password.is_none());
    let other = office.create(&wanted("live", Kind::OauthClient)).await.unwrap();
    assert!(!serde_json::to_string(&other).unwrap().contains("password_grant"));
    let again = verbs::regenerate(office.desk(), &made.id, None, &mut |b| office.fill(b)).await.unwrap();
    assert!(again.password_grant && again.secret != made.secret);
    office.store.check().await.unwrap();
}
