//! A recorded terminal: commands run against a broker, and their output as an SVG for the README.
//!
//! Each command runs in a shell with a terminal of its own, so that it prints what a person would
//! see. What is recorded is what they print at that moment; nothing is made up.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use anstyle_svg::Term;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::pty::{OpenptyResult, Winsize, openpty};

use crate::gate::target_dir;
use crate::interop;
use crate::torture::site::Site;

/// Where the picture is kept.
const PICTURE: &str = "docs/terminal.svg";
const COLUMNS: u16 = 92;

/// What is typed; some of it only prepares what the rest shows.
const SCENE: [(Shown, &str); 7] = [
    (Shown::Yes, "ottlactl topics create orders --partitions 3"),
    (Shown::Yes, "seq -f '%g: one espresso' 1000 | ottlactl produce orders -K ': '"),
    (Shown::Yes, "ottlactl consume orders --from-beginning -c 3 -f '%p@%o  %k  %s\\n'"),
    (Shown::No, "ottlactl consume orders --from-beginning -c 400 -g kitchen"),
    (Shown::Yes, "ottlactl groups describe kitchen"),
    (Shown::Yes, "ottlactl topics describe order"),
    (Shown::Yes, "ottlactl perf produce orders --num-records 1000000 --record-size 100"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

/// Runs the scene and writes the picture.
pub(crate) fn run(root: &Path) -> Result<()> {
    interop::build(root)?;
    let folder = target_dir(root).join("picture");
    let tools = target_dir(root).join("release");
    let data = vec![folder.join("data")];
    let site = Site::fresh(root, &folder, data, &tools.join("ottla"), "")?;
    let _broker = site.start()?;
    let mut screen = String::new();
    for (shown, line) in SCENE {
        let said = typed(line, &tools, &site.address.to_string())?;
        if shown == Shown::Yes {
            screen.push_str(&format!("\x1b[1;32m$\x1b[0m {line}\n{}\n", left_on_screen(&said)));
        }
    }
    let svg = Term::new().min_width_px(0).render_svg(screen.trim_end());
    let path = root.join(PICTURE);
    fs::write(&path, svg).with_context(|| path.display().to_string())?;
    println!("{screen}picture: {}", path.display());
    Ok(())
}

/// What a command prints on a terminal.
fn typed(line: &str, tools: &Path, bootstrap: &str) -> Result<String> {
    let size = Winsize { ws_row: 40, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(&size, None)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new("sh")
        .args(["-c", line])
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("OTTLA_BOOTSTRAP", bootstrap)
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(slave.try_clone()?)
        .stderr(slave)
        .spawn()?;
    let said = read_all(File::from(master)).with_context(|| line.to_owned());
    let status = child.wait()?;
    let said = said?;
    // A mistake is part of the scene: what is told then is shown.
    ensure!(!said.is_empty() || status.success(), "{line}: {status}");
    Ok(said)
}

/// What is there in the end, when lines were written over others: progress is not.
fn left_on_screen(said: &str) -> String {
    let last = |line: &str| {
        let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
        format!("{}\n", line.replace("\x1b[2K", ""))
    };
    said.lines().map(last).collect()
}

/// Reads until nobody has the other side any more, which a terminal tells as an error.
fn read_all(mut master: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    match master.read_to_end(&mut bytes) {
        Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => {}
        other => _ = other?,
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_not_left() {
        let said = "one\r\n 0%\r 50%\r\x1b[2Kdone\r\n\r\nend";
        assert_eq!(left_on_screen(said), "one\ndone\n\nend\n");
    }
}
