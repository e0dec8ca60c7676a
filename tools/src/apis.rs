//! `ottlactl apis`: which requests brokers serve, in which versions.

use crate::global::Global;
use crate::output::{Table, number, text};
use crate::{CannotRun, Found, Outcome, complaint};

/// Which requests brokers serve, in which versions
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl apis
  ottlactl apis 1 2
  ottlactl apis -o json")]
pub(crate) struct Args {
    /// Brokers by their ids; all if none is named
    #[arg(value_name = "BROKER")]
    brokers: Vec<i32>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let mut table = Table::new(&[
        number("broker"),
        text("api"),
        number("key"),
        number("min"),
        number("max"),
        number("usable"),
    ])
    .named_by(2);
    let mut found = Found::Nothing;
    for (broker, apis) in global.admin()?.describe_api_versions(&args.brokers)? {
        let apis = match apis {
            Ok(apis) => apis,
            Err(error) => {
                let CannotRun(why) = error.into();
                complaint::print(why);
                found = Found::Damage;
                continue;
            }
        };
        for api in apis {
            let name = api.name.map_or_else(|| format!("UNKNOWN({})", api.key), str::to_owned);
            table.push([
                broker.into(),
                name.into(),
                api.key.into(),
                api.min_version.into(),
                api.max_version.into(),
                api.usable.into(),
            ]);
        }
    }
    global.output.table_of_rest(&table, found)
}
