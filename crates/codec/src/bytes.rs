//! Values of any length: texts, numerics, documents, whatever Postgres stores as bytes.

use crate::MAX_BYTES;
use crate::numbers;
use crate::wire::{self, Corrupt, Reader};
use std::collections::HashMap;

/// The values, one after the other: lengths, then their bytes.
const PLAIN: u8 = 1;
/// As [`PLAIN`], with the bytes compressed by zstd.
const ZSTD: u8 = 2;
/// Different values, as one of the two above, then for each row which one it is.
const DICTIONARY: u8 = 3;

/// A dictionary pays where a value comes at least so often, on average.
const REPEATS: usize = 2;

/// Fewer bytes aren't worth a frame.
const LEAST_ZSTD: usize = 64;

/// zstd's own default; higher ones take several times as long for some percent.
const LEVEL: i32 = 3;

/// Values of any length, in one piece of memory; one that is repeated is there once.
#[derive(Debug, Clone, Default)]
pub struct Bytes {
    /// Where each value ends.
    ends: Vec<u32>,
    data: Vec<u8>,
    /// How many times the only value comes; 0 where each is there by itself.
    repeats: usize,
}

impl Bytes {
    /// The same value so many times.
    pub fn repeat(value: &[u8], repeats: usize) -> Self {
        let mut out = Self::default();
        if repeats > 0 {
            out.push(value);
            out.repeats = repeats;
        }
        out
    }

    pub fn len(&self) -> usize {
        if self.repeats > 0 { self.repeats } else { self.ends.len() }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the values have.
    pub fn size(&self) -> usize {
        self.data.len().saturating_mul(self.repeats.max(1))
    }

    /// The value, where it is known without a look at each that all are the same.
    pub fn repeated(&self) -> Option<&[u8]> {
        (self.repeats > 0).then_some(&self.data)
    }

    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if self.repeats > 0 {
            return (index < self.repeats).then_some(&self.data);
        }
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.data.get(start..end)
    }

    pub fn push(&mut self, value: &[u8]) {
        if self.repeats > 0 {
            let repeated = std::mem::take(self);
            repeated.iter().for_each(|value| self.push(value));
        }
        self.data.extend_from_slice(value);
        // More than a u32 holds is refused by `encode`, as it is more than MAX_BYTES.
        self.ends.push(u32::try_from(self.data.len()).unwrap_or(u32::MAX));
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    fn lengths(&self) -> Vec<u32> {
        self.iter().map(|value| u32::try_from(value.len()).unwrap_or(u32::MAX)).collect()
    }

    /// `None` where the lengths aren't those of the data.
    fn from_lengths(lengths: &[u32], data: Vec<u8>) -> Option<Self> {
        let mut end = 0_u32;
        let mut ends = Vec::with_capacity(lengths.len());
        for length in lengths {
            end = end.checked_add(*length)?;
            ends.push(end);
        }
        (end as usize == data.len()).then_some(Self { ends, data, repeats: 0 })
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Bytes {}

impl<'a> FromIterator<&'a [u8]> for Bytes {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut out = Self::default();
        values.into_iter().for_each(|value| out.push(value));
        out
    }
}

/// Appends the values but not how many, and returns the codec.
pub fn write(out: &mut Vec<u8>, values: &Bytes) -> u8 {
    if let Some((different, codes)) = dictionary(values) {
        wire::number(out, different.len() as u64);
        let at = out.len();
        out.push(0);
        out[at] = write_all(out, &different);
        write_numbers(out, &codes);
        return DICTIONARY;
    }
    write_all(out, values)
}

/// The different values in the order of their first row, and for each row which one it has; `None`
/// where too many differ.
fn dictionary(values: &Bytes) -> Option<(Bytes, Vec<u32>)> {
    let most = values.len() / REPEATS;
    let mut places: HashMap<&[u8], u32> = HashMap::new();
    let (mut different, mut codes) = (Bytes::default(), Vec::with_capacity(values.len()));
    for value in values.iter() {
        let next = u32::try_from(places.len()).ok()?;
        let code = *places.entry(value).or_insert(next);
        if code == next {
            if different.len() >= most {
                return None;
            }
            different.push(value);
        }
        codes.push(code);
    }
    (!codes.is_empty()).then_some((different, codes))
}

fn write_all(out: &mut Vec<u8>, values: &Bytes) -> u8 {
    write_numbers(out, &values.lengths());
    if values.data.len() >= LEAST_ZSTD
        && let Ok(packed) = zstd::bulk::compress(&values.data, LEVEL)
        && packed.len() < values.data.len()
    {
        wire::number(out, packed.len() as u64);
        out.extend_from_slice(&packed);
        return ZSTD;
    }
    out.extend_from_slice(&values.data);
    PLAIN
}

/// Numbers with their codec and length, so that something may follow.
fn write_numbers(out: &mut Vec<u8>, numbers: &[u32]) {
    let mut packed = vec![];
    out.push(numbers::write(&mut packed, numbers));
    wire::number(out, packed.len() as u64);
    out.extend_from_slice(&packed);
}

pub fn read(from: &mut Reader<'_>, codec: u8, length: usize) -> Result<Bytes, Corrupt> {
    if codec != DICTIONARY {
        return read_all(from, codec, length);
    }
    let different = from.length(length)?;
    let inner = from.byte()?;
    let different = read_all(from, inner, different)?;
    let codes = read_numbers(from, length)?;
    let mut total = 0_usize;
    for code in &codes {
        let value =
            different.get(*code as usize).ok_or(Corrupt::Value("a code beyond its dictionary"))?;
        total += value.len();
    }
    if total > MAX_BYTES {
        return Err(Corrupt::Value("more bytes than a column may have"));
    }
    if let (1, Some(one)) = (different.len(), different.get(0)) {
        return Ok(Bytes::repeat(one, length));
    }
    let (ends, data) = (Vec::with_capacity(length), Vec::with_capacity(total));
    let mut out = Bytes { ends, data, repeats: 0 };
    codes.iter().filter_map(|code| different.get(*code as usize)).for_each(|value| out.push(value));
    Ok(out)
}

fn read_all(from: &mut Reader<'_>, codec: u8, length: usize) -> Result<Bytes, Corrupt> {
    let lengths = read_numbers(from, length)?;
    let total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    let total = usize::try_from(total)
        .ok()
        .filter(|total| *total <= MAX_BYTES)
        .ok_or(Corrupt::Value("more bytes than a column may have"))?;
    let data = match codec {
        PLAIN => from.take(total)?.to_vec(),
        ZSTD => {
            let packed = from.length(MAX_BYTES)?;
            unpack(from.take(packed)?, total)?
        }
        other => return Err(Corrupt::Codec(other)),
    };
    Bytes::from_lengths(&lengths, data)
        .ok_or(Corrupt::Value("lengths that aren't those of the bytes"))
}

/// Grows with what is really there, so that a length that lies takes no memory.
fn unpack(packed: &[u8], total: usize) -> Result<Vec<u8>, Corrupt> {
    use std::io::Read;
    let fault = |error: std::io::Error| Corrupt::Bytes(error.to_string());
    let stream = zstd::stream::read::Decoder::with_buffer(packed).map_err(fault)?;
    let mut data = Vec::with_capacity(total.min(packed.len().saturating_mul(8)));
    stream.take(total as u64 + 1).read_to_end(&mut data).map_err(fault)?;
    if data.len() != total {
        return Err(Corrupt::Value("another number of bytes"));
    }
    Ok(data)
}

fn read_numbers(from: &mut Reader<'_>, length: usize) -> Result<Vec<u32>, Corrupt> {
    let codec = from.byte()?;
    let size = from.length(MAX_BYTES)?;
    let mut inside = Reader::new(from.take(size)?);
    let numbers = numbers::read(&mut inside, codec, length)?;
    inside.end()?;
    Ok(numbers)
}
