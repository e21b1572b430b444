//! `doorward demo`: everything on a store of its own, with a sample upstream, to try things out.
use crate::cli::Demo;
use crate::config::{CaptchaUrls, Config, Listen, Tls, Tokens, all_cores, default_ledger};
use crate::front::Doors;
use crate::place::{self, Opened};
use crate::role::Role;
use crate::run::Node;
use crate::{Failure, files, master_key};
use doorward_control::actions::{CredentialView, policy as policies};
use doorward_control::oauth::PasswordRules;
use doorward_core::request::PlainHttp;
use doorward_core::token::Issuer;
use doorward_gateway::{Limits, Timeouts, Trusted};
use doorward_store::Purpose;
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

mod certificate;
mod credentials;
mod examples;
mod folder;
mod policy;
mod sample;
mod token_examples;
mod told;
mod verifier;

/// The demo's region.
pub(crate) const REGION: &str = "us";
/// Seconds without a word from the store after which the demo refuses.
const MAX_STALENESS_S: u64 = 60;

/// A workspace as it is told.
#[derive(Serialize)]
struct WorkspaceTold {
    id: String,
    name: String,
    environment: String,
    region: &'static str,
}

/// A credential, and the scope with which it signs.
#[derive(Serialize)]
struct CredentialTold<'a> {
    #[serde(flatten)]
    view: &'a CredentialView,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_scope: Option<String>,
}

/// Everything that others need to know of a running demo.
#[derive(Serialize)]
struct Told<'a> {
    gateway: &'a str,
    gateway_tls: &'a str,
    ca_file: &'a Path,
    operations: &'a str,
    workspaces: Vec<WorkspaceTold>,
    credentials: Vec<CredentialTold<'a>>,
    examples: Vec<examples::Example>,
}

/// Runs the demo until it is told to stop.
///
/// # Errors
/// What can't be opened, made or listened on.
pub(crate) async fn run(options: Demo) -> Result<(), Failure> {
    for at in [options.gateway, options.gateway_tls] {
        if !at.ip().is_loopback() && !options.allow_remote {
            let why = "other machines reach that address, and a demo's keys are printed for all to see; \
                       if that is meant, say --allow-remote";
            return Err(format!("{at}: {why}").into());
        }
    }
    let folder = folder::Folder::open(options.data.as_deref())?;
    let opened = open(folder.path()).await?;
    let before = policies::export(opened.desk(credentials::ACTOR)).await?;
    let (sample, _serving) = sample::start(policy::sample_port(&before)).await?;
    let wanted = policy::merged(&before, policy::draft(sample));
    policies::apply(opened.desk(credentials::ACTOR), &wanted, false).await?;
    let (captcha, _verifying) = verifier::start(&opened).await?;
    let credentials = credentials::all(&opened).await?;
    let tls = certificate::make(folder.path(), options.gateway_tls.ip())?;
    let mut config = config(&options, folder.path(), &tls);
    // Tokens are issued in the name of an address that is known once it is open.
    let doors = Doors::open(&config)?;
    let issuer = issuer(&doors)?;
    files::replace(&place::issuer_in(folder.path()), issuer.as_str().as_bytes(), files::PUBLIC_MODE)?;
    (config.tokens.issuer, config.captcha) = (Some(issuer), captcha);
    let mut node = Node::start_behind(&config, opened, Some(doors)).await?;
    if node.ready().await {
        let reached = |url: &Option<String>| url.clone().unwrap_or_default();
        let (plain, secure) = (reached(&node.addresses.plain), reached(&node.addresses.tls));
        let at = examples::Reached { plain: &plain, tls: &secure, ca_file: &tls.ca };
        let told = Told {
            gateway: &plain,
            gateway_tls: &secure,
            ca_file: &tls.ca,
            operations: &reached(&node.addresses.operations),
            workspaces: workspaces(),
            credentials: credentials
                .iter()
                .map(|view| CredentialTold { view, credential_scope: examples::scope(view) })
                .collect(),
            examples: examples::all(&credentials, &at)?,
        };
        // The file comes last: whoever waits for it finds everything else done.
        told::print(&told, folder.path())?;
        if let Some(file) = &options.json {
            let json = serde_json::to_vec_pretty(&told)?;
            // Secrets are in it, if only a demo's.
            files::replace(file, &json, files::SECRET_MODE)
                .map_err(|e| format!("{}: {e}", file.display()))?;
        }
        node.until_told().await;
    }
    node.stop().await
}

/// Its address for plain HTTP; where other machines reach that, the one for TLS.
fn issuer(doors: &Doors) -> Result<Issuer, String> {
    let url = |url: &Option<String>| url.clone().unwrap_or_default();
    Issuer::parse(&url(&doors.plain_url)).or_else(|_| Issuer::parse(&url(&doors.tls_url)))
}

/// Opens the demo's store, and makes its master key where there is neither yet.
async fn open(folder: &Path) -> Result<Opened, Failure> {
    let settings = place::in_folder(folder, MAX_STALENESS_S);
    if !settings.master_key_file.exists() && !settings.url.file().is_some_and(Path::exists) {
        master_key::create(&settings.master_key_file)?;
    }
    place::open_configured(&settings, Purpose::Demo).await
}

fn config(options: &Demo, folder: &Path, tls: &certificate::TlsFiles) -> Config {
    let store = place::in_folder(folder, MAX_STALENESS_S);
    Config {
        name: "demo".to_owned(),
        role: Role::All,
        region: Some(REGION.to_owned()),
        ledger: default_ledger(&store.url),
        store,
        listen: Listen {
            plain: Some(options.gateway),
            tls: Some(options.gateway_tls),
            operations: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        },
        // No HSTS: a browser would remember it for every other thing on this machine.
        tls: Tls {
            certificate_file: Some(tls.certificate.clone()),
            key_file: Some(tls.key.clone()),
            hsts: None,
        },
        plain_http: PlainHttp::Serve,
        plain_http2: true,
        https_port: None,
        trusted: Trusted::default(),
        upstream_ca_file: None,
        timeouts: Timeouts::default(),
        limits: Limits::default(),
        events_file: Some(events_file(folder)),
        cores: all_cores(),
        tokens: Tokens { passwords: PasswordRules::of_a_demo(), ..Tokens::default() },
        captcha: CaptchaUrls::default(),
    }
}

fn events_file(folder: &Path) -> PathBuf {
    folder.join("events.jsonl")
}

fn workspaces() -> Vec<WorkspaceTold> {
    // The address plays no part in what workspaces there are.
    let demo = policy::draft(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let told = demo.workspaces.into_iter().map(|w| WorkspaceTold {
        name: w.name.unwrap_or_else(|| w.id.clone()),
        id: w.id,
        environment: w.environment,
        region: REGION,
    });
    told.collect()
}
