//! One connection to a server that can hold a ledger.
use super::super::{LedgerError, Settings};
use super::fitness::{self, Seen};
use super::script::{self, Names, Said, There};
use super::{Address, Server};
use doorward_core::ports::{Claim, Once, Share};
use doorward_core::time::UnixMillis;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, ServerErrorKind, TlsCertificates, Value, cmd,
};
use std::time::Duration;
use tokio::sync::Notify;

/// How long making a connection may take, in milliseconds.
const CONNECT_MS: u64 = 900;
/// How long an answer is waited for, in milliseconds: a request that waits for it waits no longer.
const ANSWER_MS: u64 = 800;

/// What is wrong with a server, in a sentence of its own.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is none that can hold a ledger, and waiting mends nothing.
    Unfit(String),
    /// It does not do what it is asked.
    Away(String),
}

impl Fault {
    pub(super) fn of(self, address: &Address) -> LedgerError {
        let server = address.to_string();
        match self {
            Fault::Unfit(why) => LedgerError::Unfit { server, why },
            Fault::Away(why) => LedgerError::Away { server, why },
        }
    }
}

impl From<RedisError> for Fault {
    fn from(e: RedisError) -> Fault {
        match e.code() {
            Some("NOAUTH" | "WRONGPASS") => Fault::Unfit(
                "it does not let in whoever comes with this user and password; see that user, password and \
                 ledger.password_file are right"
                    .to_owned(),
            ),
            Some("NOPERM") => Fault::Unfit(format!("the user may not do all that is needed: {e}")),
            _ if e.kind() == ErrorKind::AuthenticationFailed => Fault::Unfit(
                "it refuses user and password; see that both and ledger.password_file are right".to_owned(),
            ),
            Some("MOVED") => Fault::Unfit(format!(
                "it is one of a cluster, and the ledger's keys lie on another one; name that one: {e}"
            )),
            _ => Fault::Away(e.to_string()),
        }
    }
}

/// A connection that is ready for claims.
pub(super) struct Link {
    conn: MultiplexedConnection,
    names: Names,
    sha: String,
    /// Names this start of the server.
    pub(super) run_id: String,
    /// Names the history of replication that its data belong to.
    pub(super) history: String,
    /// Something went wrong: it has to be made anew.
    pub(super) broken: Notify,
}

impl Link {
    /// Connects, and sees that the server is fit.
    pub(super) async fn open(server: &Server, installation: &str) -> Result<Link, Fault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_millis(CONNECT_MS)))
            .set_response_timeout(Some(Duration::from_millis(ANSWER_MS)));
        let mut conn = client(server)?.get_multiplexed_async_connection_with_config(&config).await?;
        let seen = see(&mut conn).await?;
        let names = Names::new(installation, server.clock);
        let sha: String = cmd("SCRIPT").arg("LOAD").arg(names.script()).query_async(&mut conn).await?;
        let broken = Notify::new();
        Ok(Link { conn, names, sha, run_id: seen.run_id, history: seen.history, broken })
    }

    /// Whether it is still the same server with the same data, and fit.
    pub(super) async fn is_same(&self) -> Result<bool, Fault> {
        let seen = see(&mut self.conn.clone()).await?;
        Ok(seen.run_id == self.run_id && seen.history == self.history)
    }

    /// What is on the server now.
    pub(super) async fn look(&self) -> Result<There, Fault> {
        let values = self.all(&script::look(&self.names), 4).await?;
        let odd = || Fault::Unfit("under the ledger's keys lies what no ledger put there".to_owned());
        for value in &values {
            if let Value::ServerError(e) = value {
                return Err(Fault::from(RedisError::from(e.clone())));
            }
        }
        script::there(values).ok_or_else(odd)
    }

    async fn all(&self, calls: &redis::Pipeline, count: usize) -> Result<Vec<Value>, Fault> {
        Ok(self.conn.clone().req_packed_commands(calls, 0, count).await?)
    }

    /// Marks the data anew, and returns the fence.
    pub(super) async fn begin(
        &self,
        mark: &str,
        fence: UnixMillis,
        reach_ms: i64,
    ) -> Result<UnixMillis, Fault> {
        let call = script::begin(&self.names, mark, fence, reach_ms);
        let fence: i64 = call.query_async(&mut self.conn.clone()).await?;
        Ok(UnixMillis(fence))
    }

    /// Forgets what is over, and tells the server of the reach. `false`: the data are marked in another way by now.
    pub(super) async fn tidy(&self, there: &There, reach_ms: i64) -> Result<bool, Fault> {
        let call = script::tidy(&self.names, there, reach_ms);
        let done: i64 = call.query_async(&mut self.conn.clone()).await?;
        Ok(done == 1)
    }

    /// Claims all of these, sent together.
    pub(super) async fn claim(
        &self,
        mark: &str,
        settings: &Settings,
        all: &[&Once],
    ) -> Result<Vec<Result<Said, Fault>>, Fault> {
        let mut answers = self.claim_once(mark, settings, all).await?;
        // Scripts were removed from the server: nothing was done for these.
        let again: Vec<usize> =
            answers.iter().enumerate().filter(|(_, a)| is_missing(a)).map(|(at, _)| at).collect();
        if !again.is_empty() {
            let _: String = cmd("SCRIPT")
                .arg("LOAD")
                .arg(self.names.script())
                .query_async(&mut self.conn.clone())
                .await?;
            let these: Vec<&Once> = again.iter().filter_map(|at| all.get(*at).copied()).collect();
            for (at, answer) in again.into_iter().zip(self.claim_once(mark, settings, &these).await?) {
                answers[at] = answer;
            }
        }
        Ok(answers.into_iter().map(read).collect())
    }

    async fn claim_once(&self, mark: &str, settings: &Settings, all: &[&Once]) -> Result<Vec<Value>, Fault> {
        let mut calls = redis::pipe();
        for once in all {
            calls.add_command(script::claim(&self.sha, &self.names, mark, settings, once));
        }
        let answers = self.all(&calls, all.len()).await?;
        if answers.len() == all.len() {
            Ok(answers)
        } else {
            Err(Fault::Away("answers are missing".to_owned()))
        }
    }
}

/// Whether a server is one that keeps what it is told, and takes writes.
///
/// # Errors
/// A sentence about the server.
pub(crate) async fn fit(conn: &mut MultiplexedConnection) -> Result<(), String> {
    match see(conn).await {
        Ok(_) => Ok(()),
        Err(Fault::Unfit(why) | Fault::Away(why)) => Err(why),
    }
}

/// Connects once, and sees whether a server can hold a ledger and count limits.
///
/// # Errors
/// [`LedgerError::Unfit`]: no waiting mends it. [`LedgerError::Away`]: it can't be told now.
pub async fn look_at(server: &Server) -> Result<(), LedgerError> {
    let seeing = async {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_millis(CONNECT_MS)))
            .set_response_timeout(Some(Duration::from_millis(ANSWER_MS)));
        see(&mut client(server)?.get_multiplexed_async_connection_with_config(&config).await?).await
    };
    seeing.await.map(drop).map_err(|fault: Fault| fault.of(&server.address))
}

async fn see(conn: &mut MultiplexedConnection) -> Result<Seen, Fault> {
    let info: String = cmd("INFO").query_async(conn).await?;
    fitness::see(&info)
}

fn is_missing(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(e) if e.kind() == Some(ServerErrorKind::NoScript))
}

fn read(answer: Value) -> Result<Said, Fault> {
    match answer {
        // It has no memory left, and evicts nothing.
        Value::ServerError(e) if e.code() == "OOM" => Ok(Said::Claim(Claim::Full(Share::Ledger))),
        Value::ServerError(e) => Err(Fault::from(RedisError::from(e))),
        answer => script::said(answer).ok_or_else(|| Fault::Away("the script's answer is none".to_owned())),
    }
}

/// Who makes connections to a server. None is made yet.
pub(crate) fn client(server: &Server) -> Result<Client, RedisError> {
    let Address { tls, user, host, port, database } = &server.address;
    let place = if *tls {
        ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host.clone(), *port)
    };
    let mut who = RedisConnectionInfo::default()
        .set_db(i64::from(*database))
        .set_lib_name("doorward", env!("CARGO_PKG_VERSION"));
    if let Some(user) = user {
        who = who.set_username(user);
    }
    if let Some(password) = &server.password {
        who = who.set_password(password);
    }
    let info = place.into_connection_info()?.set_redis_settings(who);
    Ok(match &server.ca_pem {
        Some(pem) if *tls => {
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) })?
        }
        _ => Client::open(info)?,
    })
}
