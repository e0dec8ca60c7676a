//! Commands that move records, against a broker in the same process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use ottla::{Broker, Config};
use ottla_client::{Admin, CommittedOffset, DeleteBefore, NewTopic, Properties, TopicPartition};

struct Site {
    home: tempfile::TempDir,
    /// Stops when it is dropped.
    _broker: Broker,
    address: String,
}

impl Site {
    fn new(topics: &[(&str, i32)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = Config::ephemeral().with("auto.create.topics.enable", "false");
        let broker = Broker::start(config).unwrap();
        let address = broker.bootstrap_servers().to_owned();
        let admin = Admin::new(&Properties::new().with("bootstrap.servers", &address)).unwrap();
        let new = topics.iter().map(|(name, count)| NewTopic::new(name).partitions(*count));
        for (_, created) in admin.create_topics(&new.collect::<Vec<_>>()).unwrap() {
            created.unwrap();
        }
        Self { home, _broker: broker, address }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
        command.env_remove("OTTLA_BOOTSTRAP").env("XDG_CONFIG_HOME", self.home.path());
        command.args(["-b", &self.address]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = self.command(args).spawn().unwrap();
        // A command that has failed reads no more.
        _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Standard output of a command that succeeds and has nothing to complain about.
    #[track_caller]
    fn out(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(args, input);
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
        output.stdout
    }

    #[track_caller]
    fn text(&self, args: &[&str], input: &str) -> String {
        String::from_utf8(self.out(args, input.as_bytes())).unwrap()
    }

    /// Standard error of a command that ends with this code.
    #[track_caller]
    fn complaint(&self, args: &[&str], input: &str, code: i32) -> String {
        let output = self.run(args, input.as_bytes());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

const ALL: [&str; 2] = ["--from-beginning", "-e"];

#[test]
fn lines_become_records_and_lines_again() {
    let site = Site::new(&[("t", 1)]);
    assert_eq!(site.out(&["consume", "t", "--from-beginning", "-e"], b""), b"");
    let args = ["produce", "t", "-K", ":", "-Z", "-H", "a=1", "-H", "n"];
    site.out(&args, b"k:one\nk:\ntwo\xff\n:three\nlast");
    let all = |more: &[&str]| site.out(&[&["consume", "t"], &ALL[..], more].concat(), b"");
    assert_eq!(all(&[]), b"one\n\ntwo\xff\nthree\nlast\n");
    let format = r"%t/%p@%o %K:%k %S:%s %h\n";
    assert_eq!(
        all(&["-f", format, "-Z"]),
        b"t/0@0 1:k 3:one a=1,n=NULL\n\
          t/0@1 1:k -1:NULL a=1,n=NULL\n\
          t/0@2 -1:NULL 4:two\xff a=1,n=NULL\n\
          t/0@3 -1:NULL 5:three a=1,n=NULL\n\
          t/0@4 -1:NULL 4:last a=1,n=NULL\n"
    );
    assert_eq!(all(&["-c", "2"]), b"one\n\n");
    assert_eq!(all(&["--grep", "^t(wo|h)"]), b"two\xff\nthree\n");
    assert_eq!(all(&["--grep", r"(?-u)\xff$", "-c", "5"]), b"two\xff\n");
}

#[test]
fn json_lines_lose_nothing() {
    let site = Site::new(&[("from", 3), ("to", 3)]);
    site.out(&["produce", "from", "-p", "2", "-k", "\\xfe"], b"x\xff\ny");
    let lines = site.out(
        &["produce", "from", "--input", "json", "--keep-partition"],
        b"{\"partition\":1,\"ts\":5,\"headers\":[\"h\",{\"base64\":\"/w==\"},\"\",null]}\n",
    );
    assert_eq!(lines, b"");
    let all = |topic| site.text(&["consume", topic, "--from-beginning", "-e", "-o", "json"], "");
    let sent = all("from");
    assert_eq!(sent.lines().count(), 3);
    let tombstone = "{\"topic\":\"from\",\"partition\":1,\"offset\":0,\"tstype\":\"create\",\
                     \"ts\":5,\"headers\":[\"h\",{\"base64\":\"/w==\"},\"\",null],\"key\":null,\
                     \"payload\":null}";
    assert!(sent.lines().any(|line| line == tombstone), "{sent}");
    site.text(&["produce", "to", "--input", "json", "--keep-partition"], &sent);
    let sorted = |text: String| {
        let mut lines: Vec<String> =
            text.lines().map(|line| line.replace("\"from\"", "\"to\"")).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(all("to")), sorted(sent));
}

#[test]
fn lines_that_fail_are_told_by_their_numbers() {
    let site = Site::new(&[("t", 1)]);
    let long = "x".repeat(3_000);
    let input = format!("one\n{long}\ntwo\n");
    let told = site.complaint(&["produce", "t", "-X", "max.request.size=2000"], &input, 1);
    assert!(told.contains("line 2: longer than 2000 bytes"), "{told}");
    assert!(told.contains("1 of 3 lines were not appended"), "{told}");
    let input = "{\"payload\":\"three\"}\n[]\n{\"payload\":\"four\",\"partition\":9}\n";
    let args = ["produce", "t", "--input", "json", "--keep-partition"];
    let told = site.complaint(&args, input, 1);
    assert!(told.contains("line 2: no JSON object"), "{told}");
    assert!(told.contains("line 3: t: there is no partition 9, but 1 of them"), "{told}");
    assert_eq!(site.text(&["consume", "t", "--from-beginning", "-e"], ""), "one\ntwo\nthree\n");
    let told = site.complaint(&["produce", "t", "-p", "1"], "x", 2);
    assert!(told.contains("t has no partition 1, but 1 of them"), "{told}");
    let told = site.complaint(&["produce", "u", "--timeout", "1s"], "x", 2);
    assert!(told.starts_with("ottlactl: u: "), "{told}");
    // What the broker refuses is told as well: by the callback, with the line.
    let refused = "x".repeat(1_200_000);
    let input = format!("five\n{refused}\n");
    let told = site.complaint(&["produce", "t", "-X", "max.request.size=2000000"], &input, 1);
    assert!(told.contains("line 2: t-0") && told.contains("MESSAGE_TOO_LARGE"), "{told}");
}

#[test]
fn reading_begins_and_ends_where_it_is_told() {
    let site = Site::new(&[("t", 2)]);
    let json = |partition: i32, ts: i64, payload: &str| {
        format!("{{\"partition\":{partition},\"ts\":{ts},\"payload\":\"{payload}\"}}\n")
    };
    let lines = [
        json(0, 1000, "a"),
        json(0, 2000, "b"),
        json(0, 3000, "c"),
        json(1, 1500, "d"),
        json(1, 2500, "e"),
    ];
    site.text(&["produce", "t", "--input", "json", "--keep-partition"], &lines.concat());
    let read = |args: &[&str]| {
        let text = site.text(&[&["consume", "t", "-e"], args].concat(), "");
        let mut values: Vec<&str> = text.lines().collect();
        values.sort_unstable();
        values.concat()
    };
    assert_eq!(read(&[]), "");
    assert_eq!(read(&["--offset", "beginning"]), "abcde");
    assert_eq!(read(&["--offset", "end"]), "");
    assert_eq!(read(&["--offset", "1"]), "bce");
    assert_eq!(read(&["--offset", "-1"]), "ce");
    assert_eq!(read(&["--offset", "-9", "-p", "0"]), "abc");
    assert_eq!(read(&["--offset", "@2000"]), "bce");
    assert_eq!(read(&["--since", "1970-01-01T00:00:01.5Z"]), "bcde");
    assert_eq!(read(&["--since", "1500", "--until", "2500"]), "bd");
    // The time is over, so that it ends by itself.
    let ended = site.text(&["consume", "t", "--from-beginning", "--until", "2000"], "");
    assert_eq!(ended.lines().count(), 2);
    let told = site.complaint(&["consume", "t", "-p", "0,2"], "", 2);
    assert!(told.contains("t has no partition 2, but 2 of them"), "{told}");
    let told = site.complaint(&["consume", "tt"], "", 2);
    assert!(told.contains("did you mean t?"), "{told}");
    let told = site.complaint(&["consume", "t", "--offset", "first"], "", 2);
    assert!(told.contains("--offset: \"first\" is no place in a partition"), "{told}");
    let told = site.complaint(&["consume", "t", "-f", "%q"], "", 2);
    assert!(told.contains("%q is unknown"), "{told}");
}

#[test]
fn a_group_goes_on_behind_what_was_printed() {
    let site = Site::new(&[("t", 2)]);
    let lines: String = (0..20).map(|number| format!("{number}\n")).collect();
    site.text(&["produce", "t", "-p", "0"], &lines);
    site.text(&["produce", "t", "-p", "1"], "x\n");
    let read = |more: &[&str]| {
        let args = [&["consume", "t", "-g", "g", "--from-beginning"], more].concat();
        let text = site.text(&args, "");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = read(&["-c", "7"]);
    assert_eq!(first.len(), 7);
    let rest = read(&["-e"]);
    let mut all = [first, rest].concat();
    assert_eq!(all.len(), 21, "{all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 21, "{all:?}");
    assert_eq!(read(&["-e"]), [] as [String; 0]);
    let told = site.complaint(&["consume", "t", "-g", "g", "-p", "0"], "", 2);
    assert!(told.contains("cannot be used with"), "{told}");
}

#[test]
fn a_reader_follows_until_it_is_interrupted() {
    let site = Site::new(&[("t", 1)]);
    for signal in ["INT", "TERM"] {
        let mut command = site.command(&["consume", "t", "--from-beginning"]);
        let out = site.home.path().join("out");
        let child = command.stdout(fs::File::create(&out).unwrap()).spawn().unwrap();
        site.text(&["produce", "t"], "hello\n");
        let until = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&out).unwrap().ends_with("hello\n") {
            assert!(Instant::now() < until, "the record does not come");
            thread::sleep(Duration::from_millis(10));
        }
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn a_reader_whose_own_reader_goes_ends_without_a_word() {
    let site = Site::new(&[("t", 1)]);
    site.text(&["produce", "t"], &"some text\n".repeat(20_000));
    let mut command = site.command(&["consume", "t", "--from-beginning"]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn measurements_count_what_went_in_and_out() {
    let site = Site::new(&[("t", 2)]);
    let args = ["perf", "produce", "t", "-n", "5k", "-s", "50", "-o", "json", "--histogram"];
    let produced: serde_json::Value = serde_json::from_str(&site.text(&args, "")).unwrap();
    assert_eq!((&produced["records"], &produced["bytes"]), (&5000.into(), &250_000.into()));
    let counted: u64 = produced["histogram_us"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step[2].as_u64().unwrap())
        .sum();
    assert_eq!(counted, 5000);
    let args = ["perf", "produce", "t", "-n", "200", "-t", "1000", "--every", "50ms", "--csv"];
    let rows = site.text(&args, "");
    let took = rows.lines().last().unwrap().split(',').nth(5).unwrap().parse::<f64>().unwrap();
    assert!(rows.starts_with("test,kind,records,") && took > 0.19, "{rows}");
    let intervals = rows.lines().filter(|row| row.starts_with("produce,interval,"));
    let sum: u64 =
        intervals.map(|row| row.split(',').nth(2).unwrap().parse::<u64>().unwrap()).sum();
    assert!(0 < sum && sum <= 200, "{rows}");
    let consumed: serde_json::Value =
        serde_json::from_str(&site.text(&["perf", "consume", "t", "-o", "json"], "")).unwrap();
    assert_eq!((&consumed["records"], &consumed["bytes"]), (&5200.into(), &270_000.into()));
    let some = site.text(&["perf", "consume", "t", "-n", "100"], "");
    assert!(some.starts_with("records     100\n"), "{some}");
    let told = site.complaint(&["perf", "consume", "t", "-n", "6k", "--idle", "300ms"], "", 1);
    assert!(told.contains("5200 of 6000 records came"), "{told}");
    let args = ["perf", "e2e", "t", "-n", "300", "-t", "3000", "-o", "json"];
    let through: serde_json::Value = serde_json::from_str(&site.text(&args, "")).unwrap();
    assert_eq!((&through["records"], &through["failed"]), (&300.into(), &0.into()));
    assert!(through["latency_us"]["p50"].as_u64().unwrap() > 0, "{through}");
}

/// Sends tombstones with these numbers to two partitions.
fn fill_orders(site: &Site, numbers: std::ops::Range<i32>) {
    let lines = numbers.map(|number| {
        format!(
            "{{\"partition\":{},\"ts\":{number},\"key\":\"k{number}\",\
             \"headers\":[\"h\",{{\"base64\":\"/w==\"}}],\"payload\":null}}\n",
            number % 2
        )
    });
    let lines: String = lines.collect();
    site.text(&["produce", "orders", "--input", "json", "--keep-partition"], &lines);
}

#[test]
fn a_mirror_goes_on_where_it_was_and_takes_groups_along() {
    let (from, to) = (Site::new(&[("kept", 1)]), Site::new(&[]));
    let admin = |site: &Site| {
        Admin::new(&Properties::new().with("bootstrap.servers", &site.address)).unwrap()
    };
    let (source, target) = (admin(&from), admin(&to));
    let new = NewTopic::new("orders").partitions(2).config("max.message.bytes", "2000000");
    source.create_topics(&[new]).unwrap().remove(0).1.unwrap();
    let state = from.home.path().join("state");
    let args = [
        "mirror",
        "--pattern",
        "or.*",
        "--to",
        &to.address,
        "--state",
        state.to_str().unwrap(),
        "--groups",
        "bill.*",
    ];
    let commit = |offset: i64| {
        let committed = CommittedOffset {
            topic: "orders".to_owned(),
            partition: 1,
            offset,
            leader_epoch: None,
            metadata: "note".to_owned(),
        };
        for group in ["billing", "other"] {
            let set = source
                .alter_consumer_group_offsets(group, std::slice::from_ref(&committed))
                .unwrap();
            set.into_iter().for_each(|(_, set)| set.unwrap());
        }
    };
    fill_orders(&from, 0..10);
    // The target's offsets begin at 0 all the same.
    let orders = TopicPartition::new("orders", 1);
    let cut = source.delete_records(&[(orders.clone(), DeleteBefore::Offset(3))]).unwrap();
    cut.into_iter().for_each(|(_, cut)| assert_eq!(cut.unwrap(), 3));
    commit(4);
    assert!(from.text(&args, "").starts_with("7 records of 2 partitions copied"));
    let committed = |group| target.committed_offsets(group).unwrap();
    assert_eq!((committed("billing")[0].offset, &*committed("billing")[0].metadata), (1, "note"));
    assert_eq!(committed("other"), []);
    assert!(from.text(&args, "").starts_with("0 records"));
    let described = to.text(&["topics", "describe", "orders"], "");
    assert!(described.contains("max.message.bytes  2000000"), "{described}");
    // As if it had been killed before it remembered the rest.
    let remembered = fs::read(&state).unwrap();
    fill_orders(&from, 10..20);
    commit(10);
    assert!(from.text(&args, "").starts_with("10 records"));
    fs::write(&state, remembered).unwrap();
    assert!(from.text(&args, "").starts_with("0 records"));
    fs::remove_file(&state).unwrap();
    assert!(from.text(&args, "").starts_with("0 records"));
    assert_eq!(committed("billing")[0].offset, 7);
    let read = |site: &Site| {
        let format = r"%p %T %k %K %S %h\n";
        let args = ["consume", "orders", "--from-beginning", "-e", "-f", format];
        let mut lines: Vec<Vec<u8>> =
            site.out(&args, b"").split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    assert_eq!(read(&from).len(), 18);
    assert_eq!(read(&from), read(&to));
    // Somebody else writes there.
    to.text(&["produce", "orders", "-p", "0"], "mine\n");
    let told = from.complaint(&args, "", 2);
    assert!(told.contains("orders-0: offset 10 of the target is not what the source"), "{told}");
    let told = from.complaint(&["mirror", "orders", "--to", &from.address, "--state", "s"], "", 2);
    assert!(told.contains("lead to the same cluster"), "{told}");
}

/// Runs a tool of Kafka's by its name.
fn kafka(site: &Site, tool: &str, args: &[&str], input: &str) -> Output {
    let link = site.home.path().join(format!("{tool}.sh"));
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ottlactl"), &link).unwrap();
    }
    let mut command = Command::new(link);
    command.args(["--bootstrap-server", &site.address]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn kafkas_console_tools_are_answered_to() {
    let site = Site::new(&[("t", 1)]);
    let reader = ["parse.key=true", "parse.headers=true", "null.marker=NIL"];
    let mut args = vec!["--topic", "t", "--compression-codec", "zstd"];
    reader.iter().for_each(|property| args.extend(["--reader-property", *property]));
    let sent =
        kafka(&site, "kafka-console-producer", &args, "h:v,i:NIL\tk\tone\r\nNIL\tNIL\tNIL\n");
    assert!(sent.status.success() && sent.stdout.is_empty(), "{sent:?}");
    let args = ["--topic", "t", "--reader-property", "parse.key=true"];
    let sent = kafka(&site, "kafka-console-producer", &args, "a\tb\nnokey\nc\td\n");
    assert_eq!(sent.status.code(), Some(1));
    let told = String::from_utf8(sent.stderr).unwrap();
    assert_eq!(told, "No key separator found on line number 2: 'nokey'\n");
    let all = ["print.key", "print.headers", "print.partition", "print.offset", "print.epoch"];
    let all = all.map(|name| format!("{name}=true"));
    let mut args = vec!["--topic", "t", "--from-beginning", "--timeout-ms", "500"];
    all.iter().for_each(|property| args.extend(["--formatter-property", property]));
    args.extend(["--formatter-property", "key.separator=|", "--max-messages", "9"]);
    let read = kafka(&site, "kafka-console-consumer", &args, "");
    let expected = "Partition:0|Offset:0|Epoch:NOT_PRESENT|h:v,i:null|k|one\n\
                    Partition:0|Offset:1|Epoch:NOT_PRESENT|NO_HEADERS|null|null\n\
                    Partition:0|Offset:2|Epoch:NOT_PRESENT|NO_HEADERS|a|b\n";
    assert_eq!(String::from_utf8(read.stdout).unwrap(), expected);
    assert_eq!(String::from_utf8(read.stderr).unwrap(), "Processed a total of 3 messages\n");
    let args = ["--topic", "t", "--partition", "0", "--offset", "2", "--max-messages", "1"];
    let read = kafka(&site, "kafka-console-consumer", &args, "");
    assert_eq!((read.status.code(), &*read.stdout), (Some(0), &b"b\n"[..]));
    let args = ["--topic", "t", "--group", "g", "--from-beginning", "--max-messages"];
    for (count, printed) in [("1", &b"one\n"[..]), ("2", b"null\nb\n")] {
        let read = kafka(&site, "kafka-console-consumer", &[&args[..], &[count]].concat(), "");
        assert_eq!((read.status.code(), &*read.stdout), (Some(0), printed), "{read:?}");
    }
    let args = ["--topic", "t", "--from-beginning", "--offset", "3"];
    let refused = kafka(&site, "kafka-console-consumer", &args, "");
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(told, "Options from-beginning and offset cannot be specified together.\n");
}

#[test]
fn what_kafkas_perf_tools_send_and_count_is_there() {
    let site = Site::new(&[("t", 1)]);
    let args = ["--topic", "t", "--num-records", "100", "--throughput", "-1"];
    let args = [&args[..], &["--payload-monotonic"]].concat();
    let sent = kafka(&site, "kafka-producer-perf-test", &args, "");
    assert!(sent.status.success() && sent.stdout.starts_with(b"100 records sent, "), "{sent:?}");
    // In a group of its own.
    let args = ["--topic", "t", "--num-records", "100", "--hide-header"];
    let read = kafka(&site, "kafka-consumer-perf-test", &args, "");
    let row = String::from_utf8(read.stdout).unwrap();
    let fields: Vec<&str> = row.trim_end().split(", ").collect();
    // Ten numbers of one digit, ninety of two: 190 bytes.
    assert_eq!((fields.len(), fields[2], fields[4]), (10, "0.0002", "100"), "{row}");
    let printed = site.run(&["consume", "t", "--from-beginning", "-e"], b"").stdout;
    let numbers: String = (0..100).map(|number| format!("{number}\n")).collect();
    assert_eq!(String::from_utf8(printed).unwrap(), numbers);
}

#[test]
fn a_doctor_tells_by_its_code() {
    let site = Site::new(&[("t", 1)]);
    let settings = site.home.path().join("server.properties");
    let settings = settings.to_str().unwrap();
    fs::write(settings, "log.dirs=/tmp/x\nnum.partitons=3\n").unwrap();
    let output = site.run(&["doctor", settings, "-o", "json"], b"");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let find = |word: &str| {
        let mut all = findings.as_array().unwrap().iter();
        all.find(|one| one["finding"].as_str().unwrap().contains(word)).unwrap()
    };
    assert_eq!(find("num.partitons")["remedy"], "did you mean num.partitions?");
    assert_eq!(find("log.dirs has /tmp/x")["severity"], "error");
    let text = site.run(&["doctor", "--all"], b"");
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("good    cluster: cluster "), "{text}");
    let told = site.complaint(&["doctor", "/nowhere/server.properties"], "", 2);
    assert!(told.contains("/nowhere/server.properties: No such file"), "{told}");
}

#[test]
fn a_console_consumer_waits_for_its_topic() {
    let site = Site::new(&[]);
    let mut consumer = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
    consumer.arg0("kafka-console-consumer").args(["--bootstrap-server", &site.address]);
    consumer.args(["--topic", "late", "--max-messages", "1", "--timeout-ms", "60000"]);
    consumer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut consumer = consumer.spawn().unwrap();
    let mut told = BufReader::new(consumer.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert_eq!(line, "late: there is no such topic yet; waiting for it\n");
    site.out(&["topics", "create", "late"], b"");
    site.out(&["produce", "late"], b"first");
    line.clear();
    told.read_line(&mut line).unwrap();
    assert_eq!(line, "Processed a total of 1 messages\n");
    let output = consumer.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout == b"first\n", "{output:?}");
}

#[test]
fn a_measurement_can_be_a_member_of_a_group() {
    let site = Site::new(&[("t", 2)]);
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    site.text(&["produce", "t", "-X", "batch.size=100"], &lines);
    let read = |more: &[&str]| {
        let args = [&["perf", "consume", "t", "-g", "g", "-o", "json"], more].concat();
        let report: serde_json::Value = serde_json::from_str(&site.text(&args, "")).unwrap();
        report["records"].as_u64().unwrap()
    };
    assert_eq!(read(&["-n", "600"]), 600);
    // What was read before is committed, and no more than that.
    assert_eq!(read(&[]), 400);
    let admin = Admin::new(&Properties::new().with("bootstrap.servers", &site.address)).unwrap();
    let committed = admin.committed_offsets("g").unwrap();
    assert_eq!(committed.iter().map(|of| of.offset).sum::<i64>(), 1000);
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let site = Site::new(&[("t", 1)]);
    for (args, why) in [
        (&["consume", "t", "--bytes", "base64"][..], "--bytes is for -o json"),
        (&["consume", "t", "-o", "json", "-Z"], "-Z is for -f"),
        (&["produce", "t", "--keep-partition"], "--keep-partition is for --input json"),
        (&["produce", "t", "--input", "json", "-K", ":"], "--key-delimiter is for lines"),
        (&["produce", "t", "--input", "json", "-Z"], "--null-empty is for lines"),
        (&["perf", "produce", "t", "--csv", "-o", "json"], "--csv is a form by itself"),
        (&["perf", "produce", "t", "--every", "0s"], "\"0s\" is no interval"),
        (&["perf", "produce", "t", "--throughput", "0"], "nothing is sent"),
        (&["perf", "e2e", "t", "--throughput", "0"], "nothing is sent"),
        (&["perf", "consume", "t", "--histogram"], "unexpected argument '--histogram'"),
        (&["groups", "list", "--state", "empt"], "did you mean Empty?"),
        (&["groups", "list", "--type", "clasic"], "did you mean classic?"),
        (&["groups", "reset-offsets", "g", "t", "--to-offset=-5"], "-5 is not in 0.."),
    ] {
        let told = site.complaint(args, "", 2);
        assert!(told.contains(why) && told.lines().count() == 1, "{args:?}: {told}");
    }
    assert_eq!(site.text(&["groups", "list", "--state", "empty,STABLE", "-o", "name"], ""), "");
}

#[test]
fn of_what_failed_there_is_no_table() {
    let site = Site::new(&[("t", 1)]);
    for args in [
        &["configs", "describe", "topic", "nope"][..],
        &["offsets", "list", "nope"],
        &["offsets", "list", "t:7"],
        &["logdirs", "nope"],
        &["logdirs", "--broker", "77"],
        &["apis", "77"],
        &["groups", "reset-offsets", "g", "t", "--shift-by", "1"],
    ] {
        let output = site.run(args, b"");
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{args:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    assert_eq!(site.run(&["offsets", "list", "nope", "-o", "json"], b"").stdout, b"[]\n");
}

#[test]
fn an_end_to_end_measurement_ends_when_nothing_can_be_sent() {
    let site = Site::new(&[("t", 1)]);
    let begun = Instant::now();
    let args = ["perf", "e2e", "t", "-s", "2M", "--warmup-records", "0", "--idle", "60s"];
    let told = site.complaint(&args, "", 2);
    assert!(told.contains("max.request.size") && begun.elapsed() < Duration::from_secs(30));
    // What the broker refuses is told by the producer's callbacks.
    let args = ["perf", "e2e", "t", "-n", "3", "-s", "2M", "--warmup-records", "0", "--idle", "2s"];
    let large = ["-X", "max.request.size=4000000", "-o", "json"];
    let output = site.run(&[&args[..], &large].concat(), b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("3 records did not come; first error: "), "{told}");
    assert!(told.contains("MESSAGE_TOO_LARGE"), "{told}");
}

#[test]
fn a_signal_ends_the_search_for_a_broker() {
    let home = tempfile::tempdir().unwrap();
    // Nobody answers there: a listener that accepts nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for args in [
        &["produce", "t"][..],
        &["consume", "t"],
        &["perf", "produce", "t"],
        &["perf", "consume", "t"],
        &["perf", "e2e", "t"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
        command.env("XDG_CONFIG_HOME", home.path()).args(["-b", &address]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        let until = Instant::now() + Duration::from_secs(10);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "{args:?} goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
