//! The load generator and the floor that the broker is measured against.
//!
//! `ottla-bench floor-produce` is what the machine needs to do a broker's work without a broker:
//! wait in `epoll`, read a request, sum it, append it, answer; `floor-fetch` answers with
//! `sendfile`. The other commands drive the floor, Ottla or Apache Kafka with the same prebuilt
//! request bytes, check every answer, and print one line of JSON.
#![forbid(unsafe_code)]

mod commits;
mod compaction;
mod connections;
mod durable;
mod fan_out;
mod fetch;
mod fill;
mod floor;
mod idle;
mod latency;
mod load;
mod maintenance;
mod members;
mod open_loop;
mod paced;
mod partitions;
mod places;
mod poller;
mod process;
mod produce;
mod scattered;
mod spread;
mod start;
mod tail;
mod turns;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Load generator and floor.
#[derive(Parser)]
struct Arguments {
    /// The processor to stay on.
    #[arg(long, global = true)]
    cpu: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve produce requests with nothing but epoll, read, CRC-32C, pwrite and an answer.
    FloorProduce {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// The file to append to.
        #[arg(long)]
        file: PathBuf,
        /// Append to so many files in turn, called as the file with .0, .1 and so on behind it.
        #[arg(long)]
        files: Option<usize>,
    },
    /// Serve fetch requests with nothing but epoll, read and sendfile.
    FloorFetch {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// The file to send from; made when missing.
        #[arg(long)]
        file: PathBuf,
        /// Begin what is sent on a page's border, as no log does.
        #[arg(long)]
        aligned: bool,
    },
    /// Produce as fast as answers come.
    Produce(produce::Produce),
    /// Produce at a fixed rate, latency counted from the intended time of sending.
    Paced(paced::Paced),
    /// Fetch a topic again and again.
    Fetch(fetch::Fetch),
    /// Produce at a fixed rate and read along: latency from end to end.
    Tail(tail::Tail),
    /// Have many consumers read one partition along.
    FanOut(fan_out::FanOut),
    /// Start a broker and time its first acknowledged record.
    ColdStart(start::ColdStart),
    /// Make topics and fill their partitions.
    Fill(fill::Fill),
    /// Produce with a sync before each answer.
    Durable(durable::Durable),
    /// Append and sync with no broker around it.
    FloorSync(durable::FloorSync),
    /// Read and sum logs with no broker around it.
    FloorSum(start::FloorSum),
    /// Let groups rebalance: all members join, then one of each group leaves.
    Members(members::Members),
    /// Commit offsets, at a rate or as fast as answers come.
    Commits(commits::Commits),
    /// Make thousands of partitions at once, and ask for them all.
    Partitions(partitions::Partitions),
    /// Produce records with keys, then have them compacted.
    Compaction(compaction::Compaction),
    /// Open thousands of connections that say nothing, and ping beside them.
    Idle(idle::Idle),
    /// Produce to many partitions in turn.
    Spread(spread::Spread),
    /// Produce at a fixed rate from many connections.
    Connections(connections::Connections),
    /// Fetch from chance places of a topic of many segments.
    Scattered(scattered::Scattered),
    /// Produce at a fixed rate, alone and while logs are deleted and compacted.
    Maintenance(maintenance::Maintenance),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    if let Some(cpu) = arguments.cpu {
        process::stay_on(cpu)?;
    }
    match arguments.command {
        Command::FloorProduce { listen, file, files } => {
            floor::serve_produce(listen, &file, files)?;
        }
        Command::FloorFetch { listen, file, aligned } => {
            floor::serve_fetch(listen, &file, aligned)?;
        }
        Command::Produce(produce) => println!("{}", produce.run()?),
        Command::Paced(paced) => println!("{}", paced.run()?),
        Command::Fetch(fetch) => println!("{}", fetch.run()?),
        Command::Tail(tail) => println!("{}", tail.run()?),
        Command::FanOut(fan_out) => println!("{}", fan_out.run()?),
        Command::ColdStart(start) => println!("{}", start.run()?),
        Command::Fill(fill) => println!("{}", fill.run()?),
        Command::Durable(durable) => println!("{}", durable.run()?),
        Command::FloorSync(floor) => println!("{}", floor.run()?),
        Command::FloorSum(floor) => println!("{}", floor.run()?),
        Command::Members(members) => println!("{}", members.run()?),
        Command::Commits(commits) => println!("{}", commits.run()?),
        Command::Partitions(partitions) => println!("{}", partitions.run()?),
        Command::Compaction(compaction) => println!("{}", compaction.run()?),
        Command::Idle(idle) => println!("{}", idle.run()?),
        Command::Spread(spread) => println!("{}", spread.run()?),
        Command::Connections(connections) => println!("{}", connections.run()?),
        Command::Scattered(scattered) => println!("{}", scattered.run()?),
        Command::Maintenance(maintenance) => println!("{}", maintenance.run()?),
    }
    Ok(())
}
