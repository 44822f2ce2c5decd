//! What tg does for each packet, without the kernel: `cargo bench -p tg-core`. Changes when another piece
//! becomes hot.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use tg_core::connection::{Connection, Outstanding, Shared};
use tg_core::payload::Payload;
use tg_core::schedule::{Schedule, Share};
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::Established;
use tg_model::time::Nanos;

const SIZE: u32 = 1024;
/// Packets in one go of the connection's bench: more than one turn of the payload's pattern.
const PACKETS: u64 = 8;

fn schedule(c: &mut Criterion) {
    let whole = Share { shard: 0, shards: 1, total: 1000 };
    for (name, batch) in
        [("schedule, next packet", Nanos(0)), ("schedule, next packet, batched", Nanos::from_millis(1))]
    {
        let mut schedule = Schedule::new(Nanos(0), 50.0, batch, whole);
        c.bench_function(name, |b| {
            b.iter(|| {
                schedule.advance();
                black_box((schedule.peek(), schedule.leaves(schedule.peek().at)))
            });
        });
    }
}

fn connection() -> Connection {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let established = Established {
        conn: ConnId { slot: SlotId(0), nth: 0 },
        first_attempt_ns: 0,
        attempt_ns: 0,
        established_ns: 0,
        failed_attempts: 0,
        local: address(40_000),
        remote: address(5003),
    };
    Connection::new(established, Nanos(0))
}

/// Packets sent and their echoes checked, one out at a time.
fn round_trips(c: &mut Criterion) {
    let payload = Payload::new(SIZE, false, 1);
    let bytes = payload.bytes();
    let mut outstanding = Outstanding::new(1, 64);
    c.bench_function("connection, 8 packets sent and echoed", |b| {
        b.iter_batched_ref(
            connection,
            |connection| {
                for k in 0..PACKETS {
                    let at = Nanos(k * 1000);
                    let message = connection.next_stream_message(&payload, at);
                    let mut shared = Shared { payload: &payload, outstanding: &mut outstanding, slot: 0 };
                    connection.sent(&mut shared, at, true, u64::from(SIZE));
                    let start = message.start as usize;
                    let echo = &bytes[start..start + message.len as usize];
                    let told = connection.receive_stream(&mut shared, echo, |_, echo| {
                        black_box(echo);
                    });
                    assert_eq!(told, Ok(()));
                }
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(hot, schedule, round_trips);
criterion_main!(hot);
