//! What is done for each packet (a histogram's record) and for each connection and second (journal lines):
//! `cargo bench -p tg-model`. Changes when another piece becomes hot.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use tg_model::histogram::Histogram;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{Established, Line, encode_line};

/// A generator whose values fill the range evenly: multiples of an odd number, their upper half.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    *state >> 44
}

fn histogram(c: &mut Criterion) {
    let (mut histogram, mut state) = (Histogram::default(), 0);
    c.bench_function("histogram, record", |b| b.iter(|| histogram.record(black_box(next(&mut state)))));
    let mut second = Histogram::default();
    (0..400).for_each(|_| second.record(next(&mut state)));
    c.bench_function("histogram of 400 values, encode", |b| b.iter(|| black_box(second.encode())));
}

fn journal(c: &mut Criterion) {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let line = Line::Established(Established {
        conn: ConnId { slot: SlotId(7), nth: 3 },
        first_attempt_ns: 1_234_567_890,
        attempt_ns: 1_234_567_890,
        established_ns: 1_234_667_890,
        failed_attempts: 0,
        local: address(40_000),
        remote: address(5003),
    });
    let mut out = Vec::with_capacity(4096);
    c.bench_function("journal line, encode", |b| {
        b.iter(|| {
            out.clear();
            encode_line(black_box(&line), &mut out);
            black_box(out.len())
        });
    });
}

criterion_group!(hot, histogram, journal);
criterion_main!(hot);
