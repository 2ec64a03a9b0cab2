//! The server of the benchmark: one service of hyper's, on either runtime, in a process of its own.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, process, thread};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};

use super::api::{Annulus, Spawn, Tokio};
use super::bare_http;
use super::sockets::Sockets;
use super::work::work;

/// For how long a hog keeps its worker.
pub(crate) const POLL: Duration = Duration::from_millis(1);
/// No server lives longer, whatever happens to who started it.
const LIFE: Duration = Duration::from_secs(60);
/// The name of the server without a runtime.
pub(crate) const BARE: &str = "bare-loop";
/// The first argument of a process that serves; the others are its runtime, workers and hogs.
const SERVE: &str = "serve";

/// A runtime, by the name that it has in the table and as an argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) workers: usize,
}

/// A process that serves, until this drops.
pub(crate) struct Running {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// Starts this program anew, as a server beside so many hogs.
    ///
    /// # Errors
    ///
    /// If the system does not let it.
    pub(crate) fn start(self, hogs: usize) -> io::Result<Running> {
        let mut command = Command::new(env::current_exe()?);
        command.args([SERVE, self.name, &self.workers.to_string(), &hogs.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(addr) => Ok(Running { child, addr }),
            Err(error) => {
                child.kill()?;
                Err(io::Error::other(format!("the server said {line:?}: {error}")))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its input ends it, and in case that it hangs, this does.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// If this process is a server, serves, and does not return.
pub(crate) fn serve_if_asked() {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(SERVE) {
        return;
    }
    let name = arguments.next().expect("a runtime");
    let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("a number");
    let (workers, hogs): (usize, usize) = (number(), number());
    end_with_input();
    if name == BARE {
        let Err(error) = bare_http::serve(|addr| println!("{addr}"));
        panic!("sockets of this machine: {error}");
    } else if name.starts_with("annulus") {
        let runtime = annulus::Builder::new().worker_threads(workers).build();
        runtime.expect("threads").block_on(run::<Annulus>(hogs));
    } else if workers > 1 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(workers).enable_all().build();
        runtime.expect("threads").block_on(run::<Tokio>(hogs));
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("no threads").block_on(run::<Tokio>(hogs));
    }
}

/// Has this process end when who started it says so, or is gone, or after its life.
fn end_with_input() {
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    thread::spawn(|| {
        thread::sleep(LIFE);
        process::exit(1);
    });
}

/// A runtime whose streams hyper can use.
trait Http: Sockets {
    fn io(stream: Self::Stream) -> impl rt::Read + rt::Write + Unpin + Send + 'static;
}

impl Http for Annulus {
    fn io(stream: Self::Stream) -> impl rt::Read + rt::Write + Unpin + Send + 'static {
        annulus::hyper::Io::new(stream)
    }
}

impl Http for Tokio {
    fn io(stream: Self::Stream) -> impl rt::Read + rt::Write + Unpin + Send + 'static {
        hyper_util::rt::TokioIo::new(stream)
    }
}

async fn run<H: Http>(hogs: usize) {
    for _ in 0..hogs {
        H::spawn_detached(hog::<H>());
    }
    // In a task, so that a worker accepts, as it serves.
    H::spawn(accept::<H>()).await.expect("a port of this machine");
}

async fn hog<H: Spawn>() {
    loop {
        work(POLL);
        H::yield_now().await;
    }
}

async fn accept<H: Http>() -> io::Result<Infallible> {
    let (listener, addr) = H::listen().await?;
    println!("{addr}");
    loop {
        let stream = H::accept(&listener).await?;
        H::spawn_detached(connection(H::io(stream)));
    }
}

fn connection(
    io: impl rt::Read + rt::Write + Unpin + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let connection = http1::Builder::new().serve_connection(io, service());
    async move {
        // The client leaves when it has seen enough.
        let _ = connection.await;
    }
}

/// The service: five bytes for whatever is asked.
pub(crate) fn service()
-> impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible, Future: Send> + Send {
    service_fn(async |_: Request<Incoming>| Ok(Response::new(Full::from("hello"))))
}
