//! HTTP/2 from callers.
use super::bridge::Bridge;
use super::drive::Driver;
use super::state::{Born, Role, State};
use crate::input::Input;
use crate::io::Io;
use crate::peer::Connected;
use crate::pool::Dial;
use crate::serve;
use crate::worker::Worker;
use std::cell::RefCell;
use std::rc::Rc;

/// Serves a connection whose caller speaks HTTP/2, from its preface on, until it ends.
pub(crate) async fn serve<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, input: Input, at: Connected) {
    let shared = Rc::new(RefCell::new(State::new(Role::Server, worker.wire)));
    let idle_ms = worker.settings.timeouts.idle_ms;
    let driver = Driver::new(Rc::clone(&worker), Rc::clone(&shared), io, input, idle_ms);
    driver
        .run(|Born { stream, wrong }| {
            let bridge = Bridge::new(Rc::clone(&shared), stream);
            let worker = Rc::clone(&worker);
            match wrong {
                None => tokio::task::spawn_local(serve::serve(worker, bridge, at)),
                Some(wrong) => {
                    let why = (wrong.reason(), wrong.detail(), wrong.sentence());
                    tokio::task::spawn_local(serve::refuse(worker, bridge, at, why))
                }
            };
        })
        .await;
}
