//! The paced floor on io_uring: one submit for all that is due, multishot receives into provided
//! buffers. Changes when there is a cheaper way to do it with io_uring.

use crate::paced::{Load, Schedule, Tally};
use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::alloc::{Layout, alloc_zeroed};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

const ENTRIES: u32 = 4096;
const BUFFERS: u16 = 1024;
const BUFFER_SIZE: usize = 2048;
const GROUP: u16 = 0;
/// User data of sends; a receive has its connection's number plus one.
const SEND: u64 = 0;

pub fn run(load: &Load) -> io::Result<Tally> {
    load.set_up_thread()?;
    let streams = load.connect()?;
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .build(ENTRIES)
        .map_err(|e| io::Error::new(e.kind(), format!("setting io_uring up: {e}")))?;
    let mut buffers = Buffers::register(&ring)?;
    let fds: Vec<Fd> = streams.iter().map(|s| Fd(s.as_raw_fd())).collect();
    for conn in 0..fds.len() {
        receive(&mut ring, &fds, conn)?;
    }
    let packet = vec![0u8; load.size];
    let mut tally = Tally::new(load);
    let mut schedule = Schedule::new(load);
    let mut rearm = Vec::with_capacity(fds.len());
    loop {
        let mut now = schedule.now();
        let mut due = schedule.due();
        while let Some(conn) = schedule.take(now) {
            let send = opcode::Send::new(fds[conn], packet.as_ptr(), packet.len() as u32).flags(libc::MSG_NOSIGNAL);
            push(&mut ring, send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND))?;
            tally.sent(now - due);
            now = schedule.now();
            due = schedule.due();
        }
        if schedule.is_over(now) {
            return Ok(tally);
        }
        enter(&mut ring, due.saturating_sub(load.spin_ns).saturating_sub(now))?;
        for completion in ring.completion() {
            take(&completion, &mut buffers, &mut tally, &mut rearm)?;
        }
        for conn in rearm.drain(..) {
            receive(&mut ring, &fds, conn)?;
        }
    }
}

/// Submits what there is, and waits for a completion at most so long; at zero it looks only.
fn enter(ring: &mut IoUring, wait_ns: u64) -> io::Result<()> {
    let outcome = if wait_ns > 0 {
        let time = Timespec::new().sec(wait_ns / 1_000_000_000).nsec((wait_ns % 1_000_000_000) as u32);
        ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time))
    } else {
        let submission = ring.submission();
        // Deferred work is done in an enter only: the flag says when one pays.
        let idle = submission.is_empty() && !submission.taskrun();
        drop(submission);
        if idle { Ok(0) } else { ring.submit() }
    };
    match outcome {
        Ok(_) => Ok(()),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => Ok(()),
        Err(e) => Err(e),
    }
}

fn take(
    completion: &cqueue::Entry,
    buffers: &mut Buffers,
    tally: &mut Tally,
    rearm: &mut Vec<usize>,
) -> io::Result<()> {
    let (user_data, result) = (completion.user_data(), completion.result());
    if user_data == SEND {
        // Successes are not told.
        return Err(io::Error::from_raw_os_error(-result));
    }
    let conn = (user_data - 1) as usize;
    if let Some(id) = cqueue::buffer_select(completion.flags()) {
        buffers.give_back(id);
    }
    if !cqueue::more(completion.flags()) {
        rearm.push(conn);
    }
    match result {
        0 => return Err(io::Error::other("the server closed a connection")),
        1.. => tally.echoed(conn, result as usize),
        _ if -result == libc::ENOBUFS => {}
        _ => return Err(io::Error::from_raw_os_error(-result)),
    }
    Ok(())
}

fn receive(ring: &mut IoUring, fds: &[Fd], conn: usize) -> io::Result<()> {
    push(ring, opcode::RecvMulti::new(fds[conn], GROUP).build().user_data(conn as u64 + 1))
}

fn push(ring: &mut IoUring, entry: squeue::Entry) -> io::Result<()> {
    if ring.submission().is_full() {
        ring.submit()?;
    }
    // SAFETY: what an entry points to (the packet, the provided buffers) is neither moved nor freed
    // while the ring is there: the packet is only read by the kernel, and the buffers are never freed.
    unsafe { ring.submission().push(&entry) }.map_err(io::Error::other)
}

/// The buffers that receives are given. Never freed: the process ends with the run.
struct Buffers {
    ring: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    fn register(ring: &IoUring) -> io::Result<Buffers> {
        let count = usize::from(BUFFERS);
        let entries = allocate(count * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        let mut buffers = Buffers { ring: entries, memory: allocate(count * BUFFER_SIZE)?, tail: 0 };
        // SAFETY: `entries` is page-aligned, as long as so many entries, and never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, BUFFERS, GROUP, 0) }?;
        for id in 0..BUFFERS {
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// The kernel may fill this buffer again: what it held was only counted.
    fn give_back(&mut self, id: u16) {
        let index = usize::from(self.tail % BUFFERS);
        // SAFETY: `index` and `id` are below the number of entries and buffers, which were allocated for
        // just so many; entries past the tail are not read by the kernel.
        unsafe {
            let entry = &mut *self.ring.add(index);
            entry.set_addr(self.memory.add(usize::from(id) * BUFFER_SIZE) as u64);
            entry.set_len(BUFFER_SIZE as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies within the ring's first entry, aligned, and is written by this thread
        // only. Release: the kernel sees the entry before the tail.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring).cast_mut()).store(self.tail, Ordering::Release) };
    }
}

fn allocate(bytes: usize) -> io::Result<*mut u8> {
    let layout = Layout::from_size_align(bytes, 4096).map_err(io::Error::other)?;
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(memory) }
}
