//! Debian's archive, by apt with an index of its own: the host's apt is not touched. Changes when apt does.

use crate::error::{Error, Result, file};
use crate::kernels::Kernel;
use crate::{host, program};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Read last, so that it overrides the host's: proxies stay, hooks and further sources go.
const CONFIGURATION: &str = r##"Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"##;

/// apt, working in one directory.
pub(crate) struct Apt {
    directory: PathBuf,
}

/// A package of the archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub name: String,
    pub version: String,
}

/// A package's file, as the archive's signed index describes it.
#[derive(Debug, PartialEq, Eq)]
struct Archive {
    file: String,
    size: u64,
    sha256: String,
}

impl Apt {
    /// Gets the index of the kernel's sources into `directory`, which exists and is empty.
    pub fn new(directory: &Path, kernel: &Kernel) -> Result<Apt> {
        let apt = Apt { directory: directory.to_owned() };
        let sources: String = kernel.sources.iter().map(|source| source_line(source)).collect();
        for (name, content) in [("apt.conf", CONFIGURATION), ("sources.list", sources.as_str()), ("status", "")] {
            let path = directory.join(name);
            fs::write(&path, content).map_err(file("write", &path))?;
        }
        for name in ["lists/partial", "archives/partial"] {
            let path = directory.join(name);
            fs::create_dir_all(&path).map_err(file("make", &path))?;
        }
        program::run("apt-get", |command| {
            // Without it, a source that fails is only a warning.
            apt.options(command).args(["-o", "APT::Update::Error-Mode=any", "update"]);
        })?;
        Ok(apt)
    }

    /// The newest image that `package` depends on.
    pub fn image(&self, package: &str) -> Result<Package> {
        let shown = program::run("apt-cache", |command| {
            self.options(command).args(["show", "--no-all-versions", package]);
        })?;
        image(&shown).ok_or_else(|| Error::Apt { what: "an image that it depends on", package: package.to_owned() })
    }

    /// Downloads a package; its file, as long as the index says and with that checksum.
    pub fn download(&self, package: &Package) -> Result<PathBuf> {
        let wanted = format!("{}={}", package.name, package.version);
        let uris = program::run("apt-get", |command| {
            self.options(command).args(["download", "--print-uris", &wanted]);
        })?;
        let archive = uris
            .lines()
            .find_map(archive)
            .ok_or_else(|| Error::Apt { what: "size and checksum", package: wanted.clone() })?;
        program::run("apt-get", |command| {
            self.options(command).args(["download", &wanted]);
        })?;
        let path = self.directory.join(&archive.file);
        verify(&path, &archive)?;
        Ok(path)
    }

    fn options<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(&self.directory).args(["-q", "-c", "apt.conf"]);
        for (item, path) in [
            ("Dir::State", "."),
            ("Dir::State::lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "."),
            ("Dir::Etc::sourcelist", "sources.list"),
        ] {
            let mut option = OsString::from(format!("{item}="));
            option.push(self.directory.join(path));
            command.arg("-o").arg(option);
        }
        command
    }
}

fn source_line(source: &str) -> String {
    format!("deb [arch=amd64 signed-by={} target=Packages] {source}\n", host::KEYRING.0)
}

/// The package in `Depends: linux-image-… (= version)`.
fn image(shown: &str) -> Option<Package> {
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    depends.split(", ").find_map(|dependency| {
        let (name, version) = dependency.split_once(" (= ")?;
        let version = version.trim_end().strip_suffix(')')?;
        name.starts_with("linux-image-").then(|| Package { name: name.to_owned(), version: version.to_owned() })
    })
}

/// A line of `--print-uris`: `'address' file size SHA256:digits`.
fn archive(line: &str) -> Option<Archive> {
    let mut words = line.split_whitespace();
    words.next().filter(|address| address.starts_with('\''))?;
    let file = words.next().filter(|file| file.ends_with(".deb") && !file.contains('/'))?.to_owned();
    let size = words.next()?.parse().ok()?;
    let sha256 = words.next()?.strip_prefix("SHA256:")?.to_owned();
    Some(Archive { file, size, sha256 })
}

fn verify(path: &Path, archive: &Archive) -> Result<()> {
    let wrong = |what: String| Error::Download { file: archive.file.clone(), what };
    let content = fs::read(path).map_err(file("read", path))?;
    let size = content.len() as u64;
    if size != archive.size {
        return Err(wrong(format!("{size} bytes, not {}", archive.size)));
    }
    let sha256: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    if sha256 != archive.sha256 {
        return Err(wrong(format!("SHA-256 {sha256}, not {}", archive.sha256)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHOWN: &str = "\
Package: linux-image-amd64
Version: 6.12.95-1~bpo12+1
Provides: linux-image-generic, wireguard-modules (= 1.0.0)
Depends: linux-base (>= 4), linux-image-6.12.95+deb12-amd64 (= 6.12.95-1~bpo12+1)
";

    #[test]
    fn the_image_is_the_one_depended_on() {
        let package = image(SHOWN).unwrap();
        assert_eq!(package.name, "linux-image-6.12.95+deb12-amd64");
        assert_eq!(package.version, "6.12.95-1~bpo12+1");
        assert_eq!(image("Depends: linux-base (= 4)\n"), None);
    }

    #[test]
    fn size_and_checksum_are_read_from_a_line_of_addresses() {
        let line = "'http://deb.debian.org/pool/x_1%2b2.deb' x_1+2.deb 106422608 SHA256:5e52";
        let expected = Archive { file: "x_1+2.deb".into(), size: 106_422_608, sha256: "5e52".into() };
        assert_eq!(archive(line), Some(expected));
        assert_eq!(archive("'http://x' ../x.deb 1 SHA256:5e52"), None);
        assert_eq!(archive("'http://x' x.deb 1 MD5Sum:5e52"), None);
        assert_eq!(archive("Reading package lists..."), None);
    }

    #[test]
    fn another_size_or_checksum_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.deb");
        fs::write(&path, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let right = Archive { file: "x.deb".into(), size: 3, sha256: abc.into() };
        verify(&path, &right).unwrap();
        let longer = Archive { size: 4, ..right };
        assert_eq!(verify(&path, &longer).unwrap_err().to_string(), "x.deb was downloaded wrong: 3 bytes, not 4");
        let other = Archive { size: 3, sha256: abc.replace('b', "c"), ..longer };
        assert!(verify(&path, &other).unwrap_err().to_string().contains("SHA-256"));
    }

    proptest! {
        #[test]
        fn no_answer_of_apt_makes_it_panic(text: String) {
            let _ = image(&text);
            let _ = image(&format!("Depends: {text}"));
            let _ = archive(&format!("'{text}"));
        }
    }
}
