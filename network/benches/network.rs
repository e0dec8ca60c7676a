//! What it costs to send a file region: `sendfile` against reading it and sending the copy, by
//! length. The constant [`ottla_network::COPY_BYTES_BELOW`] comes from here.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use nix::libc::MSG_MORE;
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{MsgFlags, recv, sendmsg};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const LENGTHS: [usize; 7] = [1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 256 << 10];
const HEAD: [u8; 100] = [0; 100];

fn main() {
    divan::main();
}

/// A head and a region by two system calls.
#[divan::bench(args = LENGTHS)]
fn region_by_sendfile(bencher: Bencher<'_, '_>, length: usize) {
    let (file, sender, receiver) = set_up().expect("the loopback works");
    bencher.counter(BytesCount::new(length)).bench_local(|| {
        let more = MsgFlags::from_bits_retain(MSG_MORE);
        let head = [IoSlice::new(&HEAD)];
        let fd = sender.as_raw_fd();
        assert_eq!(sendmsg::<()>(fd, &head, &[], more, None), Ok(HEAD.len()));
        let mut offset = 4096;
        assert_eq!(sendfile(&sender, &file, Some(&mut offset), length), Ok(length));
        discard(&receiver, HEAD.len() + length);
    });
}

/// A head and a copy of the region by two system calls of other kinds.
#[divan::bench(args = LENGTHS)]
fn region_by_copy(bencher: Bencher<'_, '_>, length: usize) {
    let (file, sender, receiver) = set_up().expect("the loopback works");
    let mut scratch = vec![0; length];
    bencher.counter(BytesCount::new(length)).bench_local(|| {
        file.read_exact_at(&mut scratch, 4096).expect("the file is long enough");
        let all = [IoSlice::new(&HEAD), IoSlice::new(&scratch)];
        let sent = sendmsg::<()>(sender.as_raw_fd(), &all, &[], MsgFlags::empty(), None);
        assert_eq!(sent, Ok(HEAD.len() + length));
        discard(&receiver, HEAD.len() + length);
    });
}

/// The receiver's half alone, to be taken off the two above.
#[divan::bench(args = LENGTHS)]
fn bytes_in_memory(bencher: Bencher<'_, '_>, length: usize) {
    let (_, sender, receiver) = set_up().expect("the loopback works");
    let bytes = vec![0; length];
    bencher.counter(BytesCount::new(length)).bench_local(|| {
        let all = [IoSlice::new(&HEAD), IoSlice::new(&bytes)];
        let sent = sendmsg::<()>(sender.as_raw_fd(), &all, &[], MsgFlags::empty(), None);
        assert_eq!(sent, Ok(HEAD.len() + length));
        discard(&receiver, HEAD.len() + length);
    });
}

/// A file in the page cache and two ends of a connection with room for all of it.
fn set_up() -> io::Result<(File, TcpStream, TcpStream)> {
    let mut file = tempfile::tempfile()?;
    file.write_all(&vec![7; 1 << 20])?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let sender = TcpStream::connect(listener.local_addr()?)?;
    let (receiver, _) = listener.accept()?;
    sender.set_nodelay(true)?;
    let room = 4 << 20;
    nix::sys::socket::setsockopt(&sender, nix::sys::socket::sockopt::SndBuf, &room)?;
    nix::sys::socket::setsockopt(&receiver, nix::sys::socket::sockopt::RcvBuf, &room)?;
    Ok((file, sender, receiver))
}

/// Takes bytes out of the socket without a copy.
fn discard(receiver: &TcpStream, mut length: usize) {
    let mut nowhere = [0; 1 << 16];
    while length > 0 {
        let step = length.min(nowhere.len());
        let got = recv(receiver.as_raw_fd(), &mut nowhere[..step], MsgFlags::MSG_TRUNC)
            .expect("what was sent arrives");
        length -= got;
    }
}
