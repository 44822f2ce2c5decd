//! stub
use super::epoll::Epoll;
use std::sync::Arc;
#[derive(Debug, thiserror::Error)]
#[error("not built yet")]
pub struct UringError;
impl UringError { pub fn is_refused(&self) -> bool { true } }
pub struct Config { pub slots: usize, pub payload: Arc<[u8]>, pub packet_size: usize, pub datagram: bool }
pub type UringEngine = Epoll;
impl Epoll { pub fn new_uring(_: Config) -> Result<Epoll, UringError> { Err(UringError) } }
pub fn probe() -> Result<(), UringError> { Err(UringError) }
