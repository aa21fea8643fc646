//! Which rows are null: one byte for how it is written, then that.
//!
//! | byte | |
//! |---|---|
//! | 0 | no row is |
//! | 1 | a bit a row |
//! | 2 | lengths of runs, the first one of rows that aren't null, as LEB128; how many comes before them |

use crate::MAX_ROWS;
use crate::bits::Bits;
use crate::wire::{self, Corrupt, Reader};

const NONE: u8 = 0;
const BITS: u8 = 1;
const RUNS: u8 = 2;

pub fn write(out: &mut Vec<u8>, nulls: Option<&Bits>) {
    let Some(nulls) = nulls.filter(|nulls| nulls.count_ones() > 0) else {
        out.push(NONE);
        return;
    };
    let runs = runs(nulls);
    if runs.len() < nulls.as_bytes().len() {
        out.push(RUNS);
        out.extend_from_slice(&runs);
    } else {
        out.push(BITS);
        out.extend_from_slice(nulls.as_bytes());
    }
}

fn runs(nulls: &Bits) -> Vec<u8> {
    let (mut lengths, mut null, mut length, mut count) = (vec![], false, 0_u64, 1_u64);
    for bit in nulls.iter() {
        if bit != null {
            wire::number(&mut lengths, length);
            (null, length, count) = (bit, 0, count + 1);
        }
        length += 1;
    }
    wire::number(&mut lengths, length);
    let mut out = vec![];
    wire::number(&mut out, count);
    out.extend_from_slice(&lengths);
    out
}

/// `None`: no row is null.
pub fn read(from: &mut Reader<'_>, rows: usize) -> Result<Option<Bits>, Corrupt> {
    match from.byte()? {
        NONE => Ok(None),
        BITS => Bits::from_bytes(from.take(rows.div_ceil(8))?, rows)
            .map(Some)
            .ok_or(Corrupt::Value("bits beyond the last row")),
        RUNS => {
            let mut bits = Bits::default();
            let mut null = false;
            for _ in 0..from.length(MAX_ROWS + 1)? {
                let length = from.length(rows - bits.len())?;
                (0..length).for_each(|_| bits.push(null));
                null = !null;
            }
            if bits.len() != rows {
                return Err(Corrupt::Value("runs of nulls that are too short"));
            }
            Ok(Some(bits))
        }
        _ => Err(Corrupt::Value("nulls written in no known way")),
    }
}
