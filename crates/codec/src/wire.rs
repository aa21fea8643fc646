//! Numbers in bytes, and reading without trust.

/// Why bytes can't be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    #[error("it ends too early")]
    Short,
    #[error("{0} bytes are left over")]
    Long(usize),
    #[error("it has version {0}, which this library can't read")]
    Version(u8),
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it holds {written} rows, not {wanted}")]
    Rows { written: u64, wanted: usize },
    #[error("it has codec {0}, which is none for values of this kind")]
    Codec(u8),
    #[error("it holds {0}")]
    Value(&'static str),
    #[error("its numbers can't be decompressed: {0}")]
    Numbers(String),
    #[error("its bytes can't be decompressed: {0}")]
    Bytes(String),
}

/// Appends a number as LEB128.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that are read from the front.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Corrupt::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Corrupt::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        Ok(self.array::<1>()?[0])
    }

    pub fn number(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt::Value("a number of more than 64 bits"))
    }

    /// A length, no longer than `most`.
    pub fn length(&mut self, most: usize) -> Result<usize, Corrupt> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|length| *length <= most)
            .ok_or(Corrupt::Value("a length that can't be"))
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn end(self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { Err(Corrupt::Long(self.rest.len())) }
    }
}
