//! A TCP port that belongs to one server for as long as the world lives, also while nobody listens on it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket};

/// A reserved address. While no listener is open, connections to it are refused, and the system gives the port to nobody else.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    // Bound but never listening: SO_REUSEPORT lets the real listener bind beside it.
    _reservation: TcpSocket,
}

impl Port {
    /// Reserves `port` on `host`; port 0 lets the system choose.
    pub fn reserve(host: IpAddr, port: u16) -> io::Result<Self> {
        let reservation = shared_socket(host)?;
        reservation.bind(SocketAddr::new(host, port))?;
        Ok(Self { address: reservation.local_addr()?, _reservation: reservation })
    }

    /// The address, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the port. Dropping the listener makes it refuse connections again.
    pub fn listen(&self) -> io::Result<TcpListener> {
        let socket = shared_socket(self.address.ip())?;
        socket.bind(self.address)?;
        socket.listen(128)
    }
}

fn shared_socket(host: IpAddr) -> io::Result<TcpSocket> {
    let socket = if host.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_port_refuses_before_between_and_after_listeners() {
        let port = Port::reserve(Ipv4Addr::LOCALHOST.into(), 0).expect("a port");
        for _ in 0..3 {
            let refused = TcpStream::connect(port.address()).await.expect_err("nobody listens");
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            let listener = port.listen().expect("a listener");
            let (client, server) = tokio::join!(TcpStream::connect(port.address()), listener.accept());
            drop((client.expect("connected"), server.expect("accepted")));
        }
        let refused = TcpStream::connect(port.address()).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
