//! The proxy's thread: events of sockets, orders of the lab. Changes when an order is added.

use super::nodes::Nodes;
use crate::lab::LabError;
use mio::event::Event;
use mio::{Events, Poll, Registry, Token, Waker};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tg_model::cluster_event::Endpoint;

/// Of the waker; sockets have the tokens below.
const WAKER: Token = Token(usize::MAX - 1);
const EVENTS: usize = 1024;

/// What the lab asks of the proxy.
#[derive(Debug)]
pub enum Order {
    /// The endpoints are these now.
    Endpoints(Vec<Endpoint>),
    /// These backends are cut off, or no longer.
    CutOff(Vec<SocketAddr>, bool),
    /// Connections to these backends are reset.
    Reset(Vec<SocketAddr>),
    /// It ends.
    Finish,
}

/// TCP's connections, or UDP's flows.
pub trait Traffic: Send {
    /// A socket has something.
    fn event(&mut self, event: &Event, nodes: &mut Nodes, registry: &Registry);
    /// After all events; gives how long it may be until the next turn.
    fn turn(&mut self, nodes: &mut Nodes, registry: &Registry) -> Option<Duration>;
    /// Resets connections to these backends.
    fn reset(&mut self, backends: &[SocketAddr], nodes: &mut Nodes);
    /// These backends are cut off, or no longer: nothing gets there or back, and nobody is told.
    fn cut_off(&mut self, backends: &[SocketAddr], on: bool, nodes: &mut Nodes, registry: &Registry);
    /// These are endpoints no longer, not even terminating ones.
    fn endpoints_gone(&mut self, backends: &[SocketAddr], nodes: &mut Nodes);
    /// Ends whatever is there.
    fn finish(&mut self, nodes: &mut Nodes);
}

/// Connections that each backend has.
pub type Loads = Arc<Mutex<BTreeMap<SocketAddr, u64>>>;

/// An order, and whom to tell when it was obeyed.
type Asked = (Order, Sender<()>);

/// The proxy's thread, from outside.
#[derive(Debug)]
pub struct Worker {
    orders: Sender<Asked>,
    waker: Arc<Waker>,
    loads: Loads,
    thread: Option<JoinHandle<Result<(), LabError>>>,
}

struct Loop {
    poll: Poll,
    traffic: Box<dyn Traffic>,
    nodes: Nodes,
    orders: Receiver<Asked>,
    endpoints: Vec<SocketAddr>,
    loads: Loads,
}

impl Worker {
    /// Starts it. `traffic` makes the sockets, which are registered with the registry that it gets.
    ///
    /// # Errors
    /// No poll or no thread is to be had, or the sockets are refused.
    pub fn start(
        nodes: Nodes,
        traffic: impl FnOnce(&Registry) -> io::Result<Box<dyn Traffic>>,
    ) -> Result<Worker, LabError> {
        let poll = Poll::new().map_err(LabError::io("making the proxy's poll"))?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(LabError::io("making the proxy's waker"))?;
        let traffic = traffic(poll.registry()).map_err(LabError::io("registering the proxy's sockets"))?;
        let (orders, ordered) = channel();
        let loads = Loads::default();
        let state = Loop { poll, traffic, nodes, orders: ordered, endpoints: Vec::new(), loads: Arc::clone(&loads) };
        let thread = std::thread::Builder::new().name("tg-proxy".into()).spawn(move || state.run());
        let thread = Some(thread.map_err(LabError::io("starting the proxy's thread"))?);
        Ok(Worker { orders, waker: Arc::new(waker), loads, thread })
    }

    /// Has it do something: whatever connection comes after that meets what was ordered.
    pub fn order(&self, order: Order) {
        let (done, obeyed) = channel();
        // A worker that is gone shows when it is joined.
        let _ = self.orders.send((order, done));
        let _ = self.waker.wake();
        let _ = obeyed.recv();
    }

    /// Connections that each backend has.
    pub fn loads(&self) -> BTreeMap<SocketAddr, u64> {
        self.loads.lock().map(|l| l.clone()).unwrap_or_default()
    }

    /// Ends it, its connections and its journals.
    ///
    /// # Errors
    /// A journal could not be written.
    pub fn finish(&mut self) -> Result<(), LabError> {
        self.order(Order::Finish);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(LabError::Failed("the proxy panicked: this is a defect of tg".into())))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Who wants to know how it ended has asked before.
        let _ = self.finish();
    }
}

impl Loop {
    fn run(mut self) -> Result<(), LabError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut wait = None;
        loop {
            match self.poll.poll(&mut events, wait) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    return Err(LabError::io("waiting for the proxy's sockets")(e));
                }
                _ => {}
            }
            if self.obey() {
                self.traffic.finish(&mut self.nodes);
                return self.nodes.finish();
            }
            for event in events.iter().filter(|e| e.token() != WAKER) {
                self.traffic.event(event, &mut self.nodes, self.poll.registry());
            }
            wait = self.traffic.turn(&mut self.nodes, self.poll.registry());
            self.nodes.flush();
            if let Ok(mut loads) = self.loads.lock() {
                *loads = self.nodes.loads();
            }
        }
    }

    /// Does what was ordered; true: it is to end.
    fn obey(&mut self) -> bool {
        loop {
            let (order, done) = match self.orders.try_recv() {
                Ok(asked) => asked,
                Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            };
            match order {
                Order::Endpoints(endpoints) => self.set_endpoints(&endpoints),
                Order::CutOff(backends, on) => {
                    self.traffic.cut_off(&backends, on, &mut self.nodes, self.poll.registry());
                }
                Order::Reset(backends) => self.traffic.reset(&backends, &mut self.nodes),
                Order::Finish => return true,
            }
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        self.nodes.set_endpoints(endpoints);
        let now: Vec<SocketAddr> = endpoints.iter().map(|e| e.address).collect();
        let before = std::mem::replace(&mut self.endpoints, now);
        let gone: Vec<SocketAddr> = before.into_iter().filter(|a| !self.endpoints.contains(a)).collect();
        if !gone.is_empty() {
            self.traffic.endpoints_gone(&gone, &mut self.nodes);
        }
    }
}
