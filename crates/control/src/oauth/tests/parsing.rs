use super::super::client::{Presented, presented};
use super::super::fault::{Fault, What};
use super::super::form::Form;
use super::super::scope::names;
use super::super::{Asked, standard};
use super::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use doorward_core::reason::Reason;

/// What was read as one text, or the fact that the log is told.
fn read(asked: &Asked, name: &str) -> Result<Option<String>, &'static str> {
    Form::read(asked).map(|form| form.get(name).map(str::to_owned)).map_err(|fault| fault.detail)
}

fn content_type(values: &[&[u8]]) -> Asked {
    Asked { content_types: values.iter().map(|value| (*value).into()).collect(), ..post("scope=a") }
}

/// S6749-8: nothing but a form, and nothing that two readers could read differently.
#[test]
fn only_forms_are_read() {
    for good in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded;charset=\"UTF-8\"",
        "application/x-www-form-urlencoded;",
    ] {
        assert_eq!(read(&content_type(&[good.as_bytes()]), "scope"), Ok(Some("a".to_owned())), "{good}");
    }
    let form = b"application/x-www-form-urlencoded".as_slice();
    for bad in [
        &[][..],
        &[b"".as_slice()],
        &[b"application/json"],
        &[b"multipart/form-data; boundary=x"],
        &[b"text/plain"],
        &[b"application/x-www-form-urlencoded; charset=utf-16"],
        &[b"application/x-www-form-urlencoded; boundary=x"],
        &[b"application/x-www-form-urlencoded, application/json"],
        &[form, form],
        &[b"\xff"],
    ] {
        assert_eq!(read(&content_type(bad), "scope"), Err("content-type"), "{bad:?}");
    }
}

/// S6749-2: a parameter that RFC 6749 names comes once; others don't matter; an empty one was not sent.
#[test]
fn a_parameter_comes_once() {
    let scope = |body: &str| read(&post(body), "scope");
    assert_eq!(scope(""), Ok(None));
    assert_eq!(scope("scope="), Ok(None));
    assert_eq!(scope("scope"), Ok(None));
    assert_eq!(scope("&&scope=a+b%20c&x=1&x=2&"), Ok(Some("a b c".to_owned())));
    assert_eq!(scope("%73cope=%c3%A4%3D%26"), Ok(Some("ä=&".to_owned())));
    assert_eq!(scope("scope=a=b"), Ok(Some("a=b".to_owned())));
    assert_eq!(scope("Scope=a"), Ok(None), "names are told apart by case");
    for twice in ["scope=a&scope=a", "scope=&scope=a", "scope=a&%73cope=b", "client_id=a&client_id=b&scope=a"]
    {
        assert_eq!(scope(twice), Err("parameter-repeated"), "{twice}");
    }
    for bad in
        ["scope=%", "scope=%4", "scope=%zz", "scope=%+1", "scope=%ff", "scope=a b", "scope=\u{e4}", "a\0=1"]
    {
        assert_eq!(scope(bad), Err("parameter-encoding"), "{bad}");
    }
    let many: String = (0..65).map(|n| format!("p{n}=1&")).collect();
    assert_eq!(scope(&many), Err("too-many-parameters"));
    let form = Form::read(&post("resource=https://a&resource=https://b&resource=")).ok().unwrap();
    assert_eq!(form.resources(), ["https://a", "https://b"]);
}

/// S6749-1: what belongs into the body is refused in the query, however it is spelt.
#[test]
fn nothing_of_it_stands_in_the_query() {
    let with = |query: &str| Asked { query: Some(query.as_bytes().into()), ..post("scope=a") };
    for harmless in ["", "a=b", "version=1&x", "scopes=1", "my_token=1"] {
        assert!(read(&with(harmless), "scope").is_ok(), "{harmless}");
    }
    for bad in [
        "client_secret=x",
        "a=b&client_id",
        "password=",
        "Password=x",
        "%70assword=x",
        "a;token=x",
        "token[]=x",
        "token%5b0]=x",
        "token%00=x",
        "+scope=x",
        "resource=https://a",
        "%zz&grant_type=x",
    ] {
        assert_eq!(read(&with(bad), "scope"), Err("parameter-in-query"), "{bad}");
    }
}

fn shown(asked: &Asked) -> Result<(String, String), (What, Reason)> {
    let told = |fault: Fault| (fault.what, fault.code);
    let form = Form::read(asked).map_err(told)?;
    Ok(match presented(asked, &form).map_err(told)? {
        Presented::Nobody => ("nobody".to_owned(), String::new()),
        Presented::Name(id) => (id, "no secret".to_owned()),
        Presented::Secret { id, secret } => (id, secret),
    })
}

fn basic(fields: &[&str], body: &str) -> Asked {
    Asked { authorizations: fields.iter().map(|f| f.as_bytes().into()).collect(), ..post(body) }
}

fn encoded(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// S6749-5: both halves are decoded as forms are, before anything is compared.
#[test]
fn names_and_secrets_in_basic_are_decoded() {
    for (pair, id, secret) in [
        ("id:secret", "id", "secret"),
        ("client%3Aid:a%3ab:c", "client:id", "a:b:c"),
        ("a+b:c+d", "a b", "c d"),
        ("a%2Bb:%25", "a+b", "%"),
        ("%C3%A4:%f0%9f%98%80", "ä", "\u{1f600}"),
        ("id:", "id", ""),
    ] {
        let both = Ok((id.to_owned(), secret.to_owned()));
        assert_eq!(shown(&basic(&[&encoded(pair)], "")), both, "{pair}");
        assert_eq!(shown(&basic(&[&encoded(pair).replace("Basic", "bASIC")], "")), both, "{pair}");
        assert_eq!(shown(&basic(&[&encoded(pair).replace(' ', "   ")], "")), both, "{pair}");
    }
    let malformed = Err((What::Client, Reason::CredentialMalformed));
    for bad in ["id", ":secret", "%zz:a", "a:%", "\u{e4}:a", "a b:c"] {
        assert_eq!(shown(&basic(&[&encoded(bad)], "")), malformed, "{bad}");
    }
    for bad in
        ["Basic", "Basic ", "Basic a", "Basic aWQ6c2VjcmV0=", "Basic aWQ6c2V-", "Basic aWQ6cw", "\u{e4}"]
    {
        assert_eq!(shown(&basic(&[bad], "")), malformed, "{bad}");
    }
    let other = Err((What::Client, Reason::SchemeNotAccepted));
    for scheme in ["Bearer x", "Digest x", "BasicX x"] {
        assert_eq!(shown(&basic(&[scheme], "")), other, "{scheme}");
    }
}

/// S6749-3: one client, proved once.
#[test]
fn a_client_is_proved_in_one_way() {
    let own = encoded("a:secret");
    let text = |id: &str, secret: &str| Ok((id.to_owned(), secret.to_owned()));
    assert_eq!(shown(&post("")), text("nobody", ""));
    assert_eq!(shown(&post("client_id=a")), text("a", "no secret"));
    assert_eq!(shown(&post("client_id=a&client_secret=s")), text("a", "s"));
    assert_eq!(shown(&post("client_id=a&client_secret=")), text("a", "no secret"));
    assert_eq!(shown(&basic(&[&own], "client_id=a")), text("a", "secret"), "the same name says no more");
    assert_eq!(shown(&post("client_secret=s")), Err((What::Client, Reason::CredentialMalformed)));
    let twice = Err((What::Request, Reason::CredentialAmbiguous));
    for body in [
        "client_id=a&client_secret=secret",
        "client_secret=secret",
        "client_id=b",
        "client_assertion=x",
        "client_assertion_type=x",
    ] {
        assert_eq!(shown(&basic(&[&own], body)), twice, "{body}");
    }
    assert_eq!(shown(&basic(&[&own, &own], "")), twice);
    assert_eq!(shown(&post("client_id=a&client_secret=s&client_assertion=x")), twice);
    assert_eq!(
        shown(&post("client_id=a&client_assertion=x")),
        Err((What::Client, Reason::SchemeNotAccepted))
    );
}

#[test]
fn a_scope_is_a_list_of_names() {
    assert_eq!(names("a"), Some(vec!["a"]));
    assert_eq!(names("b a b"), Some(vec!["b", "a"]));
    assert_eq!(names("a:b/c.d"), Some(vec!["a:b/c.d"]));
    for bad in ["", " ", "a ", " a", "a  b", "a\tb", "a\"", "a\\", "ä"] {
        assert_eq!(names(bad), None, "{bad:?}");
    }
}

#[test]
fn a_resource_is_an_absolute_address() {
    for good in ["https://api.example", "https://api.example/a?b=c", "urn:example:orders", "app://x"] {
        assert!(standard::is_resource(good), "{good}");
    }
    let long = format!("https://{}", "a".repeat(600));
    for bad in
        ["", "api.example", "/orders", "https://a#b", "https:", "1a:b", "https://a b", "https://ä", &long]
    {
        assert!(!standard::is_resource(bad), "{bad}");
    }
}
