//! Responses with file regions.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use ottla_network::{COPY_BYTES_BELOW, CloseReason};

use crate::client::Client;
use crate::script::{Region, config, start};

fn file(len: usize) -> (Arc<File>, Vec<u8>) {
    let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + at / 251) as u8).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    (Arc::new(file), bytes)
}

#[test]
fn regions_of_all_sizes_come_whole_and_in_order() {
    let (server, script) = start(config());
    let (file, bytes) = file(3 << 20);
    let edge = COPY_BYTES_BELOW as u32;
    let cuts: [(u64, u32); 9] = [
        (0, 1),
        (5, edge - 1),
        (17, edge),
        (1, edge + 1),
        (4096, 0),
        (0, 3 << 20),
        (100, 200_000),
        (7, 500),
        (900, 2 << 20),
    ];
    let mut expected = b"<".to_vec();
    for (position, length) in cuts {
        let file = Arc::clone(&file);
        script.regions.lock().unwrap().push(Region { file, position, length });
        expected.extend_from_slice(&bytes[position as usize..][..length as usize]);
        expected.push(b'|');
    }
    let mut client = Client::new(&server);
    for _ in 0..3 {
        assert!(client.call(b"f") == expected, "the answer differs");
    }
    let counters = server.counters();
    assert!(counters.sendfile.get() > 0 && counters.pread.get() > 0);
}

#[test]
fn many_small_regions_need_no_memory_of_their_own() {
    let (server, script) = start(config());
    let (file, bytes) = file(1 << 20);
    let regions =
        (0..500_u64).map(|n| Region { file: Arc::clone(&file), position: n * 1000, length: 9000 });
    script.regions.lock().unwrap().extend(regions);
    let mut expected = b"<".to_vec();
    for n in 0..500 {
        expected.extend_from_slice(&bytes[n * 1000..][..9000]);
        expected.push(b'|');
    }
    assert!(Client::new(&server).call(b"f") == expected, "the answer differs");
}

#[test]
fn a_file_shorter_than_promised_closes_the_connection() {
    let (server, script) = start(config());
    let mut bystander = Client::new(&server);
    let lengths = [100, COPY_BYTES_BELOW as u32 * 4];
    for length in lengths {
        let (file, _) = file(length as usize / 2);
        *script.regions.lock().unwrap() = vec![Region { file, position: 0, length }];
        let mut client = Client::new(&server);
        client.send(b"f");
        assert!(client.until_closed().len() < length as usize);
        assert_eq!(bystander.call(b"e"), b"e");
    }
    assert_eq!(server.counters().closed(CloseReason::Response), lengths.len() as u64);
}
