//! An HTTP server, made with hyper 1.x, that stops in good order.
//!
//! `cargo run --release --features hyper,signal --example http 127.0.0.1:8080`
//!
//! Then `curl http://127.0.0.1:8080/`, or `curl -d hello http://127.0.0.1:8080/echo`, or
//! `wrk -c64 http://127.0.0.1:8080/`; and Ctrl-C. Without an address it serves a client of its
//! own for a moment, and ends.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Instant;

use annulus::hyper::{Io, Timer};
use annulus::net::{TcpListener, TcpStream};
use annulus::sync::CancellationToken;
use annulus::task::JoinSet;
use annulus::time::{Duration, sleep, timeout};
use annulus::{block_on, select, signal, spawn};
use http_body_util::{BodyExt, Either, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, client, server};

/// How long requests may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

/// What the program asks itself for.
const REQUESTS: u32 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1);
    block_on(async {
        let listener = TcpListener::bind(addr.clone().unwrap_or("127.0.0.1:0".into())).await?;
        let bound = listener.local_addr()?;
        println!("serving http://{bound}/");
        let stop = CancellationToken::new();
        let server = spawn(serve(listener, stop.clone()));
        match addr {
            Some(_) => signal::ctrl_c().await?,
            None => ask(bound).await?,
        }
        println!("stopping");
        stop.cancel();
        let late = server.await?;
        println!("{late} connections had to be cut");
        println!("ok");
        Ok(())
    })
}

/// Serves until it is told to stop; returns how many connections did not end in time.
async fn serve(listener: TcpListener, stop: CancellationToken) -> usize {
    let mut connections = JoinSet::new();
    loop {
        select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, stop.clone()))),
                // No descriptors left, perhaps. Some will be soon.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            // One has ended; an error of its own is its client's.
            Some(_) = connections.join_next() => {}
            () = stop.cancelled() => break,
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(GRACE, all_ended).await;
    connections.len()
}

/// Serves one client until either has enough.
async fn connection(stream: TcpStream, stop: CancellationToken) -> hyper::Result<()> {
    let connection = server::conn::http1::Builder::new()
        .timer(Timer)
        .header_read_timeout(Duration::from_secs(10))
        .serve_connection(Io::new(stream), service_fn(answer));
    let mut connection = pin!(connection);
    select! {
        result = connection.as_mut() => return result,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // The request that it is at, if any, is its last.
    connection.await
}

/// A text of ours, or what the client has sent.
type Reply = Response<Either<Full<Bytes>, Incoming>>;

async fn answer(request: Request<Incoming>) -> hyper::Result<Reply> {
    let text = |text: &'static str| Either::Left(Full::from(text));
    let mut response = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => Response::new(text("hello from annulus\n")),
        (&Method::POST, "/echo") => Response::new(Either::Right(request.into_body())),
        _ => {
            let mut missing = Response::new(text("there is /, and to POST to there is /echo\n"));
            *missing.status_mut() = StatusCode::NOT_FOUND;
            missing
        }
    };
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("annulus"));
    Ok(response)
}

/// A client that asks again and again on one connection.
async fn ask(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let stream = TcpStream::connect(addr).await?;
    let (mut sender, connection) = client::conn::http1::handshake(Io::new(stream)).await?;
    spawn(connection);
    let start = Instant::now();
    for _ in 0..REQUESTS {
        let request =
            Request::get("/").header(header::HOST, "localhost").body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await?.to_bytes();
        assert_eq!(body, "hello from annulus\n");
        sender.ready().await?;
    }
    println!("{REQUESTS} requests on one connection, {:.0?} each", start.elapsed() / REQUESTS);
    Ok(())
}
