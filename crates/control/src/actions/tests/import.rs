use super::super::import::{self, Done, Line};
use super::*;
use doorward_core::credential::{SchemeName, Status};
use doorward_core::schemes::escher::SigningSecret;

fn line(number: usize, id: &str, secret: &str) -> Line {
    let key = Import { id: id.to_owned(), secret: Some(secret.to_owned()) };
    let asked = Wanted { import: Some(key), dialect: dialect("voucherify"), ..wanted("live", Kind::Server) };
    Line { number, wanted: asked, status: Status::Active }
}

async fn write(office: &Office, lines: &[Line]) -> Result<Done, Error> {
    import::write(office.desk(), lines, &mut |b| office.fill(b)).await
}

#[tokio::test]
async fn lines_are_taken_over_once() {
    let office = Office::with_policy().await;
    let blocked = Line { status: Status::Blocked, ..line(2, "two", "0123456789abcdef") };
    let lines = [line(1, "one", "0123456789abcdef"), blocked];
    assert_eq!(import::check(office.desk(), &lines).await.unwrap(), [""; 0]);
    assert_eq!(office.seq().await, 3, "a check writes nothing");
    assert_eq!(write(&office, &lines).await.unwrap(), Done { created: 2, there: 0 });
    let stored = office.store.credential("two").await.unwrap().unwrap();
    assert_eq!(stored.credential.status, Status::Blocked);
    let seq = office.seq().await;
    assert_eq!(write(&office, &lines).await.unwrap(), Done { created: 0, there: 2 });
    assert_eq!(office.seq().await, seq, "what is there already is not written again");
    // Blocked in the meantime is well; open where it is asked to be blocked is not.
    let [one, two] = lines;
    let swapped = [Line { status: Status::Blocked, ..one }, Line { status: Status::Active, ..two }];
    let told = import::check(office.desk(), &swapped).await.unwrap();
    assert_eq!(told, ["line 1: there is another credential with this id; not the same: status"]);
    office.store.check().await.unwrap();
}

/// A key that signed elsewhere signs here with the same secret.
#[tokio::test]
async fn what_signs_is_taken_over_with_its_secret() {
    let office = Office::with_policy().await;
    let of = |number, id: &str, secret: &str, name| {
        let line = line(number, id, secret);
        Line { wanted: Wanted { dialect: dialect(name), ..line.wanted }, ..line }
    };
    let lines = [
        of(1, "AKID-one_1", "signs-from-elsewhere", "aws4"),
        of(2, "two", "signs-from-elsewhere", "antavo"),
        of(3, "three", "is-sent-from-elsewhere", "voucherify"),
    ];
    assert_eq!(write(&office, &lines).await.unwrap(), Done { created: 3, there: 0 });
    assert_eq!(write(&office, &lines).await.unwrap(), Done { created: 0, there: 3 });
    let expected = Some(SigningSecret::new(b"signs-from-elsewhere"));
    for (id, signing) in [("AKID-one_1", expected.clone()), ("two", expected), ("three", None)] {
        assert_eq!(office.store.credential(id).await.unwrap().unwrap().credential.signing, signing, "{id}");
    }
    let told = import::check(office.desk(), &[of(1, "two", "signs-from-somewhere", "antavo")]).await.unwrap();
    assert_eq!(told, ["line 1: there is another credential with this id; not the same: secret"]);
    office.store.check().await.unwrap();
}

#[tokio::test]
async fn which_scheme_a_credential_will_use_follows_from_kind_and_dialect() {
    let uses = |kind, name: Option<&str>, plain_key| {
        let dialect = name.and_then(dialect);
        Wanted { dialect, plain_key, ..wanted("live", kind) }.scheme().map(SchemeName::name)
    };
    for (kind, name, plain_key, expected) in [
        (Kind::Server, None, false, Some("api_key")),
        (Kind::Server, None, true, Some("escher")),
        (Kind::Server, Some("antavo"), true, Some("escher")),
        (Kind::Integration, Some("aws4"), false, Some("escher")),
        (Kind::Integration, Some("voucherify"), false, Some("api_key")),
        (Kind::Client, None, false, Some("publishable")),
        (Kind::Client, None, true, None),
    ] {
        assert_eq!(uses(kind, name, plain_key), expected, "{kind:?} {name:?} {plain_key}");
    }
}

#[tokio::test]
async fn a_batch_with_a_mistake_is_not_written_at_all() {
    let office = Office::with_policy().await;
    write(&office, &[line(1, "one", "0123456789abcdef")]).await.unwrap();
    let seq = office.seq().await;
    let mut weak = line(9, "weak", "0123456789abcdef");
    weak.wanted.import = Some(Import { id: "weak".to_owned(), secret: None });
    let lines = [
        line(7, "new", "0123456789abcdef"),
        line(8, "one", "another-secret-0123"),
        weak,
        Line {
            wanted: Wanted { name: "till".to_owned(), ..line(0, "one", "0123456789abcdef").wanted },
            ..line(10, "", "")
        },
        line(11, "short", "0123"),
    ];
    let told = import::check(office.desk(), &lines).await.unwrap();
    let Err(Error::Credential(refused)) = write(&office, &lines).await else { panic!("it must be refused") };
    assert_eq!(told, refused);
    assert_eq!(
        told[..3],
        [
            "line 8: there is another credential with this id; not the same: secret",
            "line 9: `secret` is missing; only a key with `plain_key` can do without",
            "line 10: there is another credential with this id; not the same: name",
        ]
    );
    assert!(told.len() == 4 && told[3].starts_with("line 11: a secret has"), "{told:?}");
    assert_eq!(office.seq().await, seq);
    // The same id twice in one batch: whoever calls has not looked.
    let twice = [line(1, "twice", "0123456789abcdef"), line(2, "twice", "0123456789abcdef")];
    assert!(write(&office, &twice).await.is_err());
    assert_eq!(office.seq().await, seq);
}

#[tokio::test]
async fn many_are_made_in_one_transaction_or_none() {
    let office = Office::with_policy().await;
    let many = |workspace: &str, n| {
        let asked = wanted(workspace, Kind::Server);
        let office = &office;
        async move {
            super::super::credentials::create_many(office.desk(), &asked, n, &mut |b| office.fill(b)).await
        }
    };
    assert_eq!(many("live", 20).await.unwrap().len(), 20);
    assert!(many("nowhere", 20).await.is_err());
    assert!(many("live", 0).await.unwrap().is_empty());
    assert_eq!(office.seq().await, 23);
    assert_eq!(office.store.credentials_held("live").await.unwrap(), 20);
}
