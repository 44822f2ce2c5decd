//! Names as Kubernetes gives them: `mserver-8d75c6567-55fdh`. Changes when that form does. Pure.

use tg_core::random::Random;

/// The Deployment and its service.
pub const DEPLOYMENT: &str = "mserver";

/// What names are made of: no vowels, and nothing that looks like another (`k8s.io/apimachinery`, `rand.String`).
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Names for the pods of a lab.
#[derive(Debug)]
pub struct Names {
    random: Random,
    /// Of the old and the new ReplicaSet.
    replica_sets: [String; 2],
    given: std::collections::HashSet<String>,
}

impl Names {
    /// Equal seeds give equal names.
    pub fn new(seed: u64) -> Names {
        let mut random = Random::new(seed);
        let replica_sets = [9, 10].map(|len| format!("{DEPLOYMENT}-{}", word(&mut random, len)));
        Names { random, replica_sets, given: Default::default() }
    }

    /// Names of the ReplicaSets: the old one, the new one.
    pub fn replica_set(&self, new: bool) -> &str {
        &self.replica_sets[usize::from(new)]
    }

    /// A name and a UID for a pod that had none before.
    pub fn pod(&mut self, new: bool) -> (String, String) {
        loop {
            let name = format!("{}-{}", self.replica_sets[usize::from(new)], word(&mut self.random, 5));
            if self.given.insert(name.clone()) {
                return (name, uid(&mut self.random));
            }
        }
    }
}

fn word(random: &mut Random, len: usize) -> String {
    // In range: below the number of letters.
    (0..len).map(|_| char::from(LETTERS[random.below(LETTERS.len() as u64) as usize])).collect()
}

/// A version 4 UUID.
fn uid(random: &mut Random) -> String {
    let (a, b) = (random.bits(), random.bits());
    let (time, mid, high) = (a >> 32, (a >> 16) & 0xffff, a & 0xfff);
    format!("{time:08x}-{mid:04x}-4{high:03x}-{:04x}-{:012x}", 0x8000 | (b >> 48) & 0x3fff, b & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_kubernetes_form_and_each_is_given_once() {
        let mut names = Names::new(1);
        let all: Vec<(String, String)> = (0..500).map(|n| names.pod(n % 2 == 1)).collect();
        for (nth, (name, uid)) in all.iter().enumerate() {
            let (set, last) = name.rsplit_once('-').unwrap();
            assert_eq!((set, last.len()), (names.replica_set(nth % 2 == 1), 5));
            assert_eq!((uid.len(), &uid[14..15]), (36, "4"), "{uid}");
        }
        let distinct: std::collections::HashSet<_> = all.iter().map(|(_, uid)| uid).collect();
        assert_eq!(distinct.len(), 500);
        assert_ne!(names.replica_set(false), names.replica_set(true));
    }
}
