//! Kernel modules: which there are, and in what order to load some. Changes when depmod's files do
//! (kmod's man pages modules.dep(5)).

use std::collections::{HashMap, HashSet};

/// The modules of one kernel, from what depmod and the kernel's build wrote.
#[derive(Debug, Default)]
pub struct Modules {
    by_name: HashMap<String, Module>,
    builtin: HashSet<String>,
}

#[derive(Debug)]
struct Module {
    /// Relative to the directory of modules.dep.
    path: String,
    needs: Vec<String>,
}

/// A module that was asked for and is not there.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl Modules {
    /// From the text of `modules.dep` (`path: path path`, a line a module) and of `modules.builtin` (a path
    /// a line). Lines of another form are passed over.
    #[must_use]
    pub fn parse(dep: &str, builtin: &str) -> Modules {
        let by_name = dep
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(path, needs)| {
                let needs = needs.split_whitespace().map(name_of).collect();
                (name_of(path), Module { path: path.to_owned(), needs })
            })
            .collect();
        Modules { by_name, builtin: builtin.lines().map(name_of).collect() }
    }

    /// Whether the kernel has it, as a module or built in.
    #[must_use]
    pub fn has(&self, module: &str) -> bool {
        let name = name_of(module);
        self.by_name.contains_key(&name) || self.builtin.contains(&name)
    }

    /// Paths of the modules to load for `wanted`, each once and after all that it needs. What is built in
    /// needs no loading.
    ///
    /// # Errors
    /// [`Unknown`]: the first that is neither a module nor built in.
    pub fn load_order(&self, wanted: &[&str]) -> Result<Vec<&str>, Unknown> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        // A module is on the stack twice: first to look at what it needs, then to be loaded.
        let mut stack: Vec<(String, bool)> = wanted.iter().rev().map(|name| (name_of(name), false)).collect();
        while let Some((name, ready)) = stack.pop() {
            let Some(module) = self.by_name.get(&name) else {
                if self.builtin.contains(&name) {
                    continue;
                }
                return Err(Unknown(name));
            };
            if ready {
                order.push(module.path.as_str());
            } else if seen.insert(name.clone()) {
                stack.push((name, true));
                stack.extend(module.needs.iter().rev().map(|need| (need.clone(), false)));
            }
        }
        Ok(order)
    }
}

/// `kernel/fs/9p/9p.ko.xz` is 9p; the kernel takes - and _ for the same.
fn name_of(path: &str) -> String {
    let file = path.trim().rsplit('/').next().unwrap_or_default();
    let stem = file.split_once(".ko").map_or(file, |(stem, _)| stem);
    stem.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEP: &str = "\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko kernel/fs/fscache/fscache.ko
kernel/fs/netfs/netfs.ko:
kernel/fs/fscache/fscache.ko: kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/drivers/virtio/virtio-ring.ko kernel/net/9p/9pnet.ko
kernel/drivers/virtio/virtio-ring.ko.xz:
";

    #[test]
    fn what_a_module_needs_comes_before_it_and_once() {
        let modules = Modules::parse(DEP, "kernel/fs/overlayfs/overlay.ko\n");
        let order = modules.load_order(&["9pnet_virtio", "9p", "overlay", "9p"]).unwrap();
        let expected = [
            "kernel/drivers/virtio/virtio-ring.ko.xz",
            "kernel/net/9p/9pnet.ko",
            "kernel/net/9p/9pnet_virtio.ko",
            "kernel/fs/netfs/netfs.ko",
            "kernel/fs/fscache/fscache.ko",
            "kernel/fs/9p/9p.ko",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let modules = Modules::parse(DEP, "");
        assert_eq!(modules.load_order(&["9p", "ip_vs"]), Err(Unknown("ip_vs".to_owned())));
        assert!(modules.has("virtio_ring") && modules.has("virtio-ring") && !modules.has("ip_vs"));
    }

    #[test]
    fn a_circle_ends() {
        let modules = Modules::parse("a.ko: b.ko\nb.ko: a.ko\n", "");
        assert_eq!(modules.load_order(&["a"]).unwrap().len(), 2);
    }

    proptest! {
        /// Module n needs only modules below n; any order of lines.
        #[test]
        fn all_that_is_needed_is_loaded_first(
            needs in proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 0..4), 1..30),
            wanted in proptest::collection::vec(any::<prop::sample::Index>(), 1..5),
        ) {
            let needs: Vec<Vec<usize>> = needs.iter().enumerate()
                .map(|(n, list)| if n == 0 { vec![] } else { list.iter().map(|i| i.index(n)).collect() })
                .collect();
            let dep: String = needs.iter().enumerate().rev()
                .map(|(n, list)| format!("m{n}.ko:{}\n", list.iter().map(|m| format!(" m{m}.ko")).collect::<String>()))
                .collect();
            let wanted: Vec<String> = wanted.iter().map(|i| format!("m{}", i.index(needs.len()))).collect();
            let modules = Modules::parse(&dep, "");
            let order = modules.load_order(&wanted.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
            let place = |n: usize| order.iter().position(|path| *path == format!("m{n}.ko"));
            for name in &wanted {
                let path = format!("{name}.ko");
                prop_assert!(order.contains(&path.as_str()));
            }
            for (n, list) in needs.iter().enumerate() {
                if let Some(at) = place(n) {
                    for m in list {
                        prop_assert!(place(*m).is_some_and(|before| before < at));
                    }
                }
            }
            prop_assert_eq!(order.iter().collect::<HashSet<_>>().len(), order.len());
        }

        #[test]
        fn no_text_makes_it_panic(dep: String, builtin: String, wanted: String) {
            let _ = Modules::parse(&dep, &builtin).load_order(&[&wanted]);
        }
    }
}
