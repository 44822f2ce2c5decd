//! What is served: the backlog, the programs' status, the figures. Changes when there is more to serve.

use crate::observe::backlog::Backlog;
use crate::observe::metrics;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tg_ebpf::kernel::Figures;
use tg_model::node_event::ProgramStatus;

/// What is served, as of now.
pub struct Shared {
    pub(super) backlog: Arc<Backlog>,
    status: Mutex<Vec<ProgramStatus>>,
    capabilities: Vec<(String, &'static str)>,
    figures: Mutex<BTreeMap<&'static str, Figures>>,
}

impl Shared {
    pub fn new(backlog: Arc<Backlog>, status: &[ProgramStatus], capabilities: Vec<(String, &'static str)>) -> Shared {
        Shared { backlog, status: Mutex::new(status.to_vec()), capabilities, figures: Mutex::default() }
    }

    pub fn update(&self, figures: BTreeMap<&'static str, Figures>) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// A module came or went.
    pub fn attached(&self, status: &[ProgramStatus]) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status.to_vec();
    }

    pub(super) fn status(&self) -> String {
        let capabilities: BTreeMap<&str, &str> = self.capabilities.iter().map(|(c, why)| (c.as_str(), *why)).collect();
        let lines = *self.backlog.next().borrow();
        let version = env!("CARGO_PKG_VERSION");
        let programs = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = json!({ "tg_version": version, "programs": programs, "capabilities": capabilities, "lines": lines });
        format!("{all}\n")
    }

    pub(super) fn metrics(&self) -> String {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        metrics::text(&figures, *self.backlog.next().borrow())
    }
}
