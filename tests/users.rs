//! Users with their passwords, and OAuth clients, from the command line.
use crate::support::{Run, eventually, rows};
use crate::token_commands::{fed, introspected, issued, one, prepared, refused, started, text};

const PASSWORD: &str = "swordfish & chips";

#[test]
fn a_user_has_a_password_that_nobody_is_told() {
    let (gateway, _upstreams) = started();
    let create = |id: &str, password: &str, more: &[&str]| {
        let words = ["credential", "create", "--workspace", "acme-live", "--kind", "user", "--id", id];
        fed(&gateway, &[&words[..], &["--password-file", "-", "--json"], more].concat(), password)
    };
    let made = create("svc@acme.example", &format!("{PASSWORD}\n"), &[]).ok();
    let row = one(Run { code: 0, stdout: made.stdout.clone(), stderr: String::new() });
    assert_eq!(
        (text(&row, "kind"), text(&row, "dialect"), text(&row, "scheme")),
        ("user", "standard", "bearer")
    );
    assert!(row.get("secret").is_none() && !made.said().contains(PASSWORD), "{made:?}");
    for (password, part) in [
        ("short", "12 to 128"),
        ("Password1234", "everybody tries"),
        ("other@acme.example", "the user's name"),
        ("two lines\nof password", "control characters"),
    ] {
        let run = create("other@acme.example", password, &[]);
        assert!(!run.said().contains(password), "{run:?}");
        refused(run, part);
    }
    refused(create("svc@acme.example", PASSWORD, &[]), "already");
    let file = gateway.folder.write("password", PASSWORD);
    let nameless =
        ["credential", "create", "--workspace", "acme-live", "--kind", "user", "--password-file", &file];
    assert_eq!(gateway.command(&nameless).code, 2);
    let server = [
        "credential",
        "create",
        "--workspace",
        "acme-live",
        "--kind",
        "server",
        "--id",
        "x1",
        "--password-file",
        &file,
    ];
    refused(gateway.command(&server), "has no password");
    refused(
        gateway.command(&[
            "credential",
            "create",
            "--workspace",
            "acme-live",
            "--kind",
            "user",
            "--id",
            "svc2",
        ]),
        "needs a password",
    );

    let password = |more: &[&str], new: &str| {
        let words = ["credential", "password", "svc@acme.example", "--password-file", "-"];
        fed(&gateway, &[&words[..], more].concat(), new)
    };
    let token = issued(&gateway, "svc@acme.example", &[]);
    let alive = || introspected(&gateway, text(&token, "token"))["active"] == true;
    refused(password(&[], "short"), "12 to 128");
    password(&["--keep-tokens"], "chips & swordfish").ok();
    assert!(alive());
    password(&[], "another & chips").ok();
    assert!(!alive(), "its tokens die with a password");
    refused(gateway.command(&["credential", "regenerate", "svc@acme.example"]), "credential password");
    refused(gateway.command(&["credential", "show", "svc@acme.example", "--reveal"]), "never shown");

    let all = gateway.command(&["credential", "list", "--kind", "user", "--json"]).ok().stdout;
    assert!(rows(&all).len() == 1 && !all.contains("argon2"), "{all}");
    for secret in [PASSWORD, "chips & swordfish", "another & chips"] {
        let stored = gateway.stored();
        assert!(!stored.windows(secret.len()).any(|w| w == secret.as_bytes()));
        assert!(!gateway.log().contains(secret));
    }
    gateway.command(&["check"]).ok();
}

/// Users and OAuth clients are taken over as others are: passwords are compared, and never told.
#[test]
fn users_and_oauth_clients_are_imported() {
    let (gateway, _upstreams) = prepared();
    let line = |password: &str| {
        format!(
            "{{\"workspace\":\"acme-live\",\"kind\":\"user\",\"id\":\"svc\",\"secret\":\"{password}\"}}\n\
             {{\"workspace\":\"acme-live\",\"kind\":\"oauth_client\",\"id\":\"app\",\"secret\":\"0123456789abcdef\",\"password_grant\":true}}\n"
        )
    };
    let import = |text: &str| fed(&gateway, &["credential", "import", "-f", "-", "--json"], text);
    assert_eq!(one(import(&line(PASSWORD)))["created"], 2);
    assert_eq!(one(import(&line(PASSWORD)))["there"], 2);
    let other = import(&line("chips & swordfish"));
    assert!(!other.said().contains("chips"), "{other:?}");
    refused(other, "line 1: there is another credential with this id; not the same: secret");
    refused(import("{\"workspace\":\"acme-live\",\"kind\":\"user\",\"id\":\"svc3\"}"), "needs a password");
    let app = gateway.show("app");
    assert_eq!((text(&app, "kind"), &app["password_grant"]), ("oauth_client", &true.into()));
    assert_eq!(text(&app, "scheme"), "bearer");
}

/// An OAuth client's secret opens the token endpoints alone, and a user's password nothing that is forwarded.
#[test]
fn neither_users_nor_oauth_clients_have_keys_that_open_doors() {
    let (gateway, _upstreams) = started();
    let app = gateway.actor("acme-live", "oauth_client", &["--dialect", "standard"]);
    let ask = |secret: &str, id: &str| {
        let target = "GET /std/x HTTP/1.1\r\nHost: gateway.example\r\n";
        gateway.ask(format!("{target}X-Api-Key: {id}.{secret}\r\nConnection: close\r\n\r\n"))
    };
    let words = ["credential", "create", "--workspace", "acme-live", "--kind", "user", "--id", "svc"];
    fed(&gateway, &[&words[..], &["--password-file", "-"]].concat(), "swordfish-and-chips").ok();
    // Whoever was made after them is known, and so are they.
    let last = gateway.actor("acme-live", "server", &["--dialect", "standard"]);
    eventually("the last key", || gateway.ask(last.get("/std/x")).status == 200);
    for (id, secret) in [(&*app.id, &*app.secret), ("svc", "swordfish-and-chips")] {
        assert_eq!(ask(secret, id).code(), "credential_invalid", "{id}");
    }
}
