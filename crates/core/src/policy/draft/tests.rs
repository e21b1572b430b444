use super::*;

const FULL: &str = r#"
[[workspace]]
id = "acme"
name = "Acme"
environment = "production"
region = "us"
password_grant = true

[[api]]
id = "shop"
dialect = "voucherify"
names = ["voucherify", "standard"]
schemes = ["api_key", "publishable", "bearer"]
audiences = ["https://shop.example/api"]
plain_key = ["sandbox"]
hosts = ["Shop.example"]
workspaces = ["acme"]
paths = { encoded_slash = true }
upstream = { production = "http://127.0.0.1:9000" }
cors = { origins = ["https://page.example", ".pages.example"] }
[[api.signing]]
dialect = "antavo"
scope = "us/api/antavo_request"
skew_s = 60
presigned_max_s = 900
once_only = "unsafe"
fields = ["content-type"]
pass_unsigned = ["user-agent"]
content_type = "application/json"
escaped_plus_as_space = false
prefix = "OWN"
vendor = "Own"
auth_field = "x-own-auth"
date_field = "x-own-date"
[[api.route]]
path = "/v1/*"
methods = ["GET"]
client_side = true
public = true
scope = "read"
[[api.route]]
path = "/token"
target = "token"

[[policy]]
workspace = "acme"
api = "shop"
signatures = "observe"
"#;

#[test]
fn what_is_written_reads_the_same() {
    let draft = read(FULL).unwrap();
    assert_eq!(read(&draft.write()).unwrap(), draft);
    assert_eq!(draft.apis[0].hosts, ["shop.example"]);
}

#[test]
fn all_mistakes_are_told() {
    let text = FULL
        .replace("\"production\"\nregion", "\"live\"\nregion")
        .replace("dialect = \"voucherify\"", "dialect = \"vouchery\"")
        .replace("[\"GET\"]", "[\"TRACE\"]")
        .replace("client_side = true", "clientside = true")
        .replace("http://127.0.0.1:9000", "127.0.0.1");
    let lines: Vec<usize> = read(&text).unwrap_err().iter().map(|m| m.line).collect();
    assert_eq!(lines, [5, 11, 19, 37, 38]);
}
