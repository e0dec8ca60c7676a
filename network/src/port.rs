//! A port that stays one's own while nobody listens on it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockname, setsockopt, socket,
    sockopt,
};

/// An address that is bound and not listened on: a [`Server`](crate::Server) of whoever knows it
/// can still listen there, also again and again, while the system gives it to nobody who asks for
/// a free port. Connections to it are refused meanwhile. Held until dropped.
#[derive(Debug)]
pub struct HeldPort {
    address: SocketAddr,
    _socket: OwnedFd,
}

impl HeldPort {
    /// Takes `address`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// Somebody listens there, it is not this machine's, or it takes a privilege.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        // Both sides need it to share the address; it takes a listener that nobody has yet.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
        let bound: SockaddrStorage = getsockname(socket.as_raw_fd())?;
        let port = match (bound.as_sockaddr_in(), bound.as_sockaddr_in6()) {
            (Some(bound), _) => bound.port(),
            (None, Some(bound)) => bound.port(),
            (None, None) => return Err(io::ErrorKind::InvalidData.into()),
        };
        let mut address = address;
        address.set_port(port);
        Ok(Self { address, _socket: socket })
    }

    /// The address, with the port that was found.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn whoever_knows_it_listens_and_others_get_another() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let held = HeldPort::new(any.parse().unwrap()).unwrap();
            let address = held.address();
            assert_ne!(address.port(), 0);
            for _ in 0..3 {
                let refused = TcpStream::connect(address).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
                let listener = TcpListener::bind(address).unwrap();
                TcpStream::connect(address).unwrap();
                drop(listener);
            }
            let others: Vec<_> = (0..500).map_while(|_| TcpListener::bind(any).ok()).collect();
            assert!(others.iter().all(|other| other.local_addr().unwrap() != address));
        }
    }

    #[test]
    fn what_somebody_listens_on_is_not_held() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = HeldPort::new(listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
