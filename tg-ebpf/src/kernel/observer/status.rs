//! What is told of programs that netlink stands in for. Pure. Changes when a way of reading by netlink, or what it
//! costs, does.

use crate::name;
use tg_model::node_event::{ProgramStatus, TimeSource};

/// What becomes of conntrack's program where it is not attached: netlink tells, too.
pub(super) fn by_netlink(status: &mut ProgramStatus, error: Option<&str>) {
    if status.program != name::CONNTRACK || status.times == TimeSource::Kernel && status.way.is_some() {
        return;
    }
    match error {
        None => {
            status.way = Some("nfnetlink events".into());
            status.cost = Some("times are those of reading".into());
            status.times = TimeSource::Reader;
        }
        Some(e) => {
            status.refused.push(format!("nfnetlink events: {e}"));
            (status.way, status.cost) = (None, Some("the end of NAT bindings is not seen".into()));
        }
    }
}

/// How conntrack's tables are looked at.
pub(super) fn of_tables(error: Option<std::io::Error>) -> ProgramStatus {
    let (refused, cost) = match error {
        None => (Vec::new(), None),
        Some(e) => (vec![format!("nfnetlink: {e}")], Some("a table without room is not seen".into())),
    };
    let way = refused.is_empty().then(|| "nfnetlink, asked with each look at the counters".into());
    ProgramStatus { program: name::CONNTRACK_TABLE.into(), way, refused, cost, times: TimeSource::Reader }
}
