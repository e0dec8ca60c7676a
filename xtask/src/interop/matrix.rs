//! Every case of every client, and how each of them lives through a restart of the broker.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::broker::{Running, Site};
use super::clients::Client;
use super::process::Process;
use super::toolbox::Toolbox;
use super::{Shop, lane};
use crate::gate::Outcome;

/// For all cases of one client; the slowest takes 20 seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(600);

/// Clients that run at a time. They wait more than they compute.
const WORKERS: usize = 3;

/// The clients' cases, several clients at a time.
pub(crate) fn clients(shop: &Shop, bootstrap: &str, clients: &[&Client]) -> Result<Outcome> {
    let queue = Mutex::new(clients.iter().rev().copied().collect::<Vec<_>>());
    let total = Mutex::new(Outcome::default());
    let next = || queue.lock().ok()?.pop();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(client) = next() {
                    let outcome = client_cases(shop, bootstrap, client);
                    total.lock().expect("no worker panics").add(outcome);
                }
            });
        }
    });
    Ok(total.into_inner().expect("no worker panics"))
}

/// Topics of different runs against one broker must not meet.
fn prefix(client: &Client) -> String {
    format!("{}-{}", client.name, std::process::id())
}

/// The cases of one client.
pub(crate) fn client_cases(shop: &Shop, bootstrap: &str, client: &Client) -> Outcome {
    let start = Instant::now();
    let cases = client.cases(&shop.args.case);
    let mut outcome = Outcome::default();
    if cases.is_empty() {
        return outcome;
    }
    let mut lines = Vec::new();
    let result = read_cases(&shop.toolbox, bootstrap, client, &cases, &mut lines);
    for case in &cases {
        let ok = lines.iter().any(|line| line == &format!("ok {case}"));
        if !ok {
            let failure = format!("FAIL {case}: ");
            let why = lines.iter().find_map(|line| line.strip_prefix(&failure));
            println!("FAIL {} {case}: {}", client.name, why.unwrap_or("it said nothing"));
        }
        outcome.add(Outcome::of(ok));
    }
    if let Err(error) = result {
        println!("FAIL {}: {error:#}", client.name);
        outcome.add(Outcome::of(false));
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{}: {} of {} in {seconds:.1} s", client.name, outcome.passed, cases.len());
    for (case, why) in client.cannot() {
        println!("{}: no {case}: {why}", client.name);
    }
    outcome
}

fn read_cases(
    toolbox: &Toolbox,
    bootstrap: &str,
    client: &Client,
    cases: &[&str],
    lines: &mut Vec<String>,
) -> Result<()> {
    let mut command = client.command(toolbox, bootstrap);
    command.arg("cases").arg(prefix(client)).args(cases);
    let mut process = Process::start(command, &toolbox.log(client.name), LIMIT)?;
    while let Some(line) = process.line()? {
        lines.push(line);
    }
    Ok(())
}

/// All clients work before and after one restart, each with the connections it has.
pub(crate) fn reconnect(
    shop: &Shop,
    site: &Site,
    clients: &[&Client],
    running: Running,
    restart: impl FnOnce(Running) -> Result<Running>,
) -> Result<(Outcome, Running)> {
    let living: Vec<&Client> = clients.iter().filter(|client| client.lives).copied().collect();
    let (waiting, all_waiting) = channel::<()>();
    let mut restarted = None;
    let outcome = lane("reconnect", || {
        thread::scope(|scope| {
            let mut gates = Vec::new();
            let mut threads = Vec::new();
            for client in &living {
                let (open, gate) = channel::<()>();
                gates.push(open);
                let waiting = waiting.clone();
                threads
                    .push(scope.spawn(move || through_restart(shop, site, client, waiting, gate)));
            }
            // Each client reports once, by a message or by hanging up: it waits, or it has failed.
            drop(waiting);
            for _ in &living {
                let _ = all_waiting.recv();
            }
            restarted = Some(restart(running));
            gates.iter().for_each(|gate| {
                // A client that has failed does not listen any more.
                let _ = gate.send(());
            });
            let mut outcome = Outcome::default();
            for thread in threads {
                outcome.add(thread.join().expect("no worker panics"));
            }
            Ok(outcome)
        })
    });
    let running = restarted.expect("the restart is not conditional")?;
    Ok((outcome, running))
}

fn through_restart(
    shop: &Shop,
    site: &Site,
    client: &Client,
    waiting: Sender<()>,
    gate: Receiver<()>,
) -> Outcome {
    let mut reported = false;
    let result = (|| -> Result<String> {
        let mut command = client.command(&shop.toolbox, site.bootstrap());
        command.arg("cases").arg(prefix(client)).arg("reconnect");
        let log = shop.toolbox.log(&format!("{}-reconnect", client.name));
        let mut process = Process::start(command, &log, LIMIT)?;
        while let Some(line) = process.line()? {
            if line != "restart" {
                return Ok(line);
            }
            reported = true;
            let _ = waiting.send(());
            let _ = gate.recv();
            process.go_on()?;
        }
        Ok("it said nothing".to_owned())
    })();
    if !reported {
        let _ = waiting.send(());
    }
    let line = result.unwrap_or_else(|error| format!("{error:#}"));
    let ok = line == "ok reconnect";
    if !ok {
        println!("FAIL {} reconnect: {line}", client.name);
    }
    Outcome::of(ok)
}
