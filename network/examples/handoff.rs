//! Measures what it costs to hand a request to a handler thread, against running the service on
//! the Processor: CPU and system calls a request, and the time to an answer.
//!
//! `cargo run --release -p ottla-network --example handoff [seconds per line]`

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use ottla_network::{InlinePolicy, Reply, Request, Response, Server, ServerConfig, Service};

/// Where appends begin again, so that the file stays small, bytes.
const FILE_BYTES: u64 = 16 << 20;

/// Appends each request to a file, as a small produce does, and answers shortly.
struct Append {
    file: File,
    end: AtomicU64,
}

impl Service for Append {
    fn call(&self, request: Request, reply: Reply) {
        let at = self.end.fetch_add(request.frame.len() as u64, Ordering::Relaxed) % FILE_BYTES;
        self.file.write_all_at(&request.frame, at).expect("the file takes what it took before");
        reply.send(Response::from(vec![0; 40]));
    }
}

fn main() -> io::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse::<f64>().ok()).unwrap_or(1.0);
    println!(
        "connections  bytes  policy        req/s  cpu us/req  calls/req  inline   p50 us   p99 us"
    );
    for connections in [1, 2, 8, 32] {
        for bytes in [200, 16_384, 65_536] {
            let policies = [
                InlinePolicy::Never,
                InlinePolicy::WhenAlone,
                InlinePolicy::WhileQuick,
                InlinePolicy::Always,
            ];
            for inline in policies {
                measure(inline, connections, bytes, Duration::from_secs_f64(seconds))?;
            }
        }
    }
    Ok(())
}

fn measure(
    inline: InlinePolicy,
    connections: usize,
    bytes: usize,
    time: Duration,
) -> io::Result<()> {
    let listeners = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let config =
        ServerConfig { listeners, inline, processors: 1, handlers: 2, ..ServerConfig::default() };
    let service = Append { file: tempfile::tempfile()?, end: AtomicU64::new(0) };
    // Pages of their own beforehand: first writes cost more and would blur the comparison.
    service.file.write_all_at(&vec![0; FILE_BYTES as usize + bytes], 0)?;
    let server = Server::start(config, Arc::new(service))?;
    let address = server.local_addrs()[0];
    let before = cpu(UsageWho::RUSAGE_SELF)?;
    let (mut latencies, clients_cpu) = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..connections).map(|_| scope.spawn(move || client(address, bytes, time))).collect();
        let mut all = (Vec::new(), 0.0);
        for client in clients {
            let (latencies, cpu) = client.join().expect("a client returns its errors")?;
            all.0.extend(latencies);
            all.1 += cpu;
        }
        io::Result::Ok(all)
    })?;
    let server_cpu = cpu(UsageWho::RUSAGE_SELF)? - before - clients_cpu;
    latencies.sort_unstable();
    let requests = latencies.len() as f64;
    let at = |part: f64| f64::from(latencies[(requests * part) as usize]) / 1000.0;
    let counters = server.counters();
    println!(
        "{connections:>11} {bytes:>6}  {:<10} {:>8.0} {:>11.1} {:>10.2} {:>6.0}% {:>8.1} {:>8.1}",
        format!("{inline:?}"),
        requests / time.as_secs_f64(),
        server_cpu * 1e6 / requests,
        counters.syscalls() as f64 / requests,
        counters.requests_inline.get() as f64 * 100.0 / requests,
        at(0.5),
        at(0.99),
    );
    Ok(())
}

/// Sends one request after the other; tells how long each took, ns, and its own CPU, s.
fn client(address: SocketAddr, bytes: usize, time: Duration) -> io::Result<(Vec<u32>, f64)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut request = (bytes as u32).to_be_bytes().to_vec();
    request.resize(4 + bytes, 7);
    let mut answer = [0; 44];
    let mut latencies = Vec::with_capacity(1 << 16);
    let start = Instant::now();
    while start.elapsed() < time {
        let sent = Instant::now();
        stream.write_all(&request)?;
        stream.read_exact(&mut answer)?;
        latencies.push(sent.elapsed().as_nanos() as u32);
    }
    Ok((latencies, cpu(UsageWho::RUSAGE_THREAD)?))
}

/// User and system time so far, s.
fn cpu(who: UsageWho) -> io::Result<f64> {
    let usage = getrusage(who)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
