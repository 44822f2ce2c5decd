//! `sh`: a client stays where it is. Changes when `ip_vs_sh.c` does.

use super::{Choice, Judge, Judgement, against};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// While the list stays as it is, a client's address leads to the same destination. (With `sh-port`, which kube-proxy
/// does not set, its port counts, too: such a scheduler shows as one that deviates.)
#[derive(Default)]
pub struct SameClient {
    list: Vec<(SocketAddr, i32)>,
    of_client: HashMap<IpAddr, Option<SocketAddr>>,
}

impl Judge for SameClient {
    fn judge(&mut self, choice: &Choice) -> Judgement {
        let list: Vec<(SocketAddr, i32)> = choice.candidates.iter().map(|c| (c.address, c.weight)).collect();
        if list != self.list {
            self.of_client.clear();
            self.list = list;
        }
        let Some(client) = choice.client else { return Judgement::Unknown };
        match self.of_client.get(&client.ip()) {
            Some(before) => against(choice.chosen, before.iter().copied().collect()),
            None => {
                self.of_client.insert(client.ip(), choice.chosen);
                Judgement::Unknown
            }
        }
    }
}
