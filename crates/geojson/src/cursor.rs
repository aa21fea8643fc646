//! A place in a text: the byte, the path that leads there, and the faults found so far.

use crate::fault::{Fault, Rule, Severity};
use crate::geometry::Position;
use crate::repair::Edit;
use crate::scan::Limits;
use std::ops::Range;

/// The text can't be read any further. The fault that says why has been recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halt;

pub(crate) type Read<T> = Result<T, Halt>;

/// One step of a path.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A member, by the bytes between the quotes of its key.
    Key(Range<usize>),
    /// A member that may not be in the text.
    Name(&'static str),
    Index(usize),
}

/// What a document's positions span, for its bbox.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    pub any: bool,
    pub with_z: bool,
    pub without_z: bool,
    pub min: [f64; 3],
    pub max: [f64; 3],
    /// Smallest longitude from 0 on, largest below 0: for boxes across the antimeridian.
    pub min_east: Option<f64>,
    pub max_west: Option<f64>,
}

impl Extent {
    pub fn add(&mut self, p: &Position) {
        let point = [p.x, p.y, p.z.unwrap_or(f64::NAN)];
        if !self.any {
            (self.min, self.max) = (point, point);
        }
        for (axis, value) in point.into_iter().enumerate() {
            // `min` and `max` pass over NaN, which is what a missing height is here.
            self.min[axis] = self.min[axis].min(value);
            self.max[axis] = self.max[axis].max(value);
        }
        self.any = true;
        self.with_z |= p.z.is_some();
        self.without_z |= p.z.is_none();
        if p.x >= 0.0 {
            self.min_east = Some(self.min_east.map_or(p.x, |m| m.min(p.x)));
        } else {
            self.max_west = Some(self.max_west.map_or(p.x, |m| m.max(p.x)));
        }
    }

    pub fn merge(&mut self, other: &Extent) {
        if !other.any {
            return;
        }
        if !self.any {
            *self = *other;
            return;
        }
        for axis in 0..3 {
            self.min[axis] = self.min[axis].min(other.min[axis]);
            self.max[axis] = self.max[axis].max(other.max[axis]);
        }
        self.with_z |= other.with_z;
        self.without_z |= other.without_z;
        let pick = |a: Option<f64>, b: Option<f64>, f: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(f(a, b)),
            (a, b) => a.or(b),
        };
        self.min_east = pick(self.min_east, other.min_east, f64::min);
        self.max_west = pick(self.max_west, other.max_west, f64::max);
    }
}

/// A change to the text, in place of the bytes of a range, and what it was for. Several edits of one
/// place share its range; the first carries the text.
#[derive(Debug, Clone)]
pub(crate) struct Splice {
    pub range: Range<usize>,
    pub text: String,
    pub edit: Edit,
}

/// How many elements and members are read between two calls of the poll function.
const POLL_EVERY: u32 = 1024;

pub(crate) struct Cursor<'a, 'p> {
    pub src: &'a [u8],
    pub pos: usize,
    pub depth: usize,
    pub path: Vec<Step>,
    pub faults: Vec<Fault>,
    /// How many faults were met, recorded or not.
    pub met: usize,
    pub errors: usize,
    pub limits: Limits,
    /// While above zero, a part is passed over that will be read again, or that nobody asked about:
    /// only what stops the reading is recorded.
    pub muted: usize,
    /// Warnings aren't recorded.
    pub only_errors: bool,
    pub extent: Extent,
    /// Where the first number with more than six decimals of this geometry is.
    pub imprecise: Option<usize>,
    /// What repair changes; `None` where nobody asked.
    pub splices: Option<Vec<Splice>>,
    full: bool,
    budget: u32,
    poll: &'p mut dyn FnMut(),
}

impl<'a, 'p> Cursor<'a, 'p> {
    pub fn new(src: &'a [u8], limits: Limits, poll: &'p mut dyn FnMut()) -> Self {
        Self {
            src,
            pos: 0,
            depth: 0,
            path: Vec::with_capacity(16),
            faults: Vec::new(),
            met: 0,
            errors: 0,
            limits,
            muted: 0,
            only_errors: false,
            extent: Extent::default(),
            imprecise: None,
            splices: None,
            full: false,
            budget: POLL_EVERY,
            poll,
        }
    }

    /// To be called once per element: lets the caller stop a long read.
    pub fn tick(&mut self) {
        self.budget -= 1;
        if self.budget == 0 {
            self.budget = POLL_EVERY;
            (self.poll)();
        }
    }

    /// To be called every thousand steps or so of work that isn't reading.
    pub fn poll_now(&mut self) {
        (self.poll)();
    }

    /// Whether a fault of this rule is recorded here.
    pub fn is_reported(&self, rule: Rule) -> bool {
        let pointer = self.pointer();
        self.faults.iter().rev().any(|fault| fault.rule == rule && fault.pointer == pointer)
    }

    pub fn report(&mut self, rule: Rule, offset: usize, message: impl Into<String>) {
        self.record(rule, offset, message.into(), None);
    }

    pub fn report_hint(
        &mut self,
        rule: Rule,
        offset: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.record(rule, offset, message.into(), Some(hint.into()));
    }

    /// As `report_hint`, for a fault one step further in.
    pub fn report_in(
        &mut self,
        step: Step,
        rule: Rule,
        offset: usize,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        self.path.push(step);
        self.record(rule, offset, message.into(), hint.map(str::to_owned));
        self.path.pop();
    }

    /// Records a change, where repair asked for them. `at` is the pointer from here on.
    pub fn splice(
        &mut self,
        range: Range<usize>,
        code: &'static str,
        at: &str,
        what: impl FnOnce() -> (String, String),
    ) {
        if self.muted > 0 || self.splices.is_none() {
            return;
        }
        let pointer = self.pointer() + at;
        let (text, message) = what();
        if let Some(splices) = &mut self.splices {
            splices.push(Splice { range, text, edit: Edit { code, pointer, message } });
        }
    }

    /// Records what makes reading on impossible.
    pub fn halt(&mut self, rule: Rule, offset: usize, message: impl Into<String>) -> Halt {
        let muted = std::mem::take(&mut self.muted);
        self.full = false;
        self.record(rule, offset, message.into(), None);
        self.muted = muted;
        Halt
    }

    fn record(&mut self, rule: Rule, offset: usize, message: String, hint: Option<String>) {
        if self.muted > 0 || self.full {
            return;
        }
        let Some(severity) = rule.severity(self.limits.profile) else {
            return;
        };
        self.met += 1;
        if self.only_errors && severity < Severity::Error {
            return;
        }
        self.errors += usize::from(severity == Severity::Error);
        let pointer = self.pointer();
        if self.faults.len() + 1 == self.limits.max_faults {
            self.full = true;
            self.faults.push(Fault {
                rule: Rule::Limit,
                severity: Severity::Error,
                pointer,
                offset,
                message: format!("there are more faults than {}", self.limits.max_faults - 1),
                hint: Some("The rest isn't listed: mend these and validate again.".to_owned()),
            });
            self.errors += 1;
            return;
        }
        self.faults.push(Fault { rule, severity, pointer, offset, message, hint });
    }

    /// The path as a JSON Pointer (RFC 6901).
    fn pointer(&self) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        for step in &self.path {
            out.push('/');
            match step {
                Step::Index(i) => {
                    let _ = write!(out, "{i}");
                }
                Step::Name(name) => out.push_str(name),
                Step::Key(range) => {
                    for c in self.text(range.clone()).chars() {
                        match c {
                            '~' => out.push_str("~0"),
                            '/' => out.push_str("~1"),
                            c => out.push(c),
                        }
                    }
                }
            }
        }
        out
    }

    /// A string's content, escapes resolved; the range is between its quotes.
    pub fn text(&self, range: Range<usize>) -> std::borrow::Cow<'a, str> {
        crate::lexer::unescape(&self.src[range])
    }
}
