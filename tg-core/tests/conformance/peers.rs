//! Real peers for the real engines: what simulated ones do, on loopback sockets by std alone.

use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tg_core::engine::simulated::Behaviour;

const NAME: &[u8] = b"pod-a";

/// What the peers saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Bytes (UDP: datagrams) received.
    pub received: AtomicU64,
    /// Connections that ended with a FIN from the client.
    pub orderly: AtomicU64,
}

/// A server thread; dropping it ends it.
pub struct Peers {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    /// Sockets that must stay open, such as those that fill an accept queue.
    _held: Vec<Socket>,
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
    }
}

/// Whether real peers can do it: a router's answer needs a router.
pub fn can(behaviour: Behaviour) -> bool {
    !matches!(behaviour, Behaviour::Unreachable | Behaviour::ResetConnect)
}

pub fn tcp(ip: IpAddr, behaviour: Behaviour, pieces: bool) -> Peers {
    let listener = Socket::new(Domain::for_address(SocketAddr::new(ip, 0)), Type::STREAM, None).expect("socket");
    listener.bind(&SocketAddr::new(ip, 0).into()).expect("bind");
    let address = listener.local_addr().expect("address").as_socket().expect("ip");
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let mut held = Vec::new();
    match behaviour {
        // Nobody listens: the port is ours, so nobody else takes it.
        Behaviour::Refuse => held.push(listener),
        Behaviour::Ignore => {
            // A full accept queue: the kernel drops further SYNs.
            listener.listen(0).expect("listen");
            for _ in 0..2 {
                let filler = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("socket");
                filler.set_nonblocking(true).expect("nonblocking");
                let _ = filler.connect(&address.into());
                held.push(filler);
            }
            held.push(listener);
        }
        _ => {
            listener.listen(1024).expect("listen");
            listener.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
            let (seen, stop) = (seen.clone(), stop.clone());
            std::thread::spawn(move || accept(&listener, behaviour, pieces, &seen, &stop));
        }
    }
    Peers { address, seen, stop, _held: held }
}

fn accept(listener: &Socket, behaviour: Behaviour, pieces: bool, seen: &Arc<Seen>, stop: &Arc<AtomicBool>) {
    while !stop.load(SeqCst) {
        let Ok((socket, _)) = listener.accept() else { continue };
        let (seen, stop) = (seen.clone(), stop.clone());
        std::thread::spawn(move || serve(socket, behaviour, pieces, &seen, &stop));
    }
}

fn serve(socket: Socket, behaviour: Behaviour, pieces: bool, seen: &Seen, stop: &AtomicBool) {
    let reset = |socket: &TcpStream| {
        let s = socket2::SockRef::from(socket);
        s.set_linger(Some(Duration::ZERO)).expect("linger");
    };
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true).expect("nodelay");
    // Linux hands the listener's time-out on.
    stream.set_read_timeout(None).expect("no timeout");
    match behaviour {
        Behaviour::ResetLater { delay } | Behaviour::CloseLater { delay } => {
            std::thread::sleep(delay.into());
            if matches!(behaviour, Behaviour::ResetLater { .. }) {
                return reset(&stream);
            }
            // Closing with bytes unread would be a reset.
            let _ = stream.shutdown(Shutdown::Write);
            while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
            return;
        }
        _ => {}
    }
    let limit = match behaviour {
        Behaviour::Reset { after } | Behaviour::Close { after } | Behaviour::Stall { after } => after,
        Behaviour::Garbage { after } | Behaviour::TooMuch { after } => after,
        _ => u64::MAX,
    };
    let (mut total, mut buffer) = (0u64, vec![0; 256 << 10]);
    loop {
        let n = match stream.read(&mut buffer) {
            Ok(0) => {
                seen.orderly.fetch_add(1, SeqCst);
                return;
            }
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        seen.received.fetch_add(n as u64, SeqCst);
        let keep = limit.saturating_sub(total).min(n as u64) as usize;
        for (i, byte) in NAME.iter().enumerate() {
            if let Some(at) = (i as u64).checked_sub(total).filter(|at| (*at as usize) < n) {
                buffer[at as usize] = *byte;
            }
        }
        total += n as u64;
        if write(&mut stream, &buffer[..keep], pieces).is_err() {
            return;
        }
        if total < limit {
            continue;
        }
        match behaviour {
            Behaviour::Reset { .. } => return reset(&stream),
            Behaviour::Close { .. } => {
                // Only its own side: the client may still send.
                let _ = stream.shutdown(Shutdown::Write);
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
                return;
            }
            Behaviour::Garbage { .. } => {
                buffer[keep..n].iter_mut().for_each(|b| *b = !*b);
                let _ = stream.write_all(&buffer[keep..n]).and_then(|()| stream.write_all(&[0xee; 9000]));
            }
            Behaviour::TooMuch { .. } => {
                let _ = stream.write_all(&buffer[keep..n]).and_then(|()| stream.write_all(&[0xee; 4]));
            }
            _ => {}
        }
        while !stop.load(SeqCst) && stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
        return;
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8], pieces: bool) -> std::io::Result<()> {
    let piece = if pieces { 7 } else { bytes.len().max(1) };
    bytes.chunks(piece).try_for_each(|chunk| stream.write_all(chunk))
}

/// Faults of a datagram server, beside its behaviour: every so many-th datagram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub lose_every: u64,
    pub double_every: u64,
    pub rename_every: u64,
}

pub fn udp(ip: IpAddr, behaviour: Behaviour, faults: Faults) -> Peers {
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).expect("bind");
    let address = socket.local_addr().expect("address");
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    if behaviour == Behaviour::Refuse {
        // Connected to itself: what anybody else sends finds no socket, and nobody else gets the port.
        socket.connect(address).expect("connect");
        return Peers { address, seen, stop, _held: vec![socket.into()] };
    }
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
    let (s, end) = (seen.clone(), stop.clone());
    std::thread::spawn(move || datagrams(&socket, behaviour, faults, &s, &end));
    Peers { address, seen, stop, _held: Vec::new() }
}

fn datagrams(socket: &UdpSocket, behaviour: Behaviour, faults: Faults, seen: &Seen, stop: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    let every = |n: u64, k: u64| k > 0 && n.is_multiple_of(k);
    while !stop.load(SeqCst) {
        let Ok((n, from)) = socket.recv_from(&mut buffer) else { continue };
        let count = seen.received.fetch_add(1, SeqCst) + 1;
        match behaviour {
            Behaviour::Ignore => continue,
            Behaviour::Stall { after } if count > after => continue,
            // The port closes: datagrams are answered by ICMP from now on.
            Behaviour::Close { after } if count > after => return,
            _ => {}
        }
        if every(count, faults.lose_every) {
            continue;
        }
        let name: &[u8] = if every(count, faults.rename_every) { b"pod-b" } else { NAME };
        buffer[..name.len()].copy_from_slice(name);
        for _ in 0..1 + u64::from(every(count, faults.double_every)) {
            let _ = socket.send_to(&buffer[..n], from);
        }
    }
}
