//! Bits, one a row: truth values, and which rows are null.

use crate::wire::{Corrupt, Reader};

/// All values are the one that follows.
const CONSTANT: u8 = 1;
/// The bits, eight to a byte, the lowest first; unused ones are zero.
const PLAIN: u8 = 2;

/// A sequence of bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    bytes: Vec<u8>,
    length: usize,
}

impl Bits {
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn count_ones(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The bit of a row; false beyond the last.
    pub fn get(&self, row: usize) -> bool {
        self.bytes.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }

    pub fn push(&mut self, bit: bool) {
        if self.length.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.length % 8);
        }
        self.length += 1;
    }

    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.length).map(|row| self.get(row))
    }

    /// Eight bits a byte, the lowest first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn repeat(bit: bool, length: usize) -> Self {
        let mut bytes = vec![if bit { 0xff } else { 0 }; length.div_ceil(8)];
        if bit && !length.is_multiple_of(8) {
            bytes[length / 8] = (1 << (length % 8)) - 1;
        }
        Self { bytes, length }
    }

    /// `None` where the bytes aren't as many as it takes, or unused bits are set.
    pub fn from_bytes(bytes: &[u8], length: usize) -> Option<Self> {
        let unused_are_zero =
            length.is_multiple_of(8) || bytes.last().is_none_or(|last| last >> (length % 8) == 0);
        (bytes.len() == length.div_ceil(8) && unused_are_zero)
            .then(|| Self { bytes: bytes.to_vec(), length })
    }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut out = Self::default();
        bits.into_iter().for_each(|bit| out.push(bit));
        out
    }
}

/// Appends the bits but not their number, and returns the codec.
pub fn write(out: &mut Vec<u8>, bits: &Bits) -> u8 {
    let ones = bits.count_ones();
    if ones == 0 || ones == bits.length {
        out.push(u8::from(ones > 0));
        return CONSTANT;
    }
    out.extend_from_slice(&bits.bytes);
    PLAIN
}

pub fn read(from: &mut Reader<'_>, codec: u8, length: usize) -> Result<Bits, Corrupt> {
    match codec {
        CONSTANT => match from.byte()? {
            bit @ (0 | 1) => Ok(Bits::repeat(bit == 1, length)),
            _ => Err(Corrupt::Value("a truth value that is none")),
        },
        PLAIN => Bits::from_bytes(from.take(length.div_ceil(8))?, length)
            .ok_or(Corrupt::Value("bits beyond the last row")),
        other => Err(Corrupt::Codec(other)),
    }
}
