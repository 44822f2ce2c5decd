//! One boot: QEMU's command line, the guest's job, what comes back. Changes when the guest's devices do.

use crate::cache::Installed;
use crate::error::{Error, Result, file};
use crate::initramfs::Initramfs;
use crate::{host, program};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What to run, and in what machine.
#[derive(Debug)]
pub struct Job<'a> {
    /// The command and its arguments, run as root.
    pub command: &'a [OsString],
    /// The directory that it starts in; absolute.
    pub directory: &'a Path,
    /// A directory of the host that the guest may write to, as /out.
    pub output: Option<&'a Path>,
    /// The guest's memory in MiB, its files' changes included.
    pub memory_mib: u32,
    /// The guest's processors. With two a guest has hung, both busy, once in some thirty boots.
    pub processors: u32,
    /// From start to power-off.
    pub timeout: Duration,
    /// Before everything else on this host (SCHED_RR): a guest that has to wait for a processor is late.
    pub realtime: bool,
}

/// How a job ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command ended with this exit code.
    Exited(u8),
    /// There is no exit code: the kernel panicked, or time was up.
    Lost {
        /// What happened, in words.
        why: String,
        /// The last lines of the guest's console.
        console: String,
    },
}

const CONSOLE_LINES: usize = 60;
const INIT: &str = include_str!("init.sh");

/// Runs a job; the command's output goes to `stdout` and `stderr` as it comes.
///
/// # Errors
/// The machine cannot be started.
pub fn run(
    kernel: &Installed,
    job: &Job<'_>,
    stdout: &mut (impl Write + Send),
    stderr: &mut (impl Write + Send),
) -> Result<Outcome> {
    let directory = tempfile::Builder::new().prefix("tg-vm-").tempdir().map_err(file("make", &std::env::temp_dir()))?;
    let files = Files::new(directory.path());
    write_initramfs(kernel, job, &files.initramfs)?;
    let output = job.output.map(|path| path.canonicalize().map_err(file("find", path))).transpose()?;
    let child = program::tied("qemu-system-x86_64", job.realtime)
        .args(arguments(&kernel.image(), job, output.as_deref(), &files))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Start { program: "qemu-system-x86_64", source })?;
    let ended = follow(child, job.timeout, stdout, stderr).map_err(file("wait for the guest in", directory.path()))?;
    let result = fs::read_to_string(&files.result).unwrap_or_default();
    if let Ok(code) = result.trim().parse() {
        return Ok(Outcome::Exited(code));
    }
    let console = fs::read(&files.console).unwrap_or_default();
    let why = match ended {
        Ended::TimeUp => format!("the guest was stopped: it took longer than {} s", job.timeout.as_secs()),
        Ended::Stopped(how) => format!("the guest ended without an exit code of the command ({how})"),
    };
    Ok(Outcome::Lost { why, console: last_lines(&console) })
}

/// Files of one run.
struct Files {
    initramfs: PathBuf,
    console: PathBuf,
    result: PathBuf,
}

impl Files {
    fn new(directory: &Path) -> Files {
        let path = |name| directory.join(name);
        Files { initramfs: path("initramfs"), console: path("console"), result: path("result") }
    }
}

fn write_initramfs(kernel: &Installed, job: &Job<'_>, path: &Path) -> Result<()> {
    let initramfs = Initramfs {
        busybox: &host::busybox()?,
        init: INIT.as_bytes(),
        job: &script(&kernel.modules_directory(), job),
        modules: &kernel.boot_modules()?,
    };
    let to = fs::File::create(path).map_err(file("make", path))?;
    initramfs.write(io::BufWriter::new(to)).map_err(file("write", path))
}

/// What the guest's init reads: shell.
fn script(modules: &Path, job: &Job<'_>) -> Vec<u8> {
    let mut script = b"modules=".to_vec();
    script.extend(quoted(modules.as_os_str()));
    script.extend_from_slice(if job.output.is_some() { b"\noutput=1\nset --" } else { b"\noutput=0\nset --" });
    for word in std::iter::once(job.directory.as_os_str()).chain(job.command.iter().map(OsString::as_os_str)) {
        script.push(b' ');
        script.extend(quoted(word));
    }
    script.push(b'\n');
    script
}

/// One word for a shell, whatever is in it.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

fn arguments(image: &Path, job: &Job<'_>, output: Option<&Path>, files: &Files) -> Vec<OsString> {
    // KVM is refused to stock kernels in many nested machines, where /dev/kvm is there all the same.
    let fixed = "-accel tcg,thread=multi -cpu Nehalem -nodefaults -display none -no-reboot -nic none";
    let mut all: Vec<OsString> = fixed.split(' ').map(OsString::from).collect();
    let mut add = |option: &str, value: OsString| all.extend([option.into(), value]);
    add("-m", job.memory_mib.to_string().into());
    add("-smp", job.processors.to_string().into());
    add("-kernel", image.into());
    add("-initrd", files.initramfs.as_os_str().into());
    // Without no_timer_check a guest that a busy host keeps waiting takes its timer for broken, and panics.
    let kernel = "console=ttyS0 quiet loglevel=4 panic=-1 nokaslr mitigations=off tsc=reliable no_timer_check";
    add("-append", kernel.into());
    add("-chardev", with_path("file,id=console,path=", &files.console));
    add("-serial", "chardev:console".into());
    add("-device", "virtio-serial-pci".into());
    // Both are pipes, so that opening them again truncates nothing.
    for (name, path) in
        [("stdout", Path::new("/dev/fd/1")), ("stderr", Path::new("/dev/fd/2")), ("result", files.result.as_path())]
    {
        add("-chardev", with_path(&format!("file,id={name},path="), path));
        add("-device", format!("virtserialport,chardev={name},name={name}").into());
    }
    let host = "local,id=host,security_model=none,readonly=on,multidevs=remap,path=";
    add("-fsdev", with_path(host, Path::new("/")));
    add("-device", "virtio-9p-pci,fsdev=host,mount_tag=host".into());
    if let Some(output) = output {
        add("-fsdev", with_path("local,id=output,security_model=none,multidevs=remap,path=", output));
        add("-device", "virtio-9p-pci,fsdev=output,mount_tag=output".into());
    }
    all
}

/// QEMU's options end at a comma; two stand for one.
fn with_path(option: &str, path: &Path) -> OsString {
    let mut bytes = option.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

enum Ended {
    TimeUp,
    Stopped(std::process::ExitStatus),
}

/// Passes on what QEMU says until it ends, or ends it when time is up.
fn follow(
    mut child: Child,
    timeout: Duration,
    stdout: &mut (impl Write + Send),
    stderr: &mut (impl Write + Send),
) -> io::Result<Ended> {
    let deadline = Instant::now().checked_add(timeout);
    let (said, silent) = mpsc::channel();
    let (from_stdout, from_stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let done = said.clone();
        scope.spawn(move || pass_on(from_stdout, stdout, &done));
        scope.spawn(move || pass_on(from_stderr, stderr, &said));
        let in_time = both_ended(&silent, deadline);
        if !in_time {
            child.kill()?;
        }
        let status = child.wait()?;
        Ok(if in_time { Ended::Stopped(status) } else { Ended::TimeUp })
    })
}

/// Copies until QEMU's end, even when nobody takes it any more.
fn pass_on(from: Option<impl Read>, to: &mut impl Write, done: &mpsc::Sender<()>) {
    if let Some(mut from) = from
        && io::copy(&mut from, to).and_then(|_| to.flush()).is_err()
    {
        let _ = io::copy(&mut from, &mut io::sink());
    }
    let _ = done.send(());
}

/// Whether both streams ended before the deadline.
fn both_ended(silent: &Receiver<()>, deadline: Option<Instant>) -> bool {
    (0..2).all(|_| match deadline {
        None => silent.recv().is_ok(),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            silent.recv_timeout(left) != Err(RecvTimeoutError::Timeout)
        }
    })
}

fn last_lines(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n")
}

#[cfg(test)]
mod tests;
