//! Access tokens for the load: where they come from, the key that verifies them, and the script that sends them.
use crate::Outcome;
use doorward_core::jwt;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the Doorward that is measured with new tokens remembers on each core. It meets each of [`NEW`] again only after
/// all others, so that it has forgotten it.
pub(super) const REMEMBERED: usize = 256;
/// Tokens that are sent one after the other.
pub(super) const NEW: usize = 4 * REMEMBERED;

/// Sends the tokens of a file in turn.
const SCRIPT: &str = r#"
local threads = 0
function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end
function init(args)
    tokens = {}
    for line in io.lines(args[1]) do tokens[#tokens + 1] = line end
    -- The threads are never at the same token.
    at = math.floor(number * #tokens / 2)
    local more = ""
    for name, value in pairs(wrk.headers) do
        if name ~= "Host" then more = more .. name .. ": " .. value .. "\r\n" end
    end
    head = wrk.method .. " " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n" .. more
        .. "Authorization: Bearer "
end
function request()
    at = at % #tokens + 1
    return head .. tokens[at] .. "\r\n\r\n"
end
"#;

/// Asks for so many tokens as the client does (RFC 6749 4.4.2).
pub(crate) fn issue(address: SocketAddr, id: &str, secret: &str, count: usize) -> Outcome<Vec<String>> {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    let ask = |_| {
        let said = ask(address, &request)?;
        super::doorward::text(&said, "access_token").ok_or_else(|| format!("no token was given:\n{said}"))
    };
    (0..count).map(ask).collect()
}

/// The keys that are published (RFC 7517 5).
pub(super) fn keys(address: SocketAddr) -> Outcome<String> {
    let request = format!("GET /jwks HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let said = ask(address, &request)?;
    let body = said.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
    body.filter(|body| body.starts_with('{')).ok_or_else(|| format!("no keys are published:\n{said}"))
}

/// The key that is published, as a PEM file (RFC 7468 13), since haproxy reads nothing else.
pub(super) fn key_file(address: SocketAddr, folder: &Path) -> Outcome {
    let said = keys(address)?;
    let member = |name| super::doorward::text(&said, name).and_then(|text| jwt::decode(&text));
    let (n, e) = member("n").zip(member("e")).ok_or_else(|| format!("no RSA key is published:\n{said}"))?;
    let broken = |e: std::io::Error| format!("{}: {e}", folder.display());
    fs::write(folder.join("token-key.pem"), pem(&n, &e)).map_err(broken)
}

/// Writes the tokens and the script that sends them.
pub(super) fn script(folder: &Path, tokens: &[String]) -> Outcome<(PathBuf, PathBuf)> {
    let (list, script) = (folder.join("tokens.txt"), folder.join("tokens.lua"));
    for (file, text) in [(&list, tokens.join("\n")), (&script, SCRIPT.to_owned())] {
        fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok((script, list))
}

fn ask(address: SocketAddr, request: &str) -> Outcome<String> {
    let broken = |e: std::io::Error| format!("{address}: {e}");
    let mut stream = TcpStream::connect(address).map_err(broken)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(broken)?;
    stream.write_all(request.as_bytes()).map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(broken)?;
    Ok(answer)
}

/// One value of DER (X.690 8.1): its tag, its length and what it is.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut all = vec![tag];
    if content.len() >= 0x80 {
        all.push(0x80 | significant.len() as u8);
        all.extend(significant);
    } else {
        all.push(content.len() as u8);
    }
    all.extend(content);
    all
}

/// SubjectPublicKeyInfo of an RSA key (RFC 3279 2.3.1).
fn pem(n: &[u8], e: &[u8]) -> String {
    const INTEGER: u8 = 2;
    const BIT_STRING: u8 = 3;
    const SEQUENCE: u8 = 0x30;
    /// rsaEncryption, 1.2.840.113549.1.1.1, with its empty parameters.
    const ALGORITHM: [u8; 13] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    // A number whose first bit is set would be negative.
    let integer = |number: &[u8]| der(INTEGER, &[&[0], number].concat()[usize::from(number[0] < 0x80)..]);
    let key = der(SEQUENCE, &[integer(n), integer(e)].concat());
    let key = der(BIT_STRING, &[&[0], &*key].concat());
    let whole = der(SEQUENCE, &[der(SEQUENCE, &ALGORITHM), key].concat());
    let mut text = jwt::encode(&whole).replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_openssl_reads_it() {
        // What `openssl asn1parse` shows as the algorithm and a bit string with the numbers 49415 and 65537.
        let text = "-----BEGIN PUBLIC KEY-----\nMB4wDQYJKoZIhvcNAQEBBQADDQAwCgIDAMEHAgMBAAE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(pem(&[0xc1, 7], &[1, 0, 1]), text);
        assert_eq!(der(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }
}
