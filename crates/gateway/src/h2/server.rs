//! HTTP/2 from callers.
use super::bridge::Bridge;
use super::drive::Driver;
use super::state::{Born, Role, State};
use super::{CONNECTION_WINDOW_BYTES, LINK_WINDOW_BYTES};
use crate::input::Input;
use crate::io::Io;
use crate::peer::Connected;
use crate::pool::Dial;
use crate::serve;
use crate::worker::Worker;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// Serves a connection whose caller speaks HTTP/2, from its preface on, until it ends.
pub(crate) async fn serve<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, input: Input, at: Connected) {
    let of_many = worker.settings.trusted.networks.contains(at.socket);
    let window_bytes = if of_many { LINK_WINDOW_BYTES } else { CONNECTION_WINDOW_BYTES };
    let shared = Rc::new(RefCell::new(State::new(Role::Server, window_bytes, worker.wire)));
    {
        let mut state = shared.borrow_mut();
        (state.guard.of_many, state.stats) = (of_many, Some(Arc::clone(&worker.stats)));
    }
    let idle_ms = worker.settings.timeouts.idle_ms;
    let driver = Driver::new(Rc::clone(&worker), Rc::clone(&shared), io, input, idle_ms);
    let share = driver.share();
    driver
        .run(|Born { stream, wrong }| {
            let bridge = Bridge::new(Rc::clone(&shared), stream);
            let (worker, share) = (Rc::clone(&worker), Rc::clone(&share));
            tokio::task::spawn_local(async move {
                let core = Rc::clone(&worker);
                let mut request = pin!(async move {
                    match wrong {
                        None => serve::serve_begun(worker, bridge, at).await,
                        Some(wrong) => {
                            let why = (wrong.reason(), wrong.detail(), wrong.sentence());
                            serve::refuse(worker, bridge, at, why).await;
                        }
                    }
                });
                let mut ticket = None;
                poll_fn(|cx| core.rounds.go_on(&share, &mut ticket, request.as_mut(), cx)).await;
            });
        })
        .await;
    if let Some(what) = shared.borrow().flooded {
        worker.floods.tell(&worker, at.socket, what);
    }
}
