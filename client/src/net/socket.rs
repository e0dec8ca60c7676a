//! Sockets as the settings want them.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// The kernel's buffers of a connection, bytes; `None` leaves their size to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketBuffers {
    /// `send.buffer.bytes`.
    pub(crate) send: Option<usize>,
    /// `receive.buffer.bytes`.
    pub(crate) receive: Option<usize>,
}

/// Begins to connect.
pub(super) fn connect(address: SocketAddr, buffers: SocketBuffers) -> io::Result<TcpStream> {
    let stream = if buffers == SocketBuffers::default() {
        TcpStream::connect(address)?
    } else {
        connect_with(address, buffers)?
    };
    // A request waits for nothing that may still come.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The window that the other side is told of at first depends on the buffer: it comes before.
fn connect_with(address: SocketAddr, buffers: SocketBuffers) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(bytes) = buffers.send {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = buffers.receive {
        socket.set_recv_buffer_size(bytes)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether a socket that was told to connect has done so.
pub(super) fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    use super::*;

    #[test]
    fn buffers_are_as_large_as_they_are_wanted() {
        let listeners = [
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)),
            // Not every machine has it.
            TcpListener::bind((Ipv6Addr::LOCALHOST, 0)),
        ];
        for listener in listeners.into_iter().flatten() {
            let address = listener.local_addr().unwrap();
            let sizes = |buffers| {
                let stream = connect(address, buffers).unwrap();
                listener.accept().unwrap();
                let socket = socket2::SockRef::from(&stream);
                (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap())
            };
            let buffers = SocketBuffers { send: Some(40_000), receive: Some(50_000) };
            // Linux takes as much again for its own use: socket(7).
            assert_eq!(sizes(buffers), (80_000, 100_000));
            let receive_alone = sizes(SocketBuffers { send: None, ..buffers });
            assert_eq!(receive_alone.1, 100_000);
            assert_ne!(receive_alone.0, 80_000);
            assert_ne!(sizes(SocketBuffers::default()), (80_000, 100_000));
        }
    }
}
