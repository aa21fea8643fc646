//! JSON by RFC 8259, strictly. What is not JSON but plain in its meaning (NaN, a leading zero, a
//! trailing comma) is reported and read on; anything else halts.

use crate::cursor::{Cursor, Halt, Read, Step};
use crate::fault::Rule;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// What a value begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl Token {
    pub const fn describe(self) -> &'static str {
        match self {
            Token::Object => "an object",
            Token::Array => "an array",
            Token::String => "a string",
            Token::Number => "a number",
            Token::True => "true",
            Token::False => "false",
            Token::Null => "null",
        }
    }
}

/// Powers of ten that doubles hold exactly.
const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Above this, integers aren't all doubles.
const EXACT: u64 = 1 << 53;

impl<'a> Cursor<'a, '_> {
    pub fn peek(&self) -> Option<u8> {
        self.src.get(self.pos).copied()
    }

    pub fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
    }

    /// A byte that can't be here.
    pub fn unexpected(&mut self, wanted: &str) -> Halt {
        let message = match self.src[self.pos.min(self.src.len())..].utf8_chunks().next() {
            None => format!("the text ends where {wanted} should be"),
            Some(chunk) => match chunk.valid().chars().next() {
                Some(c) => format!("{c:?} where {wanted} should be"),
                None => format!("a byte that is not UTF-8 where {wanted} should be"),
            },
        };
        self.halt(Rule::Json, self.pos, message)
    }

    /// What value begins here; leading space is passed.
    pub fn token(&mut self) -> Read<Token> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b'"') => Ok(Token::String),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'N' | b'I') => Ok(Token::Number),
            _ if self.src[self.pos..].starts_with(b"true") => Ok(Token::True),
            _ if self.src[self.pos..].starts_with(b"false") => Ok(Token::False),
            _ if self.src[self.pos..].starts_with(b"null") => Ok(Token::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &'static str) -> Read<()> {
        if self.src[self.pos..].starts_with(word.as_bytes()) {
            self.pos += word.len();
            return Ok(());
        }
        Err(self.unexpected(word))
    }

    /// Reads a number. NaN and the infinities are reported and read as such.
    pub fn number(&mut self) -> Read<f64> {
        let start = self.pos;
        let negative = self.peek() == Some(b'-');
        if negative {
            self.pos += 1;
        } else if self.peek() == Some(b'+') {
            self.report_hint(Rule::Json, start, "a number begins with +", "Leave the + out.");
            self.pos += 1;
        }
        for (word, value) in [("NaN", f64::NAN), ("Infinity", f64::INFINITY)] {
            if self.src[self.pos..].starts_with(word.as_bytes()) {
                self.pos += word.len();
                let shown = format!("{}{word} is not JSON", if negative { "-" } else { "" });
                self.report_hint(
                    Rule::Json,
                    start,
                    shown,
                    "JSON has no NaN and no infinity; leave the value out, or write null where null may be.",
                );
                return Ok(if negative { -value } else { value });
            }
        }
        let whole = self.pos;
        let (mut mantissa, mut digits) = (0_u64, 0_usize);
        self.digits(&mut mantissa, &mut digits);
        let whole_digits = self.pos - whole;
        if whole_digits > 1 && self.src[whole] == b'0' {
            self.report_hint(
                Rule::Json,
                start,
                "a number begins with 0",
                "Leave leading zeros out.",
            );
        }
        let mut decimals = 0;
        if self.peek() == Some(b'.') {
            self.pos += 1;
            let fraction = self.pos;
            self.digits(&mut mantissa, &mut digits);
            decimals = self.pos - fraction;
            if whole_digits + decimals == 0 {
                self.pos = start;
                return Err(self.unexpected("a number"));
            }
            if whole_digits == 0 || decimals == 0 {
                self.report_hint(
                    Rule::Json,
                    start,
                    "a number has no digit on one side of its point",
                    "Write 0.5 and 1.0, not .5 and 1.",
                );
            }
            if decimals > 6 && self.imprecise.is_none() {
                self.imprecise = Some(start);
            }
        } else if whole_digits == 0 {
            self.pos = start;
            return Err(self.unexpected("a number"));
        }
        let mut exponent = false;
        if let Some(b'e' | b'E') = self.peek() {
            exponent = true;
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            let before = self.pos;
            while let Some(b'0'..=b'9') = self.peek() {
                self.pos += 1;
            }
            if self.pos == before {
                return Err(self.unexpected("an exponent"));
            }
        }
        if !exponent && digits <= 19 && mantissa <= EXACT && decimals < POW10.len() {
            // Both operands are exact, so the quotient is rounded once (Clinger 1990).
            #[expect(clippy::cast_precision_loss, reason = "checked to be at most 2^53")]
            let value = mantissa as f64 / POW10[decimals];
            return Ok(if negative { -value } else { value });
        }
        let text = std::str::from_utf8(&self.src[start..self.pos]).unwrap_or("");
        Ok(text.parse().unwrap_or(f64::NAN))
    }

    fn digits(&mut self, mantissa: &mut u64, digits: &mut usize) {
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            // Past 19 digits the value wraps and isn't used.
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            // Leading zeros aren't significant.
            *digits += usize::from(*mantissa > 0 || *digits > 0);
            self.pos += 1;
        }
    }

    /// Reads a string; the range is between its quotes.
    pub fn string(&mut self) -> Read<Range<usize>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string"));
        }
        self.pos += 1;
        let start = self.pos;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let range = start..self.pos;
                    self.pos += 1;
                    return Ok(range);
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) => {
                    self.report_hint(
                        Rule::Json,
                        self.pos,
                        "a control character stands in a string",
                        "Write it as an escape (\\n, \\t, \\u0001).",
                    );
                    self.pos += 1;
                }
                Some(_) => self.pos += 1,
                None => return Err(self.unexpected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Read<()> {
        let start = self.pos;
        match self.src.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 2,
            Some(b'u') => {
                let Some(code) = hex4(self.src, start + 2) else {
                    return Err(self.halt(
                        Rule::Json,
                        start,
                        "\\u without four hexadecimal digits",
                    ));
                };
                self.pos += 6;
                match code {
                    0 => self.report_hint(
                        Rule::NotStorable,
                        start,
                        "a string holds the character U+0000",
                        "Postgres can't store it; leave it out.",
                    ),
                    0xd800..=0xdbff => match low_surrogate(self.src, self.pos) {
                        Some(_) => self.pos += 6,
                        None => self.lone_surrogate(start),
                    },
                    0xdc00..=0xdfff => self.lone_surrogate(start),
                    _ => {}
                }
            }
            _ => return Err(self.halt(Rule::Json, start, "a backslash that begins no escape")),
        }
        Ok(())
    }

    fn lone_surrogate(&mut self, at: usize) {
        self.report_hint(
            Rule::NotStorable,
            at,
            "a string holds half of a surrogate pair",
            "It stands for no character; write both halves, or the character itself.",
        );
    }

    /// Reads an array, calling `each` with the cursor at each element (which it must read). The path
    /// holds the index meanwhile. Returns the number of elements.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self, usize) -> Read<()>) -> Read<usize> {
        self.open()?;
        let mut count = 0;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.close();
            return Ok(0);
        }
        loop {
            self.tick();
            self.skip_space();
            self.path.push(Step::Index(count));
            each(self, count)?;
            self.path.pop();
            count += 1;
            if !self.comma(b']')? {
                return Ok(count);
            }
        }
    }

    /// Reads an object, calling `each` with the cursor at each value (which it must read), the key's
    /// range in the path, and whether the key was there before.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &str, bool) -> Read<()>) -> Read<()> {
        self.open()?;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.close();
            return Ok(());
        }
        let mut keys = Keys::default();
        loop {
            self.tick();
            self.skip_space();
            let range = self.string()?;
            let key = self.text(range.clone());
            let again = !keys.insert(key.clone());
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("a colon"));
            }
            self.pos += 1;
            self.skip_space();
            self.path.push(Step::Key(range));
            each(self, &key, again)?;
            self.path.pop();
            if !self.comma(b'}')? {
                return Ok(());
            }
        }
    }

    fn open(&mut self) -> Read<()> {
        if self.depth >= self.limits.max_depth {
            let limit = self.limits.max_depth;
            return Err(self.halt(Rule::Limit, self.pos, format!("nested more than {limit} deep")));
        }
        self.depth += 1;
        self.pos += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.pos += 1;
    }

    /// Passes a comma (true) or the closing bracket (false).
    fn comma(&mut self, end: u8) -> Read<bool> {
        self.skip_space();
        if self.peek() == Some(b',') {
            let at = self.pos;
            self.pos += 1;
            self.skip_space();
            if self.peek() != Some(end) {
                return Ok(true);
            }
            self.report_hint(
                Rule::Json,
                at,
                "a comma with nothing after it",
                "JSON allows no comma after the last element; leave it out.",
            );
        }
        if self.peek() == Some(end) {
            self.close();
            return Ok(false);
        }
        Err(self.unexpected(if end == b']' { "a comma or ]" } else { "a comma or }" }))
    }

    /// Reads a value whose meaning isn't asked for. Returns its bytes.
    pub fn skip_value(&mut self) -> Read<Range<usize>> {
        let token = self.token()?;
        let start = self.pos;
        match token {
            Token::Object => self.object(|c, key, again| {
                if again {
                    c.report_hint(
                        Rule::DuplicateForeign,
                        c.pos,
                        format!("the member \"{}\" is there twice", shown(key)),
                        "Readers differ in which one they take.",
                    );
                }
                c.skip_value().map(drop)
            })?,
            Token::Array => {
                self.array(|c, _| c.skip_value().map(drop))?;
            }
            Token::String => {
                self.string()?;
            }
            Token::Number => self.foreign_number()?,
            Token::True => self.word("true")?,
            Token::False => self.word("false")?,
            Token::Null => self.word("null")?,
        }
        Ok(start..self.pos)
    }

    fn foreign_number(&mut self) -> Read<()> {
        let start = self.pos;
        let imprecise = self.imprecise;
        let value = self.number()?;
        self.imprecise = imprecise;
        let text = &self.src[start..self.pos];
        if value.is_infinite() && !text.ends_with(b"y") {
            let beyond = text.len() > 100_000 || exponent(text).is_some_and(|e| e > 100_000);
            let rule = if beyond { Rule::NotStorable } else { Rule::DuplicateForeign };
            self.report(rule, start, "a number is too large for a double");
        } else if text.len() > 16_000 || exponent(text).is_some_and(|e| e < -16_000) {
            self.report(
                Rule::NotStorable,
                start,
                "a number has more decimals than Postgres stores",
            );
        }
        Ok(())
    }

    /// As `skip_value`, for what will be looked at later: nothing is recorded but what halts.
    pub fn pass_over(&mut self) -> Read<Range<usize>> {
        self.muted += 1;
        let passed = self.skip_value();
        self.muted -= 1;
        passed
    }
}

/// The exponent of a number, where one is written; saturates.
fn exponent(number: &[u8]) -> Option<i64> {
    let at = number.iter().position(|b| matches!(b, b'e' | b'E'))?;
    let text = std::str::from_utf8(&number[at + 1..]).ok()?;
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

/// A key or value as messages show it: cut where it is long.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain("…".chars()).collect()
}

fn hex4(src: &[u8], at: usize) -> Option<u32> {
    let digits = src.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, b| Some(code * 16 + char::from(*b).to_digit(16)?))
}

fn low_surrogate(src: &[u8], at: usize) -> Option<u32> {
    if src.get(at..at + 2)? != b"\\u" {
        return None;
    }
    hex4(src, at + 2).filter(|code| (0xdc00..=0xdfff).contains(code))
}

/// The content of a string, escapes resolved. What stands for no character becomes U+FFFD.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        if raw[i] != b'\\' {
            out.push(raw[i]);
            i += 1;
            continue;
        }
        let mut width = 2;
        let c = match raw.get(i + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                width = 6;
                let code = hex4(raw, i + 2).unwrap_or(0xfffd);
                match (code, low_surrogate(raw, i + 6)) {
                    (0xd800..=0xdbff, Some(low)) => {
                        width = 12;
                        char::from_u32(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00))
                    }
                    (code, _) => char::from_u32(code),
                }
                .unwrap_or('\u{fffd}')
            }
            Some(other) => char::from(*other),
            None => '\u{fffd}',
        };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        i += width;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// The keys of one object: a list while they are few, a set after.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// False where the key is there already.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        const FEW: usize = 16;
        if self.few.contains(&key) || self.many.contains(&key) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        true
    }
}
