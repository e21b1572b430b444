//! Doorward as it is measured: with keys and signatures, and with tokens that it remembers or has forgotten.

use super::folder::Folder;
use super::peers::Doors;
use super::process::Server;
use super::start::command;
use super::tokens;
use crate::Outcome;
use crate::cargo::output;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

/// Keys that Doorward and nginx with keys know.
pub(super) const KEYS: usize = 10_000;

/// Ranges on the list of networks that one route asks.
pub(crate) const RANGES: usize = 1_000;

/// Whose tokens they are.
pub(super) const ISSUER: &str = "http://127.0.0.1:1";

/// Who signs, and the host that it signs for.
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) host: String,
}

/// A pair that opens a door.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A Doorward that takes keys and signatures.
pub(super) struct Started {
    pub(super) server: Server,
    pub(super) doors: Doors,
    pub(super) keys: Vec<Key>,
    /// The one that may call where every rule is asked.
    pub(super) ruled: Key,
    pub(super) signer: Signer,
}

/// Makes a store with keys, starts Doorward on it and says where it listens.
pub(super) fn start(folder: &Folder, binary: &Path, upstream_port: u16) -> Outcome<Started> {
    let log = folder.path.join("doorward.log").display().to_string();
    let config = folder.fill("doorward.toml", &[("log", &log)])?.display().to_string();
    let ranges: Vec<_> = (1..RANGES).map(|n| format!("\"10.{}.{}.0/24\"", n / 250, n % 250)).collect();
    let values = [
        ("upstream_port", &*upstream_port.to_string()),
        ("ranges", &format!("{}, \"127.0.0.1\"", ranges.join(", "))),
    ];
    let policy = folder.fill("doorward-policy.toml", &values)?;
    let doorward = |words: &[&str]| output(command(binary, words));
    doorward(&["master-key", "create", &folder.path.join("master.key").display().to_string()])?;
    doorward(&["apply", "--config", &config, "-f", &policy.display().to_string()])?;
    eprintln!("making {KEYS} credentials");
    let create = ["credential", "create", "--config", &config, "--workspace", "bench", "--kind", "server"];
    let many = ["--dialect", "voucherify", "--count", &KEYS.to_string(), "--json"];
    let made = doorward(&[&create[..], &many[..]].concat())?;
    let keys: Vec<Key> = made
        .lines()
        .filter_map(|line| Some(Key { id: text(line, "id")?, secret: text(line, "secret")? }))
        .collect();
    if keys.len() != KEYS {
        return Err(format!("Doorward made {} credentials of {KEYS}", keys.len()));
    }
    let made = doorward(&[&create[..], &["--dialect", "voucherify", "--scope", "read", "--json"]].concat())?;
    let (id, secret) = text(&made, "id").zip(text(&made, "secret")).ok_or("Doorward made no credential")?;
    let ruled = Key { id, secret };
    let made = doorward(&[&create[..], &["--dialect", "antavo", "--json"]].concat())?;
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    let signer = id.zip(secret).map(|(id, secret)| Signer { id, secret, host: String::new() });
    let signer = signer.ok_or("Doorward made no credential that signs")?;
    let (server, plain, tls) = serve(folder, binary, &config, "doorward")?;
    let tls = tls.ok_or("Doorward tells no address for TLS")?;
    Ok(Started { server, doors: Doors { plain, http2: plain, tls }, keys, ruled, signer })
}

/// A Doorward that takes tokens, and some of its tokens.
pub(super) struct WithTokens {
    pub(super) server: Rc<Server>,
    pub(super) address: SocketAddr,
    pub(super) tokens: Rc<[String]>,
}

/// Starts one that remembers so many tokens on each core.
pub(super) fn start_with_tokens(
    folder: &Folder,
    binary: &Path,
    upstream_port: u16,
    name: &str,
    entries: usize,
) -> Outcome<WithTokens> {
    let log = folder.path.join(format!("{name}.log")).display().to_string();
    let values = [("log", &*log), ("name", name), ("issuer", ISSUER), ("entries", &*entries.to_string())];
    let config = folder.fill("doorward-token.toml", &values)?;
    // Two of them have one template.
    let own = folder.path.join(format!("{name}.toml"));
    fs::rename(&config, &own).map_err(|e| format!("{}: {e}", own.display()))?;
    let config = own.display().to_string();
    let policy =
        folder.fill("doorward-token-policy.toml", &[("upstream_port", &upstream_port.to_string())])?;
    let doorward = |words: &[&str]| output(command(binary, words));
    let key = folder.path.join(format!("{name}.key")).display().to_string();
    doorward(&["master-key", "create", &key])?;
    doorward(&["apply", "--config", &config, "-f", &policy.display().to_string()])?;
    let create = ["credential", "create", "--config", &config, "--workspace", "bench", "--json"];
    let kind = ["--kind", "oauth_client", "--dialect", "standard", "--scope", "vouchers:read"];
    let made = doorward(&[&create[..], &kind].concat())?;
    let (id, secret) = text(&made, "id").zip(text(&made, "secret")).ok_or("Doorward made no OAuth client")?;
    let (server, address, _) = serve(folder, binary, &config, name)?;
    let tokens = tokens::issue(address, &id, &secret, tokens::NEW)?.into();
    Ok(WithTokens { server: Rc::new(server), address, tokens })
}

/// Starts a Doorward and says where it listens, and where for TLS.
fn serve(
    folder: &Folder,
    binary: &Path,
    config: &str,
    name: &str,
) -> Outcome<(Server, SocketAddr, Option<SocketAddr>)> {
    let ready = folder.path.join(format!("{name}.ready.json"));
    let words = ["serve", "--config", config, "--ready-file", &ready.display().to_string()];
    let server = Server::start(binary, &words, &folder.path.join(format!("{name}.out")))?;
    let (plain, tls) = server.until(|| listening(&fs::read_to_string(&ready).ok()?))?;
    Ok((server, plain, tls))
}

/// The addresses in a ready file.
pub(crate) fn listening(ready: &str) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let plain = text(ready, "plain")?.strip_prefix("http://")?.parse().ok()?;
    let tls = text(ready, "tls").and_then(|url| url.strip_prefix("https://")?.parse().ok());
    Some((plain, tls))
}

/// The value of a field in a flat JSON object whose values need no escapes.
pub(crate) fn text(json: &str, field: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{field}\":"))?;
    let value = rest.trim_start().strip_prefix('"')?;
    value.split_once('"').map(|(value, _)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_a_ready_file() {
        let [plain, tls] = ["127.0.0.1:7", "127.0.0.1:8"].map(|address| address.parse().unwrap());
        let both = r#"{"plain":"http://127.0.0.1:7","tls":"https://127.0.0.1:8"}"#;
        assert_eq!(listening(both), Some((plain, Some(tls))));
        assert_eq!(listening(r#"{"plain":"http://127.0.0.1:7"}"#), Some((plain, None)));
        assert_eq!(listening(""), None);
    }

    #[test]
    fn fields_are_found_in_a_json_line() {
        let line = r#"{"workspace":"bench","kind":"server","id": "a-1","secret":"s","plain_key":false}"#;
        assert_eq!(text(line, "id").as_deref(), Some("a-1"));
        assert_eq!(text(line, "secret").as_deref(), Some("s"));
        assert_eq!(text(line, "plain_key"), None);
        assert_eq!(text(line, "name"), None);
    }
}
