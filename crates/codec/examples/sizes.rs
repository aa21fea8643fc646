//! Bytes a row and speed on a fleet's metrics: `cargo run --release -p lake_codec --example sizes [ROWS]`.
//!
//! Three gauges that walk in whole numbers from 0 to 100, one with two decimals, one counter, and the time,
//! ten seconds apart, in batches of 4,320 rows (half a day of one host).

use lake_codec::{Column, Kind, Values, decode, encode};
use std::time::Instant;

const BATCH: usize = 4_320;

fn main() {
    let rows = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_728_000_usize);
    let mut seed = 7_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut columns: Vec<(&str, Kind, Vec<Values>)> = vec![
        ("time", Kind::I64, vec![]),
        ("gauge a", Kind::F64, vec![]),
        ("gauge b", Kind::F64, vec![]),
        ("gauge c", Kind::F64, vec![]),
        ("gauge, 2 decimals", Kind::F64, vec![]),
        ("counter", Kind::I64, vec![]),
    ];
    for batch in 0..rows / BATCH {
        let start = (batch * BATCH) as i64;
        columns[0].2.push(Values::I64((start..).take(BATCH).map(|i| i * 10_000_000).collect()));
        for column in &mut columns[1..4] {
            let mut at = 50.0_f64;
            let walk = (0..BATCH).map(|_| {
                at = (at + (random() * 3.0 - 1.5).round()).clamp(0.0, 100.0);
                at
            });
            column.2.push(Values::F64(walk.collect()));
        }
        let mut at = 50.0_f64;
        let walk = (0..BATCH).map(|_| {
            at = (at + random() - 0.5).clamp(0.0, 100.0);
            (at * 100.0).round() / 100.0
        });
        columns[4].2.push(Values::F64(walk.collect()));
        let mut count = 0_i64;
        columns[5].2.push(Values::I64(
            (0..BATCH)
                .map(|_| {
                    count += (random() * 1000.0) as i64;
                    count
                })
                .collect(),
        ));
    }
    let mut total = 0;
    for (name, kind, batches) in columns {
        let batches: Vec<_> = batches.into_iter().map(Column::full).collect();
        let values = (batches.len() * BATCH) as f64;
        let start = Instant::now();
        let encoded: Vec<_> = batches.iter().map(|b| encode(b).expect("a column")).collect();
        let writing = start.elapsed().as_secs_f64();
        let start = Instant::now();
        for bytes in &encoded {
            std::hint::black_box(decode(bytes, kind, BATCH).expect("a column"));
        }
        let reading = start.elapsed().as_secs_f64();
        let bytes: usize = encoded.iter().map(Vec::len).sum();
        total += bytes;
        println!(
            "{name:18} {:6.3} bytes a value, {:6.1} M/s written, {:6.1} M/s read",
            bytes as f64 / values,
            values / writing / 1e6,
            values / reading / 1e6,
        );
    }
    println!("{:.3} bytes a row", total as f64 / (rows / BATCH * BATCH) as f64);
}
