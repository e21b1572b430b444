//! A wire between a gateway and its database server that can be slow, dead, cut or unplugged.
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often everything looks at what the wire is told to do.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Flow,
    Delay(Duration),
    Stall,
    Refuse,
}

struct State {
    mode: Mode,
    /// Connections made before this one are cut.
    generation: u64,
    open: usize,
    closing: bool,
}

/// A proxy for TCP that a test tells what to do. At first it lets everything pass.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Wire {
    pub(crate) fn to(target: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State { mode: Mode::Flow, generation: 0, open: 0, closing: false }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || accept(listener, address, target, &shared));
        Wire { address, state }
    }

    /// Lets everything pass at once, and new connections in.
    pub(crate) fn flow(&self) {
        self.change(|state| state.mode = Mode::Flow);
    }

    /// Whatever is sent arrives later, each way.
    pub(crate) fn delay(&self, by: Duration) {
        self.change(|state| state.mode = Mode::Delay(by));
    }

    /// Nothing passes any more, and nobody is told: connections stay open, new ones are taken and lead nowhere.
    pub(crate) fn stall(&self) {
        self.change(|state| state.mode = Mode::Stall);
    }

    /// Ends all connections that are open, in the midst of whatever they do. New ones can be made.
    pub(crate) fn cut(&self) {
        self.change(|state| state.generation += 1);
    }

    /// Ends all connections, and nobody listens any more, until it is told to [`Wire::flow`] again.
    pub(crate) fn refuse(&self) {
        self.change(|state| {
            state.mode = Mode::Refuse;
            state.generation += 1;
        });
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.state.lock().expect("no thread panics with it").open
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no thread panics with it"));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.change(|state| state.closing = true);
    }
}

fn look(state: &Mutex<State>) -> (Mode, u64, bool) {
    let state = state.lock().expect("no thread panics with it");
    (state.mode, state.generation, state.closing)
}

fn accept(listener: TcpListener, address: SocketAddr, target: SocketAddr, state: &Arc<Mutex<State>>) {
    let mut listening = Some(listener);
    loop {
        let (mode, generation, closing) = look(state);
        if closing {
            return;
        }
        if mode == Mode::Refuse {
            listening = None;
        } else if listening.is_none() {
            listening = TcpListener::bind(address).ok();
        }
        let Some(listener) = &listening else {
            std::thread::sleep(LOOK);
            continue;
        };
        listener.set_nonblocking(true).expect("a socket");
        match listener.accept() {
            Ok((near, _)) => {
                // What was accepted while somebody pulled the plug is not served.
                if look(state).0 == Mode::Refuse {
                    continue;
                }
                let Ok(far) = TcpStream::connect(target) else { continue };
                state.lock().expect("no thread panics with it").open += 1;
                let state = Arc::clone(state);
                std::thread::spawn(move || {
                    carry(&near, &far, &state, generation);
                    state.lock().expect("no thread panics with it").open -= 1;
                });
            }
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

/// Carries bytes both ways until either end closes or the wire is cut; then both are closed.
fn carry(near: &TcpStream, far: &TcpStream, state: &Mutex<State>, generation: u64) {
    for socket in [near, far] {
        socket.set_nonblocking(false).expect("a socket");
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(LOOK)).expect("a socket");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| pump(near, far, state, generation));
        pump(far, near, state, generation);
    });
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, state: &Mutex<State>, generation: u64) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let (mode, now, closing) = look(state);
        if closing || now != generation {
            break;
        }
        if mode == Mode::Stall {
            std::thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => {
                if !passes(state, generation) || to.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Waits until what was read may go on; whether it may at all.
fn passes(state: &Mutex<State>, generation: u64) -> bool {
    let read = Instant::now();
    loop {
        let (mode, now, closing) = look(state);
        if closing || now != generation {
            return false;
        }
        match mode {
            Mode::Flow => return true,
            Mode::Delay(by) if read.elapsed() >= by => return true,
            _ => std::thread::sleep(LOOK),
        }
    }
}
