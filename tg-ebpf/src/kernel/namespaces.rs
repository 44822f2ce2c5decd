//! Which network namespaces there are and whose they are. Changes when how that is found out does.

use super::enter::NAMED;
use crate::place::{Owner, owner};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tg_model::node_event::{Namespace, Netns};

/// Inodes of namespaces begin here (`prog/src/read.rs`): a name whose file is no mount is none.
const FIRST_INODE: u64 = 0xEFFF_FFF0;
/// Names that a CNI plugin makes up say less than the pod's.
const MADE_UP: &str = "cni-";
/// The namespace that the machine began with.
const HOST: &str = "host";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    name: Option<String>,
    owner: Owner,
    gone: bool,
    /// Its file, while it has one.
    file: Option<PathBuf>,
    /// How often its owner was looked for in vain after something happened in it.
    looks: u8,
}

/// A pod's first process is there before it is in the pod's cgroup: who has no owner yet is looked for again, but not
/// for ever, as each look reads all processes.
const LOOKS: u8 = 10;

/// What is known of the namespaces. One that is gone keeps its name.
#[derive(Debug, Default)]
pub struct Namespaces {
    by_inode: HashMap<u32, Known>,
    /// Inodes are used again, cookies are not.
    by_cookie: HashMap<u64, String>,
    /// Inodes in which something happened and that have no name yet: they are looked for.
    unknown: HashSet<u32>,
}

impl Namespaces {
    /// Looks at what there is. Gives what came and what went since the last time.
    pub fn scan(&mut self, at_ns: u64) -> Vec<Namespace> {
        // Where names cannot be read, for want of a descriptor, say, that is no word of their end.
        let Ok(named) = named(Path::new(NAMED)) else { return Vec::new() };
        let came = named.iter().any(|(inode, _)| self.by_inode.get(inode).is_none_or(|k| k.file.is_none()));
        let mut found: HashMap<u32, Known> = HashMap::new();
        for (inode, file) in named {
            let name = file.file_name().map(|n| n.to_string_lossy().into_owned());
            found.entry(inode).or_insert(Known { name, file: Some(file), ..Known::default() });
        }
        if came || !self.unknown.is_empty() {
            owners(&mut found);
        }
        let lines = self.update(found, at_ns);
        for inode in self.unknown.drain() {
            if let Some(known) = self.by_inode.get_mut(&inode) {
                known.looks = known.looks.saturating_add(1);
            }
        }
        lines
    }

    fn update(&mut self, found: HashMap<u32, Known>, at_ns: u64) -> Vec<Namespace> {
        let mut lines = Vec::new();
        for (inode, known) in &mut self.by_inode {
            if known.file.is_some() && !found.contains_key(inode) {
                (known.gone, known.file) = (true, None);
                lines.push(line(*inode, known, at_ns));
            }
        }
        for (inode, now) in found {
            if let Some(before) = self.by_inode.get_mut(&inode)
                && now.file.is_none()
            {
                before.file = None;
            }
            let before = self.by_inode.get(&inode);
            let new = match before {
                None => true,
                Some(b) => {
                    b.gone
                        || (now.file.is_some() && b.file != now.file)
                        || b.owner != now.owner && now.owner != Owner::default()
                }
            };
            if !new {
                continue;
            }
            let kept = before.filter(|b| !b.gone).map(|b| b.owner.clone()).unwrap_or_default();
            let owner = if now.owner == Owner::default() { kept } else { now.owner.clone() };
            let known = Known { name: best_name(now.name, &owner), owner, ..now };
            lines.push(line(inode, &known, at_ns));
            self.by_inode.insert(inode, known);
        }
        lines
    }

    /// Fills in a namespace's name.
    pub fn name(&mut self, netns: &mut Netns) {
        if let Some(name) = self.by_cookie.get(&netns.cookie).filter(|_| netns.cookie != 0) {
            netns.name = Some(name.clone());
            return;
        }
        match self.by_inode.get(&netns.inode) {
            Some(known) => {
                netns.name = known.name.clone();
                if let (Some(name), true) = (&known.name, netns.cookie != 0) {
                    self.by_cookie.insert(netns.cookie, name.clone());
                }
                if known.name.is_none() && known.looks < LOOKS {
                    self.unknown.insert(netns.inode);
                }
            }
            None if netns.inode != 0 => {
                self.unknown.insert(netns.inode);
            }
            None => {}
        }
    }

    /// A namespace with its name, where that is known: it is not looked for.
    pub fn known(&self, inode: u32) -> Netns {
        Netns { inode, cookie: 0, name: self.by_inode.get(&inode).and_then(|k| k.name.clone()) }
    }

    /// Those that have a file, by inode.
    pub fn files(&self) -> impl Iterator<Item = (u32, &Path, &str)> {
        self.by_inode.iter().filter_map(|(inode, k)| {
            let file = k.file.as_deref()?;
            Some((*inode, file, file.file_name()?.to_str()?))
        })
    }
}

fn best_name(file: Option<String>, owner: &Owner) -> Option<String> {
    let pod = owner.pod_uid.as_ref().map(|uid| format!("pod {uid}"));
    let container = || owner.container.as_ref().map(|id| format!("container {}", &id[..12]));
    match file {
        Some(name) if name.starts_with(MADE_UP) => pod.or_else(container).or(Some(name)),
        Some(name) => Some(name),
        None => pod.or_else(container),
    }
}

fn line(inode: u32, known: &Known, at_ns: u64) -> Namespace {
    Namespace {
        at_ns,
        netns: Netns { inode, cookie: 0, name: known.name.clone() },
        pod_uid: known.owner.pod_uid.clone(),
        container: known.owner.container.clone(),
        gone: known.gone,
    }
}

/// The namespaces that have a name. The directory is made with the first one.
fn named(directory: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let files = match fs::read_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?.map(|file| Ok(file?.path())).collect::<io::Result<Vec<PathBuf>>>()?,
    };
    Ok(files.into_iter().filter_map(|file| Some((inode(&file)?, file))).collect())
}

/// The inode of a namespace's file.
pub fn inode(file: &Path) -> Option<u32> {
    let inode = fs::metadata(file).ok()?.st_ino();
    (inode >= FIRST_INODE).then(|| u32::try_from(inode).ok()).flatten()
}

/// Finds each namespace's owner by the cgroups of processes in it; the first that tells one.
fn owners(found: &mut HashMap<u32, Known>) {
    let host = inode(Path::new("/proc/1/ns/net"));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|e| e.path());
    let processes = processes.filter(|p| p.file_name().is_some_and(|n| n.as_encoded_bytes()[0].is_ascii_digit()));
    for process in processes {
        let Some(inode) = inode(&process.join("ns/net")) else { continue };
        let known = found.entry(inode).or_default();
        if Some(inode) == host {
            known.name = Some(HOST.into());
        } else if known.owner == Owner::default() {
            known.owner = fs::read_to_string(process.join("cgroup")).map(|c| owner(&c)).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Known {
        Known { name: Some(name.into()), file: Some(Path::new(NAMED).join(name)), ..Known::default() }
    }

    fn name(namespaces: &mut Namespaces, inode: u32, cookie: u64) -> Option<String> {
        let mut netns = Netns { inode, cookie, name: None };
        namespaces.name(&mut netns);
        netns.name
    }

    #[test]
    fn one_that_is_gone_keeps_its_name_also_when_its_number_is_used_again() {
        let mut all = Namespaces::default();
        assert_eq!(all.update([(7, file("pod-1"))].into(), 1).len(), 1);
        assert_eq!(all.update([(7, file("pod-1"))].into(), 2), [], "nothing new");
        assert_eq!(name(&mut all, 7, 70), Some("pod-1".into()));
        let gone = all.update(HashMap::new(), 3);
        assert!(gone[0].gone && gone[0].netns.name.as_deref() == Some("pod-1"));
        assert_eq!(name(&mut all, 7, 70), Some("pod-1".into()));
        assert_eq!(all.update([(7, file("pod-2"))].into(), 4).len(), 1);
        assert_eq!(name(&mut all, 7, 71), Some("pod-2".into()));
        assert_eq!(name(&mut all, 7, 70), Some("pod-1".into()));
    }

    #[test]
    fn a_name_that_was_made_up_gives_way_to_the_pod_s() {
        let owner = Owner { pod_uid: Some("u-1".into()), container: Some("c".repeat(64)) };
        assert_eq!(best_name(Some("cni-1234".into()), &owner), Some("pod u-1".into()));
        assert_eq!(best_name(Some("node-1".into()), &owner), Some("node-1".into()));
        assert_eq!(best_name(None, &Owner { pod_uid: None, ..owner }), Some("container cccccccccccc".into()));
        assert_eq!(best_name(Some("cni-1234".into()), &Owner::default()), Some("cni-1234".into()));
    }

    #[test]
    fn names_that_cannot_be_read_are_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(named(&directory.path().join("later")).unwrap(), []);
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(named(&file).is_err());
        let own = inode(Path::new("/proc/self/ns/net")).unwrap();
        let link = directory.path().join("own");
        std::os::unix::fs::symlink("/proc/self/ns/net", &link).unwrap();
        assert_eq!(named(directory.path()).unwrap(), [(own, link)], "a file that is no namespace is no name");
    }

    #[test]
    fn an_unknown_one_asks_for_a_look() {
        let mut all = Namespaces::default();
        assert_eq!(name(&mut all, 0, 0), None);
        assert!(all.unknown.is_empty());
        assert_eq!(name(&mut all, 9, 90), None);
        assert!(all.unknown.contains(&9));
    }

    #[test]
    fn one_whose_owner_comes_later_gets_its_name_and_one_that_has_none_is_let_be() {
        let mut all = Namespaces::default();
        let owned = |pod_uid: Option<&str>| {
            let owner = Owner { pod_uid: pod_uid.map(str::to_owned), container: None };
            HashMap::from([(9, Known { owner, ..Known::default() })])
        };
        all.update(owned(None), 1);
        assert_eq!(name(&mut all, 9, 90), None);
        assert!(all.unknown.contains(&9), "a look is asked for again");
        assert_eq!(all.update(owned(Some("u-1")), 2).len(), 1);
        assert_eq!(name(&mut all, 9, 90), Some("pod u-1".into()));
        all.unknown.clear();
        all.update(HashMap::from([(8, Known { looks: LOOKS, ..Known::default() })]), 3);
        assert_eq!(name(&mut all, 8, 80), None);
        assert!(all.unknown.is_empty());
    }
}
