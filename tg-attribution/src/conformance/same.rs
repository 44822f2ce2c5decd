//! Schedulers that keep connections where they are: `sh`, `mh`, `dh`. Changes when `ip_vs_sh.c`, `ip_vs_mh.c` or
//! `ip_vs_dh.c` does.

use super::{Choice, Judge, Judgement, against};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// While the list stays as it is, a client's address leads to the same destination (`sh`, `mh`), or every client's does
/// (`dh`, which goes by the service's address). With `sh-port` or `mh-port`, which kube-proxy does not set, a client's
/// port counts, too: such a scheduler shows as one that deviates.
#[derive(Default)]
pub struct Same {
    by_client: bool,
    list: Vec<(SocketAddr, i32)>,
    of: HashMap<Option<IpAddr>, Option<SocketAddr>>,
}

impl Same {
    pub fn new(by_client: bool) -> Same {
        Same { by_client, ..Same::default() }
    }
}

impl Judge for Same {
    fn judge(&mut self, choice: &Choice) -> Judgement {
        let list: Vec<(SocketAddr, i32)> = choice.candidates.iter().map(|c| (c.address, c.weight)).collect();
        // What was lost, or done and undone, may have been another list.
        if list != self.list || choice.changed || choice.after_loss {
            self.of.clear();
            self.list = list;
        }
        let client = choice.client.map(|c| c.ip());
        if self.by_client && client.is_none() {
            return Judgement::Unknown;
        }
        let key = client.filter(|_| self.by_client);
        match self.of.get(&key) {
            Some(before) => against(choice.chosen, before.iter().copied().collect()),
            None => {
                self.of.insert(key, choice.chosen);
                Judgement::Unknown
            }
        }
    }
}
