//! The scripts: what they are told, and what they say.
use super::super::Settings;
use doorward_core::ports::{Claim, Once, Share};
use doorward_core::time::UnixMillis;
use redis::{Cmd, FromRedisValue, Value, cmd};

const CLAIM: &str = include_str!("claim.lua");
pub(super) const BEGIN: &str = include_str!("begin.lua");
pub(super) const TIDY: &str = include_str!("tidy.lua");

/// The length of a span of dates in milliseconds.
const SPAN_MS: i64 = 32_000;
/// For how long claims are kept when nobody tidies up any more, in milliseconds: a day. Until then they are removed by
/// their dates alone, so a clock that jumps takes nothing away.
const UNUSED_MS: u64 = 86_400_000;

/// The number of a date's span.
fn span(date: UnixMillis) -> i64 {
    date.0.div_euclid(SPAN_MS)
}

/// Names of the keys of one installation. They share a hash tag, so that a cluster has them on one node.
pub(super) struct Names {
    prefix: String,
    clock: Clock,
}

/// What tells a server's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Clock {
    /// The server's own clock.
    #[default]
    Own,
    /// A list of seconds and microseconds behind the state's key, for tests.
    #[cfg(test)]
    ByHand,
}

impl Names {
    pub(super) fn new(installation: &str, clock: Clock) -> Names {
        Names { prefix: format!("doorward:{{{installation}}}:"), clock }
    }

    /// The script that claims.
    pub(super) fn script(&self) -> String {
        match self.clock {
            Clock::Own => CLAIM.to_owned(),
            #[cfg(test)]
            Clock::ByHand => {
                let by_hand =
                    CLAIM.replace("redis.call('TIME')", "redis.call('LRANGE', KEYS[1] .. ':clock', 0, 1)");
                assert_ne!(by_hand, CLAIM);
                by_hand
            }
        }
    }

    fn time(&self) -> Cmd {
        match self.clock {
            Clock::Own => cmd("TIME"),
            #[cfg(test)]
            Clock::ByHand => {
                let mut call = cmd("LRANGE");
                call.arg(format!("{}:clock", self.state())).arg(0).arg(1);
                call
            }
        }
    }

    pub(super) fn state(&self) -> String {
        format!("{}state", self.prefix)
    }
    pub(super) fn spans(&self) -> String {
        format!("{}spans", self.prefix)
    }
    pub(super) fn all(&self) -> String {
        format!("{}all", self.prefix)
    }
    fn span(&self, number: i64) -> String {
        format!("{}{number}", self.prefix)
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// This.
    Claim(Claim),
    /// The data are not marked as they were: they were lost, or others have begun anew.
    Lost,
    /// The server does not know yet of a reach that is long enough.
    Short,
}

/// The call that claims a request.
pub(super) fn claim(sha: &str, names: &Names, mark: &str, settings: &Settings, once: &Once) -> Cmd {
    let (window, owner) = (&once.window, &once.owner);
    let number = span(window.date());
    let mut call = cmd("EVALSHA");
    call.arg(sha).arg(6);
    call.arg(names.state()).arg(names.span(number)).arg(names.spans()).arg(names.all());
    call.arg(format!("{}w{:x}", names.prefix, owner.workspace.0));
    call.arg(format!("{}c{:x}", names.prefix, owner.credential.0));
    call.arg(mark)
        .arg(once.key.bytes().as_slice())
        .arg(window.date().0)
        .arg(window.early_ms())
        .arg(window.late_ms());
    call.arg(number).arg(SPAN_MS);
    call.arg(settings.entries)
        .arg(settings.workspace_entries)
        .arg(settings.credential_entries)
        .arg(UNUSED_MS);
    call
}

/// What the script said to that; `None`: nothing that it says.
pub(super) fn said(value: Value) -> Option<Said> {
    let (what, ms): (i64, i64) = FromRedisValue::from_redis_value(value).ok()?;
    let time = UnixMillis(ms);
    Some(Said::Claim(match what {
        0 => return Some(Said::Lost),
        1 => Claim::New,
        2 => Claim::Replayed,
        3 => Claim::TooEarly { now: time },
        4 => Claim::TooLate { now: time },
        5 => Claim::Fenced { until: time },
        6 => return Some(Said::Short),
        7 => Claim::Full(Share::Ledger),
        8 => Claim::Full(Share::Workspace),
        9 => Claim::Full(Share::Credential),
        _ => return None,
    }))
}

/// The call that marks the data anew.
pub(super) fn begin(names: &Names, mark: &str, fence: UnixMillis, reach_ms: i64) -> Cmd {
    let mut call = cmd("EVAL");
    call.arg(BEGIN).arg(1).arg(names.state()).arg(mark).arg(fence.0.max(0)).arg(reach_ms);
    call
}

/// The call that forgets what is dated so early that nobody may use it at `now`, and tells the server of the reach.
pub(super) fn tidy(names: &Names, there: &There, reach_ms: i64) -> Cmd {
    // Whatever lies below the fence can go, too.
    let over = span(there.now.plus_ms(-reach_ms.max(there.reach_ms))).max(span(there.fence));
    let gone: Vec<i64> = there.spans.iter().copied().filter(|number| *number < over).collect();
    let fence = there.fence.0.max(over.saturating_mul(SPAN_MS));
    let mut call = cmd("EVAL");
    call.arg(TIDY).arg(3 + gone.len()).arg(names.state()).arg(names.spans()).arg(names.all());
    for number in &gone {
        call.arg(names.span(*number));
    }
    call.arg(&there.mark).arg(fence).arg(reach_ms).arg(gone);
    call
}

/// What is on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct There {
    /// By the server's clock.
    pub(super) now: UnixMillis,
    /// Empty where there is nothing.
    pub(super) mark: String,
    pub(super) fence: UnixMillis,
    pub(super) reach_ms: i64,
    pub(super) spans: Vec<i64>,
    pub(super) entries: u64,
}

/// The calls that ask for it.
pub(super) fn look(names: &Names) -> redis::Pipeline {
    let mut calls = redis::pipe();
    calls.add_command(names.time());
    calls.cmd("HMGET").arg(names.state()).arg("mark").arg("fence").arg("reach");
    calls.cmd("SMEMBERS").arg(names.spans());
    calls.cmd("HGET").arg(names.all()).arg("sum");
    calls
}

/// What was answered; `None`: something else than was ever put there.
pub(super) fn there(values: Vec<Value>) -> Option<There> {
    type Told = ((i64, i64), (Option<String>, Option<i64>, Option<i64>), Vec<i64>, Option<u64>);
    let told: Told = FromRedisValue::from_redis_value(Value::Array(values)).ok()?;
    let ((seconds, micros), (mark, fence, reach_ms), spans, entries) = told;
    Some(There {
        now: UnixMillis(seconds.checked_mul(1000)?.checked_add(micros / 1000)?),
        mark: mark.unwrap_or_default(),
        fence: UnixMillis(fence.unwrap_or_default()),
        reach_ms: reach_ms.unwrap_or_default(),
        spans,
        entries: entries.unwrap_or_default(),
    })
}
