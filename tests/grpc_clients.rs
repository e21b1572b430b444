//! A public library of gRPC, unmodified, as client and as server, with the gateway between them. It needs Node.js and
//! `DOORWARD_CLIENTS`.
use crate::support::{Actor, Authority, Gateway, Setup, skipped, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

fn node(script: &str, told: &Value) -> Command {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
    let mut node = Command::new("node");
    node.arg(folder.join(script)).env("TOLD", told.to_string());
    node
}

/// The library's server, for as long as it is needed.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(modules: &str) -> Server {
        let mut node = node("grpc-server.mjs", &json!({ "modules": modules }));
        let mut process = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node runs");
        let mut line = String::new();
        let out = process.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it says its port");
        let port = line.trim().parse().unwrap_or_else(|e| panic!("{e}: {line:?}"));
        Server { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct House {
    gateway: Gateway,
    caller: Actor,
    authority: Authority,
    modules: String,
    _server: Server,
}

/// A gateway before the library's server, unless the library is not here.
fn house(what: &str) -> Option<House> {
    let Ok(clients) = std::env::var("DOORWARD_CLIENTS") else {
        skipped(what, "DOORWARD_CLIENTS is not set");
        return None;
    };
    let modules = format!("{clients}/node_modules/");
    let server = Server::start(&modules);
    let policy = format!(
        "[[workspace]]\nid = \"w\"\nenvironment = \"production\"\n[[api]]\nid = \"greeter\"\ndialect = \"standard\"\n\
         upstream = {{ production = {{ addresses = [\"http://127.0.0.1:{}\"], http2 = true }} }}\n\
         [[api.route]]\npath = \"/doorward.Greeter/*\"\nmethods = [\"POST\"]\n",
        server.port
    );
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let setup = Setup::new().policy(policy).set("plain_http", "http2", "true").tls(&certificate, &key);
    let mut gateway = setup.prepare();
    let caller = gateway.actor("w", "server", &["--dialect", "standard"]);
    gateway.start();
    Some(House { gateway, caller, authority, modules, _server: server })
}

impl House {
    /// What the library's client saw of its calls.
    fn run(&self, tls: bool) -> Value {
        let listener = if tls { "tls" } else { "plain" };
        let port = self.gateway.address(listener).port();
        let ca = tls.then(|| self.gateway.folder.write("ca.pem", &self.authority.pem()));
        let told = json!({
            "modules": self.modules,
            "address": format!("localhost:{port}"),
            "ca": ca,
            "key": format!("{}.{}", self.caller.id, self.caller.secret),
            "wrong": format!("{}.wrong", self.caller.id),
        });
        let out = node("grpc-client.mjs", &told).output().expect("node runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

fn status(saw: &Value) -> (&str, &str) {
    (saw["code"].as_str().unwrap_or_default(), saw["details"].as_str().unwrap_or_default())
}

fn expect_calls(saw: &Value, caller: &Actor) {
    // One message each way, and what is said beside it.
    let say = &saw["say"];
    assert_eq!(status(say), ("OK", "OK"), "{say}");
    assert_eq!(say["messages"][0]["said"], json!({"text": "hello, Zoë"}), "{say}");
    assert_eq!(
        (&say["first"]["x-first"], &say["metadata"]["x-trailer"]),
        (&json!(["1"]), &json!(["say"])),
        "{say}"
    );
    assert_eq!(say["metadata"]["x-trailer-bin"][0]["data"], json!([0, 255, 10, 13]), "{say}");
    let metadata = &say["messages"][0]["metadata"];
    assert_eq!(
        (&metadata["x-trace"], &metadata["x-twice"]),
        (&json!(["abc, def"]), &json!(["1, 2"])),
        "{metadata}"
    );
    assert_eq!(metadata["x-blob-bin"][0]["data"], json!([0, 1, 255, 13, 10]), "{metadata}");
    assert_eq!(metadata["doorward-credential"], json!([caller.id]), "{metadata}");
    assert_eq!(metadata["doorward-kind"], json!(["server"]), "{metadata}");
    assert!(metadata["x-api-key"].is_null() && !say.to_string().contains(&caller.secret), "{metadata}");
    assert_eq!((status(&saw["large"]), &saw["large"]["messages"]), (("OK", "OK"), &json!([2_000_000])));
    // Many messages one way, the other way, and both ways, each after the answer to the one before.
    let counted: Vec<Value> = (0..300).map(|n| json!([n, 5_000])).collect();
    assert_eq!((status(&saw["count"]), &saw["count"]["messages"]), (("OK", "OK"), &json!(counted)));
    assert_eq!(saw["count"]["metadata"]["x-trailer"], json!(["count"]));
    assert_eq!((status(&saw["sum"]), &saw["sum"]["messages"]), (("OK", "OK"), &json!([{"sum": 4_950}])));
    assert_eq!((status(&saw["nothing"]), &saw["nothing"]["messages"]), (("OK", "OK"), &json!([{"sum": 0}])));
    let heard: Vec<Value> = (0..50).map(|n| json!({ "heard": n })).collect();
    assert_eq!((status(&saw["chat"]), &saw["chat"]["messages"]), (("OK", "OK"), &json!(heard)));
    // Errors of the server's own: without any message, and after one.
    assert_eq!(status(&saw["fail"]), ("FAILED_PRECONDITION", "no, 100 % not: Ü"), "{}", saw["fail"]);
    assert_eq!(saw["fail"]["metadata"]["x-trailer"], json!(["fail"]));
    assert_eq!(
        (status(&saw["failLater"]), &saw["failLater"]["messages"]),
        (("DATA_LOSS", "after one"), &json!([{"n": 0}]))
    );
    // What the client gives up, the server is told of.
    assert_eq!(
        (status(&saw["deadline"]).0, &saw["afterDeadline"]),
        ("DEADLINE_EXCEEDED", &json!(1)),
        "{}",
        saw["deadline"]
    );
    assert_eq!(
        (status(&saw["cancel"]).0, &saw["afterCancel"]),
        ("CANCELLED", &json!(2)),
        "{}",
        saw["cancel"]
    );
    assert_eq!(saw["many"], 150);
    // A refusal is an answer of HTTP; the library makes of it what gRPC calls it.
    for refused in ["wrong", "wrongStream", "wrongChat", "none"] {
        let refused = &saw[refused];
        assert_eq!(status(refused).0, "UNAUTHENTICATED", "{refused}");
        assert!(status(refused).1.contains("401"), "{refused}");
        assert_eq!(refused["messages"], json!([]), "{refused}");
    }
}

#[test]
fn grpc_js_of_npm_calls_in_every_way_over_plain_connections() {
    let Some(house) = house("grpc-js, plain") else { return };
    let saw = house.run(false);
    expect_calls(&saw, &house.caller);
    // Each refusal has its code, for whoever looks, and its event.
    let first = &saw["wrong"]["first"];
    assert_eq!(first["doorward-code"], json!(["credential_invalid"]), "{}", saw["wrong"]);
    let id = first["doorward-request-id"][0].as_str().expect("an id").to_owned();
    let event = wait_for("the event", || house.gateway.events_with(&id).into_iter().next());
    assert_eq!(
        (&event["decision"], &event["path"]),
        (&json!("deny"), &json!("/doorward.Greeter/Say")),
        "{event}"
    );
    house.gateway.expect_no_panic();
}

#[test]
fn grpc_js_of_npm_calls_in_every_way_over_tls() {
    let Some(house) = house("grpc-js, TLS") else { return };
    expect_calls(&house.run(true), &house.caller);
    house.gateway.expect_no_panic();
}
