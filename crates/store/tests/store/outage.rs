//! A server that stops answering, is cut off, or comes back.
use crate::following::{Node, held_again};
use crate::place::on_postgres_only;
use crate::support::*;
use doorward_store::{Purpose, Store, StoreError};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

on_postgres_only!(
    a_node_outlives_a_server_that_stops_answering,
    a_node_outlives_its_connections,
    a_commit_without_an_answer_is_told_as_unknown,
    waiting_for_another_writer_ends,
);

/// What stands between a store and its server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    Open,
    /// Nothing goes through, and nobody is told.
    Stuck,
    /// All connections end, and none is taken.
    Cut,
}

struct Between {
    url: String,
    line: watch::Sender<Line>,
}

impl Between {
    async fn new(place: &Place) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let db = place.db();
        let server: SocketAddr =
            db.url().split_once('@').unwrap().1.split('/').next().unwrap().parse().unwrap();
        let url = db.url().replace(&server.to_string(), &listener.local_addr().unwrap().to_string());
        let (line, is) = watch::channel(Line::Open);
        tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                tokio::spawn(pass(inner, server, is.clone()));
            }
        });
        Between { url, line }
    }

    async fn store(&self) -> Store {
        Store::open(&self.url, &master(), Purpose::Own, NOW).await.unwrap()
    }
}

async fn pass(inner: TcpStream, server: SocketAddr, line: watch::Receiver<Line>) {
    let Ok(outer) = TcpStream::connect(server).await else { return };
    let (mut cut, mut buffers) = (line.clone(), [vec![0; 16_384], vec![0; 16_384]]);
    let carry = async {
        let [up, down] = &mut buffers;
        tokio::select! {
            () = carry(&inner, &outer, up, line.clone()) => (),
            () = carry(&outer, &inner, down, line.clone()) => (),
        }
    };
    tokio::select! {
        () = carry => (),
        _ = cut.wait_for(|line| *line == Line::Cut) => (),
    }
}

async fn carry(from: &TcpStream, to: &TcpStream, buffer: &mut [u8], mut line: watch::Receiver<Line>) {
    loop {
        if from.readable().await.is_err() || line.wait_for(|line| *line == Line::Open).await.is_err() {
            return;
        }
        let n = match from.try_read(buffer) {
            Ok(0) => return,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let mut sent = 0;
        while sent < n {
            match (to.writable().await, to.try_write(&buffer[sent..n])) {
                (Ok(()), Ok(more)) => sent += more,
                (Ok(()), Err(e)) if e.kind() == std::io::ErrorKind::WouldBlock => (),
                _ => return,
            }
        }
    }
}

async fn outlives(line: Line) {
    let place = Place::new();
    let between = Between::new(&place).await;
    let writer = place.store().await;
    put_policy(&writer).await;
    create(&writer, "k", "s", None).await;
    let mut node = Node::start(between.store().await, 20, 3_000);
    node.ready().await;
    between.line.send(line).unwrap();
    create(&writer, "l", "s", None).await;
    let stuck = Instant::now();
    while node.held() {
        assert!(stuck.elapsed() < Duration::from_secs(10), "the lease goes on");
        assert!(node.live.directory.get("k").is_some(), "it goes on from its memory");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(stuck.elapsed() > Duration::from_millis(700), "the lease ended early: {:?}", stuck.elapsed());
    between.line.send(Line::Open).unwrap();
    held_again(&node).await;
    assert!(node.live.directory.get("l").is_some());
}

async fn a_node_outlives_a_server_that_stops_answering() {
    outlives(Line::Stuck).await;
}

async fn a_node_outlives_its_connections() {
    outlives(Line::Cut).await;
}

async fn a_commit_without_an_answer_is_told_as_unknown() {
    let place = Place::new();
    let between = Between::new(&place).await;
    let (store, direct) = (between.store().await, place.store().await);
    put_policy(&direct).await;
    let mut write = store.write("ann", NOW).await.unwrap();
    write.create_credential(&new(credential("k", "s"), None)).await.unwrap();
    between.line.send(Line::Cut).unwrap();
    let told = write.commit().await;
    assert!(matches!(told, Err(StoreError::Unknown(_))), "{told:?}");
    assert!(told.unwrap_err().to_string().contains("may or may not have been made"));
    // Whatever became of it, it is whole, and others can write.
    create(&direct, "l", "s", None).await;
    direct.check().await.unwrap();
    // And so can this one, as soon as there is a way.
    between.line.send(Line::Open).unwrap();
    create(&store, "m", "s", None).await;
}

/// Somebody who keeps the head for long does not keep others for ever.
async fn waiting_for_another_writer_ends() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let holder = store.write("ann", NOW).await.unwrap();
    let started = Instant::now();
    let told = place.store().await.write("bob", NOW).await;
    assert!(matches!(told, Err(StoreError::Busy)), "{told:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    drop(holder);
    create(&store, "k", "s", None).await;
}
