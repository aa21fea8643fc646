//! A sketch as bytes: what a column holds. The form is stable; a new one gets a new version byte.
//!
//! Version 1, integers as LEB128, signed ones zigzagged first: the byte 1; zeros, -∞, +∞, NaN; smallest and
//! largest value as little-endian doubles; then for the positive and the negative values the number of
//! buckets, and for each the distance to the bucket before (the first: its number) and the count.

use super::{MAX_BUCKETS, Sketch, Store};

const VERSION: u8 = 1;

/// The bytes are not those of a sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DamagedSketch {
    #[error("it is empty")]
    Empty,
    #[error("its version is {0}, which this lake_stores does not know")]
    Version(u8),
    #[error("it ends too early")]
    Short,
    #[error("something follows its end")]
    Long,
    #[error("it holds what no sketch does")]
    Content,
}

impl Sketch {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for count in [self.zeros, self.below, self.above, self.nans] {
            put(&mut out, count);
        }
        out.extend_from_slice(&self.min.to_le_bytes());
        out.extend_from_slice(&self.max.to_le_bytes());
        for store in [&self.positive, &self.negative] {
            put(&mut out, store.buckets().count() as u64);
            let mut before = 0;
            for (bucket, count) in store.buckets() {
                put(&mut out, zigzag(i64::from(bucket) - before));
                put(&mut out, count);
                before = i64::from(bucket);
            }
        }
        out
    }

    /// Reads what [`Sketch::to_bytes`] wrote; whatever else is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedSketch> {
        let (version, rest) = bytes.split_first().ok_or(DamagedSketch::Empty)?;
        if *version != VERSION {
            return Err(DamagedSketch::Version(*version));
        }
        let mut rest = Reader(rest);
        let mut sketch = Self {
            zeros: rest.number()?,
            below: rest.number()?,
            above: rest.number()?,
            nans: rest.number()?,
            min: rest.double()?,
            max: rest.double()?,
            positive: Store::default(),
            negative: Store::default(),
        };
        for store in [&mut sketch.positive, &mut sketch.negative] {
            let buckets = rest.number()?;
            if buckets > MAX_BUCKETS as u64 {
                return Err(DamagedSketch::Content);
            }
            let mut bucket = 0i64;
            for index in 0..buckets {
                let step = unzigzag(rest.number()?);
                let count = rest.number()?;
                if count == 0 || (index > 0 && step <= 0) {
                    return Err(DamagedSketch::Content);
                }
                bucket = bucket.checked_add(step).ok_or(DamagedSketch::Content)?;
                // Beyond the buckets of any double.
                if bucket.abs() > 40_000 {
                    return Err(DamagedSketch::Content);
                }
                store.add(i32::try_from(bucket).map_err(|_| DamagedSketch::Content)?, count);
            }
        }
        if !rest.0.is_empty() {
            return Err(DamagedSketch::Long);
        }
        let finite = sketch.positive.count() > 0 || sketch.negative.count() > 0 || sketch.zeros > 0;
        let ordered = sketch.min <= sketch.max && sketch.min.is_finite() && sketch.max.is_finite();
        let none = sketch.min == f64::INFINITY && sketch.max == f64::NEG_INFINITY;
        if if finite { ordered } else { none } { Ok(sketch) } else { Err(DamagedSketch::Content) }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, DamagedSketch> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(DamagedSketch::Short)?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(DamagedSketch::Content);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DamagedSketch::Content)
    }

    fn double(&mut self) -> Result<f64, DamagedSketch> {
        let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(DamagedSketch::Short)?;
        self.0 = rest;
        Ok(f64::from_le_bytes(*bytes))
    }
}
