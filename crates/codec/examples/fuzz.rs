//! Decodes broken bytes for a while: `cargo run --release -p lake_codec --example fuzz SECONDS [SEED]`.
//!
//! Takes encoded columns of all kinds, changes, cuts, repeats and joins bytes of them, gives them a
//! checksum that is right, and decodes them as every kind. Any panic ends it; so does memory beyond a
//! bound. Prints what was tried.

use lake_codec::{Bytes, Column, Kind, VERSION, Values, checksum, decode, encode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Memory that is allotted now, and the most that was.
struct Counting(AtomicUsize, AtomicUsize);

#[global_allocator]
static MEMORY: Counting = Counting(AtomicUsize::new(0), AtomicUsize::new(0));

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = self.0.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        self.1.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.0.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

const KINDS: [Kind; 8] = [
    Kind::Bool,
    Kind::I16,
    Kind::I32,
    Kind::I64,
    Kind::F32,
    Kind::F64,
    Kind::Fixed(8),
    Kind::Bytes,
];

fn column(random: &mut Random) -> Column {
    let n = random.below(700);
    let step = random.next() >> random.below(64);
    let mut at = random.next();
    let mut next = |random: &mut Random| {
        at = at.wrapping_add(if step & 1 == 0 { step } else { random.next() >> 50 });
        at
    };
    let mut numbers = |random: &mut Random| (0..n).map(|_| next(random)).collect::<Vec<u64>>();
    let values = match random.below(7) {
        0 => Values::Bool(numbers(random).iter().map(|v| v % 3 == 0).collect()),
        1 => Values::I16(numbers(random).iter().map(|v| *v as i16).collect()),
        2 => Values::I32(numbers(random).iter().map(|v| *v as i32).collect()),
        3 => Values::I64(numbers(random).iter().map(|v| *v as i64).collect()),
        4 => Values::F32(numbers(random).iter().map(|v| (v % 1000) as f32 / 10.0).collect()),
        5 => Values::F64(numbers(random).iter().map(|v| (v % 100_000) as f64 / 100.0).collect()),
        _ => {
            let different = 1 + random.below(400) as u64;
            let texts: Vec<_> =
                numbers(random).iter().map(|v| format!("value {:08}", v % different)).collect();
            Values::Bytes(texts.iter().map(String::as_bytes).collect::<Bytes>())
        }
    };
    let nulls = random.below(3);
    if nulls == 0 {
        return Column::full(values);
    }
    let mut bits = lake_codec::Bits::default();
    for row in 0..values.len() {
        (0..random.below(3) * usize::from(row % 50 < nulls)).for_each(|_| bits.push(true));
        bits.push(false);
    }
    Column { nulls: Some(bits), values }
}

fn broken(random: &mut Random, encoded: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = encoded.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => bytes.truncate(at.max(6)),
            4 => drop(bytes.splice(at..at, other.iter().copied().take(random.below(20)))),
            5 => drop(bytes.drain(at..bytes.len().min(at + random.below(10)))),
            _ => bytes.extend_from_slice(&other[random.below(other.len())..]),
        }
        if bytes.len() < 6 {
            bytes.resize(6, 0);
        }
    }
    bytes[1] = VERSION;
    let sum = checksum(&bytes);
    bytes[2..6].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<u64>().expect("a number"));
    let time = Duration::from_secs(arguments.next().unwrap_or(10));
    let seed = arguments.next().unwrap_or(1);
    let mut random = Random(seed);
    let start = Instant::now();
    let (mut tried, mut decoded) = (0_u64, 0_u64);
    let mut other = encode(&column(&mut random)).expect("a column");
    while start.elapsed() < time {
        let column = column(&mut random);
        let encoded = encode(&column).expect("a column");
        for _ in 0..50 {
            let bytes = broken(&mut random, &encoded, &other);
            let kind = KINDS[random.below(KINDS.len())];
            let before = MEMORY.0.load(Ordering::Relaxed);
            MEMORY.1.store(before, Ordering::Relaxed);
            if let Ok(found) = decode(&bytes, kind, column.rows()) {
                assert_eq!(found.rows(), column.rows());
                decoded += 1;
            }
            let took = MEMORY.1.load(Ordering::Relaxed) - before;
            assert!(took < 256 << 20, "{took} bytes of memory for {bytes:?}");
            tried += 1;
        }
        other = encoded;
    }
    println!("seed {seed}: {tried} tried, {decoded} of them decoded to some column");
}
