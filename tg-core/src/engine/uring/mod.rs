//! stub
use super::{Completion, Engine, Op};
use std::sync::Arc;
use tg_model::time::Nanos;
#[derive(Debug, thiserror::Error)]
#[error("not built yet")]
pub struct UringError;
impl UringError {
    pub fn is_refused(&self) -> bool {
        true
    }
}
pub struct Config {
    pub slots: usize,
    pub payload: Arc<[u8]>,
    pub packet_size: usize,
    pub datagram: bool,
}
pub struct UringEngine;
impl UringEngine {
    pub fn new(_: Config) -> Result<Self, UringError> {
        Err(UringError)
    }
}
impl Engine for UringEngine {
    fn name(&self) -> &'static str {
        ""
    }
    fn now(&self) -> Nanos {
        Nanos::ZERO
    }
    fn submit(&mut self, _: Op) {}
    fn wait(&mut self, _: Nanos, _: Nanos) -> std::io::Result<()> {
        Ok(())
    }
    fn next(&mut self) -> Option<Completion> {
        None
    }
    fn received(&self) -> &[u8] {
        &[]
    }
    fn closing(&self) -> usize {
        0
    }
}
pub fn probe() -> Result<(), UringError> {
    Err(UringError)
}
