//! Asks the addresses of upstreams whether they are well, where the policy says how: in a thread of its own, beside the cores.
use crate::condition::{Condition, Conditions};
use crate::h2;
use crate::io::Stream;
use crate::pool::{Dial, Network};
use crate::pump::field;
use crate::text::decimal;
use crate::wire::{self, Head, Lines};
use doorward_core::live::Live;
use doorward_core::policy::{Address, Policy, Probe, Upstream};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How often is looked whether something is to be done.
const LOOK_MS: u64 = 100;
/// How upstreams know a probe.
const AGENT: &[u8] = b"doorward-probe";

/// One address, asked in one way.
struct Asked {
    address: Arc<Address>,
    condition: Arc<Condition>,
    probe: Probe,
    http2: bool,
    next: Cell<Instant>,
    /// An answer is awaited.
    busy: Cell<bool>,
    /// Answers of the same kind in a row.
    good: Cell<u32>,
    bad: Cell<u32>,
    ill: Cell<bool>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.ill.get() {
            self.condition.forget_probe();
        }
    }
}

impl Asked {
    /// Counts an answer, and tells where it was the last of enough.
    fn note(&self, well: bool) {
        let (count, other, enough) = match well {
            true => (&self.good, &self.bad, self.probe.healthy_after),
            false => (&self.bad, &self.good, self.probe.unhealthy_after),
        };
        other.set(0);
        count.set(count.get().saturating_add(1));
        if count.get() >= enough {
            self.condition.probed(!well, self.ill.replace(!well));
        }
    }
}

/// Probes until `stop`.
pub(crate) fn drive(live: &Live, conditions: &Conditions, dial: Network, stop: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let local = tokio::task::LocalSet::new();
            runtime.block_on(local.run_until(look(live, conditions, Rc::new(dial), stop)));
        }
        Err(error) => tracing::error!(%error, "upstreams can't be probed"),
    }
}

async fn look(live: &Live, conditions: &Conditions, dial: Rc<Network>, stop: &AtomicBool) {
    let mut policy = Arc::new(Policy::default());
    let asked: RefCell<Vec<Rc<Asked>>> = RefCell::default();
    // What is known of an address lasts for as long as the policy leads there.
    let mut kept: Vec<Arc<Condition>> = Vec::new();
    while !stop.load(Relaxed) {
        let current = live.policy.load_full();
        if !Arc::ptr_eq(&current, &policy) {
            let upstreams = || current.apis.iter().flat_map(|api| [&api.production, &api.sandbox]).flatten();
            kept = upstreams().flat_map(|u| &u.addresses).map(|a| conditions.of(a)).collect();
            let before = asked.take();
            asked.replace(renewed(&before, upstreams(), conditions));
            policy = current;
        }
        let now = Instant::now();
        for this in asked.borrow().iter().filter(|a| !a.busy.get() && a.next.get() <= now) {
            this.busy.set(true);
            this.next.set(now + Duration::from_secs(this.probe.every_s));
            let (this, dial) = (Rc::clone(this), Rc::clone(&dial));
            tokio::task::spawn_local(async move {
                let limit = Duration::from_millis(this.probe.timeout_ms);
                let answer = tokio::time::timeout(limit, ask(&dial, &this)).await;
                if let Ok(Err(error)) = &answer {
                    tracing::debug!(upstream = %this.address, %error, "a probe failed");
                }
                this.note(answer.is_ok_and(|status| status.is_ok_and(|s| (200..400).contains(&s))));
                this.busy.set(false);
            });
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    drop(kept);
}

/// What is to be asked under a policy; what was asked before goes on.
fn renewed<'a>(
    before: &[Rc<Asked>],
    upstreams: impl Iterator<Item = &'a Arc<Upstream>>,
    conditions: &Conditions,
) -> Vec<Rc<Asked>> {
    let mut all: Vec<Rc<Asked>> = Vec::new();
    for upstream in upstreams {
        let Some(probe) = &upstream.probe else { continue };
        for address in &upstream.addresses {
            let same =
                |a: &&Rc<Asked>| a.address == *address && a.probe == *probe && a.http2 == upstream.http2;
            if all.iter().any(|a| same(&a)) {
                continue;
            }
            all.push(before.iter().find(same).map_or_else(
                || {
                    Rc::new(Asked {
                        address: Arc::clone(address),
                        condition: conditions.of(address),
                        probe: probe.clone(),
                        http2: upstream.http2,
                        next: Cell::new(Instant::now()),
                        busy: Cell::new(false),
                        good: Cell::new(0),
                        bad: Cell::new(0),
                        ill: Cell::new(false),
                    })
                },
                Rc::clone,
            ));
        }
    }
    all
}

/// The status of the answer.
async fn ask(dial: &Network, asked: &Asked) -> std::io::Result<u16> {
    let mut io: Stream = dial.connect(&asked.address, asked.http2).await?;
    let mut authority = Vec::new();
    host(&mut authority, &asked.address);
    let path = asked.probe.path.as_bytes();
    if asked.http2 {
        return h2::ask(&mut io, asked.address.tls, &authority, path, AGENT).await;
    }
    let mut out = b"GET ".to_vec();
    out.extend_from_slice(path);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in [(&b"host"[..], &authority[..]), (b"user-agent", AGENT), (b"connection", b"close")] {
        field(&mut out, name, value);
    }
    out.extend_from_slice(b"\r\n");
    io.write_all(&out).await?;
    io.flush().await?;
    let (limits, mut lines, mut head) = (wire::Limits::default(), Lines::default(), Head::default());
    let (mut got, mut at) = (Vec::new(), 0);
    loop {
        while let Some(end) =
            lines.scan(&got[at..], &limits).map_err(|r| std::io::Error::other(r.detail()))?
        {
            let read = wire::response(&got[at..at + end], false, &limits, &mut head);
            read.map_err(|r| std::io::Error::other(r.detail()))?;
            if head.status >= 200 {
                return Ok(head.status);
            }
            at += end;
            lines = Lines::default();
        }
        // Once for all interim answers that came together.
        got.drain(..std::mem::take(&mut at));
        if io.read_buf(&mut got).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The host of an address as `Host` has it.
fn host(out: &mut Vec<u8>, address: &Address) {
    let six = address.host.contains(':');
    out.extend_from_slice(if six { b"[" } else { b"" });
    out.extend_from_slice(address.host.as_bytes());
    out.extend_from_slice(if six { b"]" } else { b"" });
    if address.port != if address.tls { 443 } else { 80 } {
        out.push(b':');
        decimal(out, address.port.into());
    }
}
