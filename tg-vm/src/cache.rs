//! Kernels kept between runs: got once, complete or not there at all. Changes when what is kept does.

use crate::apt::Apt;
use crate::error::{Error, Result, file};
use crate::kernels::{BOOT_MODULES, Kernel};
use crate::modules::{Modules, Unknown};
use crate::{bzimage, program};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A directory with kernels.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
}

/// A kernel that is there.
#[derive(Debug)]
pub struct Installed {
    directory: PathBuf,
    stamp: Stamp,
}

/// Where a kernel came from; written last.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Stamp {
    package: String,
    version: String,
    release: String,
}

const STAMP: &str = "kernel.json";

impl Cache {
    /// The cache in `directory`, which need not exist yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Cache {
        Cache { directory }
    }

    /// Where it is when nothing else is said: `$XDG_CACHE_HOME/tg-vm`, or `~/.cache/tg-vm`.
    #[must_use]
    pub fn default_directory() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Some(set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("tg-vm"))
    }

    /// The kernel, if it is there.
    ///
    /// # Errors
    /// Its directory cannot be read.
    pub fn installed(&self, kernel: &Kernel) -> Result<Option<Installed>> {
        let directory = self.directory.join(kernel.name);
        let path = directory.join(STAMP);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(file("read", &path))?,
        };
        let stamp = serde_json::from_slice(&text).map_err(io::Error::from).map_err(file("read", &path))?;
        Ok(Some(Installed { directory, stamp }))
    }

    /// The kernel; got from Debian's archive where it is not there, with `tell` told so. Two processes that
    /// want the same kernel get it once.
    ///
    /// # Errors
    /// It cannot be got. Nothing of it is kept then.
    pub fn get(&self, kernel: &Kernel, tell: impl FnOnce(&str)) -> Result<Installed> {
        self.install(kernel, |directory| from_archive(directory, kernel, tell))
    }

    fn install(&self, kernel: &Kernel, fill: impl FnOnce(&Path) -> Result<Stamp>) -> Result<Installed> {
        if let Some(installed) = self.installed(kernel)? {
            return Ok(installed);
        }
        fs::create_dir_all(&self.directory).map_err(file("make", &self.directory))?;
        let _locked = lock(&self.directory.join(format!("{}.lock", kernel.name)))?;
        if let Some(installed) = self.installed(kernel)? {
            return Ok(installed);
        }
        // One that was killed left its directory.
        let partial = self.directory.join(format!("{}.partial", kernel.name));
        remove(&partial)?;
        fs::create_dir(&partial).map_err(file("make", &partial))?;
        let filled = fill(&partial).and_then(|stamp| {
            let text = serde_json::to_vec(&stamp).map_err(io::Error::from).map_err(file("describe", &partial))?;
            fs::write(partial.join(STAMP), text).map_err(file("write in", &partial))?;
            let directory = self.directory.join(kernel.name);
            fs::rename(&partial, &directory).map_err(file("name", &directory))?;
            Ok(Installed { directory, stamp })
        });
        if filled.is_err() {
            remove(&partial)?;
        }
        filled
    }
}

impl Installed {
    /// What `uname -r` says in the guest.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.stamp.release
    }

    /// The version of Debian's package.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.stamp.version
    }

    /// The kernel as an ELF file.
    pub(crate) fn image(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// What is /lib/modules/RELEASE in the guest.
    pub(crate) fn modules_directory(&self) -> PathBuf {
        modules_directory(&self.directory, &self.stamp.release)
    }

    /// The modules that the guest starts with, uncompressed, in the order to load them.
    pub(crate) fn boot_modules(&self) -> Result<Vec<Vec<u8>>> {
        let directory = self.modules_directory();
        let modules = read_modules(&directory)?;
        let lacks = |Unknown(module)| Error::Module { package: self.stamp.package.clone(), module };
        let order = modules.load_order(&BOOT_MODULES).map_err(lacks)?;
        order.into_iter().map(|path| read_module(&directory.join(path))).collect()
    }
}

fn modules_directory(directory: &Path, release: &str) -> PathBuf {
    directory.join("root/lib/modules").join(release)
}

fn read_modules(directory: &Path) -> Result<Modules> {
    let text = |name| {
        let path = directory.join(name);
        fs::read_to_string(&path).map_err(file("read", &path))
    };
    Ok(Modules::parse(&text("modules.dep")?, &text("modules.builtin")?))
}

fn read_module(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(file("read", path))?;
    if path.extension().is_none_or(|extension| extension != "xz") {
        return Ok(bytes);
    }
    let mut module = Vec::new();
    io::copy(&mut bzimage::unxz(&bytes), &mut module).map_err(file("unpack", path))?;
    Ok(module)
}

/// Fills `directory` with the newest kernel of the archive.
fn from_archive(directory: &Path, kernel: &Kernel, tell: impl FnOnce(&str)) -> Result<Stamp> {
    let downloads = directory.join("apt");
    fs::create_dir(&downloads).map_err(file("make", &downloads))?;
    let apt = Apt::new(&downloads, kernel)?;
    let package = apt.image(kernel.package)?;
    tell(&format!("getting {} {}", package.name, package.version));
    let archive = apt.download(&package)?;
    let root = directory.join("root");
    program::run("dpkg-deb", |command| {
        command.arg("-x").arg(&archive).arg(&root);
    })?;
    remove(&downloads)?;

    let lacks = |what| Error::Layout { package: package.name.clone(), what };
    let release = package.name.strip_prefix("linux-image-").ok_or_else(|| lacks("release in its name"))?.to_owned();
    let path = root.join(format!("boot/vmlinuz-{release}"));
    let image = fs::read(&path).map_err(file("read", &path))?;
    let elf = bzimage::kernel(&image).map_err(|source| Error::Image { path, source })?;
    fs::write(directory.join("vmlinux"), elf).map_err(file("write in", directory))?;
    remove(&root.join("boot"))?;

    program::run("depmod", |command| {
        command.arg("-b").arg(&root).arg(&release);
    })?;
    let modules = read_modules(&modules_directory(directory, &release))?;
    if let Some(module) = kernel.modules.iter().chain(&BOOT_MODULES).find(|module| !modules.has(module)) {
        return Err(Error::Module { package: package.name, module: (*module).to_owned() });
    }
    Ok(Stamp { package: package.name, version: package.version, release })
}

/// Waits until nobody else has the lock; the kernel frees it when its owner ends.
fn lock(path: &Path) -> Result<Flock<fs::File>> {
    let lock = fs::File::create(path).map_err(file("make", path))?;
    Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| file("lock", path)(errno.into()))
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(file("remove", directory)),
    }
}

#[cfg(test)]
mod tests;
