//! A port of this machine that one can leave and come back to.

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpSocket;

/// While it is held the system gives the port to nobody who leaves the choice
/// to it; who asks for it by name gets it, and nobody listens there until then.
pub(crate) struct Held {
    pub(crate) address: SocketAddr,
    _socket: TcpSocket,
}

impl Held {
    pub(crate) fn some() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // As every listener does: without it, it would be in the way of one.
        socket.set_reuseaddr(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            _socket: socket,
        }
    }
}
