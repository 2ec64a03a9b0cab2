//! Computes and serves at once: requests go over a channel to workers that compute the answers.
//!
//! `cargo run --release --features hyper,signal --example compute_and_serve 127.0.0.1:8080`
//!
//! Then `curl http://127.0.0.1:8080/30000` says how many primes there are below 30000, and
//! Ctrl-C ends it. Without an address it has clients of its own for a moment.
//!
//! ```text
//!   connections --jobs (at most 8)--> work, work, ...
//!               <----- answers, each by a oneshot
//! ```
//!
//! The channel's bound is the server's: when it is full, the answer is 503 at once, and no queue
//! grows anywhere. The tasks that compute and those that serve share the same threads.

use std::error::Error;
use std::net::SocketAddr;
use std::thread::available_parallelism;
use std::time::Instant;

use annulus::channel::{Receiver, Sender, bounded, oneshot};
use annulus::hyper::{Io, Timer};
use annulus::net::{TcpListener, TcpStream};
use annulus::{block_on, signal, spawn, yield_now};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server};

/// How many jobs may wait for a worker.
const QUEUE: usize = 8;

/// The largest job that a client may ask for, which takes some milliseconds.
const LARGEST: u32 = 100_000;

/// Our own clients, and how often each asks.
const CLIENTS: usize = 64;
const REQUESTS: usize = 50;

/// How many primes are below a number, and who wants to know.
struct Job {
    below: u32,
    answer: oneshot::Sender<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1);
    block_on(async {
        let listener = TcpListener::bind(addr.clone().unwrap_or("127.0.0.1:0".into())).await?;
        let bound = listener.local_addr()?;
        println!("serving http://{bound}/30000");
        let (jobs, queue) = bounded(QUEUE);
        for _ in 0..available_parallelism()?.get() {
            spawn(work(queue.clone()));
        }
        let server = spawn(serve(listener, jobs));
        match addr {
            Some(_) => signal::ctrl_c().await?,
            None => crowd(bound).await?,
        }
        server.abort();
        println!("ok");
        Ok(())
    })
}

/// Computes, job after job.
async fn work(queue: Receiver<Job>) {
    while let Some(Job { below, answer }) = queue.recv().await {
        // Who has hung up meanwhile wants no answer.
        if !answer.is_closed() {
            let _ = answer.send(primes(below));
        }
        yield_now().await;
    }
}

/// Serves whoever connects, each in a task of its own.
async fn serve(listener: TcpListener, jobs: Sender<Job>) {
    while let Ok((stream, _)) = listener.accept().await {
        let jobs = jobs.clone();
        let service = service_fn(move |request| answer(request, jobs.clone()));
        let mut builder = server::conn::http1::Builder::new();
        spawn(builder.timer(Timer).serve_connection(Io::new(stream), service));
    }
}

/// Has a worker compute the answer, if one will come to it soon.
async fn answer(
    request: Request<Incoming>,
    jobs: Sender<Job>,
) -> Result<Response<String>, oneshot::RecvError> {
    let path = request.uri().path().trim_start_matches('/');
    let Some(below) = path.parse().ok().filter(|&below| below <= LARGEST) else {
        return Ok(status(StatusCode::NOT_FOUND, format!("ask for a number up to {LARGEST}\n")));
    };
    let (answer, answered) = oneshot::channel();
    if jobs.try_send(Job { below, answer }).is_err() {
        let mut busy = status(StatusCode::SERVICE_UNAVAILABLE, "busy, try again\n".to_owned());
        busy.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return Ok(busy);
    }
    Ok(status(StatusCode::OK, format!("{}\n", answered.await?)))
}

fn status(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response
}

/// How many primes are below a number, by the sieve of Eratosthenes.
fn primes(below: u32) -> usize {
    let mut sieve = vec![true; below as usize];
    let mut count = 0;
    for n in 2..sieve.len() {
        if sieve[n] {
            count += 1;
            sieve[n..].iter_mut().step_by(n).for_each(|multiple| *multiple = false);
        }
    }
    count
}

/// More clients than the server has room for.
async fn crowd(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS).map(|_| spawn(ask(addr))).collect();
    let (mut computed, mut refused) = (0, 0);
    for client in clients {
        let (answers, refusals) = client.await?.map_err(|e| e.to_string())?;
        computed += answers;
        refused += refusals;
    }
    println!("{computed} times 200 and {refused} times 503 in {:.2?}", start.elapsed());
    assert_eq!(computed + refused, CLIENTS * REQUESTS);
    assert!(computed > 0 && refused > 0, "there was too little to do, or nothing was done");
    Ok(())
}

/// Asks again and again on one connection; counts answers and refusals.
async fn ask(addr: SocketAddr) -> Result<(usize, usize), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(addr).await?;
    let (mut sender, connection) = client::conn::http1::handshake(Io::new(stream)).await?;
    spawn(connection);
    let (mut computed, mut refused) = (0, 0);
    for _ in 0..REQUESTS {
        let request = Request::get("/30000").header(HOST, "localhost");
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK => {
                assert_eq!(body, "3245\n", "the primes below 30000");
                computed += 1;
            }
            _ => {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                refused += 1;
            }
        }
        sender.ready().await?;
    }
    Ok((computed, refused))
}
