//! Integers and floats.

use crate::wire::{Corrupt, Reader};
use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress_into};

/// All values are the one that follows; nothing follows where there is no value.
const CONSTANT: u8 = 1;
/// The first value, and by how much each is more than the one before; both wrap.
const SEQUENCE: u8 = 2;
/// As pco writes them.
const PCO: u8 = 3;
/// Little-endian.
const PLAIN: u8 = 4;

/// A number of a fixed width.
pub trait Fixed: Number {
    const WIDTH: usize;
    fn bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
    /// Whether numbers may be told by a first one and a step: not for floats, whose sums are rounded.
    const STEPS: bool;
}

macro_rules! integer {
    ($kind:ty, $unsigned:ty) => {
        impl Fixed for $kind {
            const WIDTH: usize = size_of::<$kind>();
            const STEPS: bool = true;
            fn bits(self) -> u64 {
                u64::from(self as $unsigned)
            }
            fn from_bits(bits: u64) -> Self {
                bits as $unsigned as $kind
            }
        }
    };
}

macro_rules! float {
    ($kind:ty, $unsigned:ty) => {
        impl Fixed for $kind {
            const WIDTH: usize = size_of::<$kind>();
            const STEPS: bool = false;
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
            fn from_bits(bits: u64) -> Self {
                <$kind>::from_bits(bits as $unsigned)
            }
        }
    };
}

integer!(i16, u16);
integer!(i32, u32);
integer!(i64, u64);
integer!(u32, u32);
float!(f32, u32);
float!(f64, u64);

/// Appends the numbers but not how many, and returns the codec.
pub fn write<T: Fixed>(out: &mut Vec<u8>, values: &[T]) -> u8 {
    let Some(first) = values.first().map(|value| value.bits()) else { return CONSTANT };
    if values.iter().all(|value| value.bits() == first) {
        put::<T>(out, first);
        return CONSTANT;
    }
    if T::STEPS
        && let Some(step) = step(values)
    {
        put::<T>(out, first);
        put::<T>(out, step);
        return SEQUENCE;
    }
    // Fails only on settings that can't be, of which there are none.
    match simple_compress(values, &ChunkConfig::default()) {
        Ok(packed) if packed.len() < values.len() * T::WIDTH => {
            out.extend_from_slice(&packed);
            PCO
        }
        _ => {
            out.reserve(values.len() * T::WIDTH);
            values.iter().for_each(|value| put::<T>(out, value.bits()));
            PLAIN
        }
    }
}

/// By how much each number is more than the one before, where that is the same.
fn step<T: Fixed>(values: &[T]) -> Option<u64> {
    let less = |pair: &[T]| T::from_bits(pair[1].bits().wrapping_sub(pair[0].bits())).bits();
    let step = values.get(..2).map(less)?;
    values.windows(2).all(|pair| less(pair) == step).then_some(step)
}

fn put<T: Fixed>(out: &mut Vec<u8>, bits: u64) {
    out.extend_from_slice(&bits.to_le_bytes()[..T::WIDTH]);
}

fn get<T: Fixed>(from: &mut Reader<'_>) -> Result<u64, Corrupt> {
    let mut bits = [0; 8];
    bits[..T::WIDTH].copy_from_slice(from.take(T::WIDTH)?);
    Ok(u64::from_le_bytes(bits))
}

/// Reads `length` numbers, and all that is left.
pub fn read<T: Fixed>(from: &mut Reader<'_>, codec: u8, length: usize) -> Result<Vec<T>, Corrupt> {
    match codec {
        CONSTANT if length == 0 => Ok(vec![]),
        CONSTANT => Ok(vec![T::from_bits(get::<T>(from)?); length]),
        SEQUENCE if T::STEPS => {
            let (mut next, step) = (get::<T>(from)?, get::<T>(from)?);
            Ok((0..length)
                .map(|_| {
                    let value = T::from_bits(next);
                    next = next.wrapping_add(step);
                    value
                })
                .collect())
        }
        PCO => {
            let mut values = vec![T::default(); length];
            let progress = simple_decompress_into(from.rest(), &mut values)
                .map_err(|error| Corrupt::Numbers(error.to_string()))?;
            if progress.n_processed != length || !progress.finished {
                return Err(Corrupt::Value("another number of values"));
            }
            Ok(values)
        }
        PLAIN => {
            let bytes = from.take(length * T::WIDTH)?;
            Ok(bytes
                .chunks_exact(T::WIDTH)
                .map(|chunk| {
                    let mut bits = [0; 8];
                    bits[..T::WIDTH].copy_from_slice(chunk);
                    T::from_bits(u64::from_le_bytes(bits))
                })
                .collect())
        }
        other => Err(Corrupt::Codec(other)),
    }
}
