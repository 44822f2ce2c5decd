//! The guest's first files, as a cpio archive. Changes when the guest needs something else at its start.

use cpio::newc::{self, Builder, ModeFileType};
use std::io::{self, Write};

/// What is in the archive besides directories.
#[derive(Debug)]
pub struct Initramfs<'a> {
    /// A busybox that needs no libraries.
    pub busybox: &'a [u8],
    /// The shell script that is process 1.
    pub init: &'a [u8],
    /// What `init` reads to know what to do.
    pub job: &'a [u8],
    /// Modules, uncompressed, in the order to load them.
    pub modules: &'a [Vec<u8>],
}

const DIRECTORIES: [&str; 12] =
    ["bin", "dev", "host", "lib", "modules", "output", "proc", "root", "rw", "sbin", "sys", "usr"];

impl Initramfs<'_> {
    /// Writes the archive.
    ///
    /// # Errors
    /// Those of `to`, and a file of 4 GiB or more.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let mut archive = Archive { to, inode: 0 };
        for name in DIRECTORIES {
            archive.add(name, ModeFileType::Directory, b"")?;
        }
        archive.add("bin/busybox", ModeFileType::Regular, self.busybox)?;
        archive.add("init", ModeFileType::Regular, self.init)?;
        archive.add("job", ModeFileType::Regular, self.job)?;
        for (n, module) in self.modules.iter().enumerate() {
            // The shell's `*` sorts by name.
            archive.add(&format!("modules/{n:03}.ko"), ModeFileType::Regular, module)?;
        }
        newc::trailer(archive.to)?.flush()
    }
}

struct Archive<W> {
    to: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &str, kind: ModeFileType, content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        // Files with the same inode would be links to one another.
        self.inode += 1;
        let entry = Builder::new(name).ino(self.inode).mode(0o755).set_mode_file_type(kind);
        let mut writer = entry.write(&mut self.to, size);
        writer.write_all(content)?;
        writer.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn archive() -> Vec<u8> {
        let modules = [b"one".to_vec(), b"another".to_vec()];
        let initramfs = Initramfs { busybox: b"\x7fELF", init: b"#!/bin/busybox sh\n", job: b"", modules: &modules };
        let mut bytes = Vec::new();
        initramfs.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn each_file_has_its_content_and_an_inode_of_its_own() {
        let bytes = archive();
        let mut rest = bytes.as_slice();
        let mut files = Vec::new();
        let mut inodes = std::collections::HashSet::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            assert!(inodes.insert(reader.entry().ino()));
            if reader.entry().mode() & 0o170_000 == 0o100_000 {
                let mut content = Vec::new();
                reader.read_to_end(&mut content).unwrap();
                files.push((reader.entry().name().to_owned(), content));
            }
            rest = reader.finish().unwrap();
        }
        let expected = [
            ("bin/busybox", b"\x7fELF".to_vec()),
            ("init", b"#!/bin/busybox sh\n".to_vec()),
            ("job", b"".to_vec()),
            ("modules/000.ko", b"one".to_vec()),
            ("modules/001.ko", b"another".to_vec()),
        ];
        assert_eq!(files, expected.map(|(name, content)| (name.to_owned(), content)));
    }
}
