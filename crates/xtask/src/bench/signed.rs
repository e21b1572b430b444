//! Signed requests for a load tool that can't sign: each is made before, since each is accepted once.
use super::doorward::Signer;
use crate::Outcome;
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{Config, How, SigningSecret, ToSign, sign};
use doorward_core::time::UnixMillis;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// More than any peer answers in a second here; a run that needs more fails.
const REQUESTS_A_SECOND: u64 = 80_000;
/// The body of the signed POST, in bytes.
pub(super) const BODY_BYTES: usize = 4096;
/// The load tool's threads, each with requests of its own.
pub(super) const THREADS: usize = 2;

/// Sends the requests of a file one after the other. `thread` is set for each of the tool's threads.
const SCRIPT: &str = r#"
local threads = 0
function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end
function init(args)
    local folder = args[1]
    local body = args[2] == "0" and "" or string.rep("b", tonumber(args[2]))
    lines = io.lines(folder .. "/signed-" .. number .. ".tsv")
    local length = body == "" and "" or "Content-Length: " .. #body .. "\r\n"
    method = body == "" and "GET " or "POST "
    tail = "\r\n" .. length .. "\r\n" .. body
    host = wrk.headers["Host"]
    more = ""
    for name, value in pairs(wrk.headers) do
        if name ~= "Host" then more = more .. name .. ": " .. value .. "\r\n" end
    end
end
function request()
    local target, date, signature = string.match(lines(), "([^\t]+)\t([^\t]+)\t(.+)")
    return method .. target .. " HTTP/1.1\r\nHost: " .. host .. "\r\n" .. more
        .. "Date: " .. date .. "\r\nAuthorization: " .. signature .. tail
end
"#;

/// Writes enough signed requests for so many seconds, and the script that sends them.
pub(super) fn write(folder: &Path, signer: &Signer, post: bool, seconds: u64) -> Outcome<PathBuf> {
    let broken = |e: std::io::Error| format!("{}: {e}", folder.display());
    let config = Config::antavo("us/api/antavo_request").map_err(|e| e.to_string())?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixMillis(i64::try_from(since.as_millis()).unwrap_or(0));
    let body = if post { vec![b'b'; BODY_BYTES] } else { Vec::new() };
    let secret = SigningSecret::new(signer.secret.as_bytes());
    let signer_of = doorward_core::schemes::escher::Signer { id: signer.id.clone(), secret };
    let mut req = ToSign {
        method: if post { "POST" } else { "GET" }.to_owned(),
        host: signer.host.clone(),
        target: String::new(),
        headers: Vec::new(),
        body: BodyDigest::of(Hash::Sha256, &body),
    };
    let each = (REQUESTS_A_SECOND * seconds) as usize / THREADS;
    for thread in 0..THREADS {
        let mut text = String::new();
        for number in 0..each {
            req.target = format!("/s1/customers/jane?n={thread}-{number:07}");
            let signed = sign(&config, &signer_of, &req, &How::default(), now).map_err(|e| e.to_string())?;
            let field = |name: &str| {
                signed.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str())
            };
            let _ = writeln!(text, "{}\t{}\t{}", req.target, field("date"), field("authorization"));
        }
        std::fs::write(folder.join(format!("signed-{thread}.tsv")), text).map_err(broken)?;
    }
    let script = folder.join("signed.lua");
    std::fs::write(&script, SCRIPT).map_err(broken)?;
    Ok(script)
}
