//! Exact or approximate: which path a search takes, and why.
//!
//! An exact search costs in proportion to the rows `m` that match (to all rows where no index serves
//! the filter). An approximate one walks the index in order of distance and throws away what doesn't
//! match, so it visits about `k · n / m` of the table's `n` rows, never less than its width. What a row
//! and a visit cost is known per store ([`super::cost`]); the cheaper path is taken.

use super::estimate::{self, Guess};
use super::index::{Index, Quantization};
use super::known::Known;
use super::path::{Path, Walk};
use crate::error::{Error, Result};
use crate::gucs;
use crate::spi;
use pgrx::datum::DatumWithOid;

/// How much longer a row takes that is reached by the filter's index than one read in order, in visits:
/// its page is another one, and what a GIN index finds is tried again.
const BY_INDEX: f64 = 0.1;

/// What trying a filter on a row read in order costs, in visits.
const FILTER: f64 = 0.025;

/// How much dearer an exact answer over the filter's index may be: it is right, and an approximate one
/// takes longer than expected where the filter goes with the meaning.
const PREFER_EXACT: f64 = 2.0;

/// Candidates that an HNSW scan holds, unless more are asked for or fewer were measured to do.
/// pgvector's own default of 40 gives a recall@10 of 0.93 on GloVe-50 and 0.98 on sentence embeddings
/// (100,000 and 40,000 rows); 200 gives 0.99 and 0.998 and keeps a margin for larger tables.
const DEFAULT_WIDTH: i32 = 200;

/// The same where the index knows only signs.
const DEFAULT_WIDTH_BINARY: i32 = 400;

/// pgvector's own default: nobody has set `hnsw.ef_search`.
const UNSET_WIDTH: i32 = 40;

/// pgvector's limit.
pub const MAX_EF_SEARCH: i32 = 1_000;

/// What the caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Auto,
    Exact,
    Approximate,
}

impl Mode {
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Mode::Auto),
            "exact" => Ok(Mode::Exact),
            "approximate" => Ok(Mode::Approximate),
            other => Err(Error::invalid_parameter(format!("mode can't be \"{other}\""))
                .hint("It is 'auto', 'exact' or 'approximate'.")),
        }
    }
}

/// A decision with its grounds.
#[derive(Debug, Clone)]
pub struct Choice {
    pub path: Path,
    pub reason: String,
    /// Rows that match, as far as it was looked.
    pub matching: Option<i64>,
    pub cutoff: Option<i64>,
}

impl Choice {
    fn new(path: Path, reason: impl Into<String>) -> Self {
        Self { path, reason: reason.into(), matching: None, cutoff: None }
    }

    pub fn exact(reason: impl Into<String>) -> Self {
        Self::new(Path::Exact { few: false }, reason)
    }
}

/// What the decision depends on.
pub struct Wish<'a> {
    pub k: i64,
    pub mode: Mode,
    pub ef_search: Option<i32>,
    /// Condition on the table as `t`, with parameters from `$4` on.
    pub condition: &'a str,
    /// Parameters of the condition, with `$1` to `$3` before them.
    pub args: &'a [DatumWithOid<'a>],
    /// Rows may be left out: by a filter or by policies.
    pub hidden: bool,
}

/// Decides.
pub fn choose(known: &Known, wish: &Wish<'_>) -> Result<Choice> {
    let vector = &known.vector;
    if wish.mode == Mode::Exact {
        return Ok(Choice::exact("the mode is exact"));
    }
    let Some(index) = &known.index else {
        return Ok(Choice::exact(format!(
            "there is no valid vector index for {} on {}",
            vector.metric().as_str(),
            vector.embedding.quoted()
        )));
    };
    load_library(known)?;
    let goes_on = wish.hidden || wish.k > i64::from(MAX_EF_SEARCH);
    if goes_on && !can_go_on(index) {
        return Ok(Choice::exact(format!(
            "pgvector {} can't continue an index scan until k rows are found (0.8.0 can)",
            vector.engine.version
        )));
    }
    let walk = Walk { index: index.clone(), width: width(known, index, wish), iterative: goes_on };
    if wish.mode == Mode::Approximate {
        return Ok(Choice::new(Path::Approximate(walk), "the mode is approximate"));
    }
    let total = estimate::size(vector)?;
    let terms = Terms { known, k: count(wish.k), width: f64::from(walk.width), total };
    if !wish.hidden {
        let guess = Guess { rows: total, indexed: false, sampled: false };
        return Ok(decide(&terms, walk, &guess, 0.0));
    }
    let filter = FILTER * known.costs.visit_us;
    let whole = total * (known.costs.exact_row_us + filter);
    if gucs::exact_cutoff().is_none() && whole <= terms.approximate(total) {
        return Ok(Choice {
            matching: Some(whole_number(total)),
            ..Choice::exact(format!(
                "the table has about {total:.0} rows: exact takes at most {}, the index at least {}",
                time(whole),
                time(terms.approximate(total))
            ))
        });
    }
    let guess = estimate::matching(vector, wish.condition, wish.args, total)?;
    let filter = if guess.indexed { 0.0 } else { filter };
    let mut choice = decide(&terms, walk, &guess, filter);
    if let Path::Exact { few } = &mut choice.path {
        *few &= !compares(wish.condition);
    }
    Ok(choice)
}

/// Whether a condition compares values, which an index on one key's serves: only a plan that knows the
/// names sees that.
pub fn compares(condition: &str) -> bool {
    condition.contains("->")
}

/// Whether a scan of the index can continue until enough rows are found.
pub fn can_go_on(index: &Index) -> bool {
    index.streams() || spi::setting(&format!("{}.iterative_scan", index.method)).is_some()
}

/// What the costs depend on.
struct Terms<'a> {
    known: &'a Known,
    k: f64,
    width: f64,
    total: f64,
}

impl Terms<'_> {
    /// Microseconds of an approximate search where so many rows match.
    fn approximate(&self, matching: f64) -> f64 {
        self.visits(matching) * self.known.costs.visit_us
    }

    /// The index goes on in steps of its width.
    fn visits(&self, matching: f64) -> f64 {
        let needed = self.k * self.total / matching.max(1.0);
        (needed / self.width).ceil().max(1.0) * self.width
    }

    /// At how many matching rows both paths cost the same: `a·m + f·n = v·max(width, k·n/m)`.
    fn cutoff(&self, row: f64, filter: f64) -> i64 {
        let visit = self.known.costs.visit_us;
        let all = filter * self.total;
        let flat = (self.width * visit - all) / row;
        let steep =
            ((all * all + 4.0 * row * visit * self.k * self.total).sqrt() - all) / (2.0 * row);
        whole_number(flat.max(steep).min(self.total).max(self.k))
    }
}

fn decide(terms: &Terms<'_>, walk: Walk, guess: &Guess, filter: f64) -> Choice {
    let costs = terms.known.costs;
    let row = costs.exact_row_us + if guess.indexed { BY_INDEX * costs.visit_us } else { 0.0 };
    let exact = filter * terms.total + row * guess.rows;
    let approximate = terms.approximate(guess.rows);
    let rows = whole_number(guess.rows);
    let fixed = gucs::exact_cutoff();
    let cutoff = fixed.unwrap_or_else(|| terms.cutoff(row, filter));
    let how = if guess.sampled { " (by a sample)" } else { "" };
    let (take_exact, reason) = match fixed {
        Some(cutoff) => {
            let within = rows <= cutoff;
            let relation = if within { "within" } else { "above" };
            (within, format!("about {rows} rows match{how}, {relation} the cut-off of {cutoff}"))
        }
        None => (
            exact <= approximate * if guess.indexed { PREFER_EXACT } else { 1.0 },
            format!(
                "about {rows} rows match{how}: exact takes about {}, the index {}{}",
                time(exact),
                time(approximate),
                if costs.measured { "" } else { "; not measured yet" }
            ),
        ),
    };
    let path = if take_exact {
        Path::Exact { few: guess.rows <= terms.total / 5.0 }
    } else {
        Path::Approximate(walk)
    };
    Choice { path, reason, matching: Some(rows), cutoff: Some(cutoff) }
}

/// How widely the index is searched: as asked for; else what was measured for the store, or the
/// default, or what the session is set to where that is more. Never less than `k`.
fn width(known: &Known, index: &Index, wish: &Wish<'_>) -> i32 {
    let usual = match index.quantization {
        Quantization::Binary => DEFAULT_WIDTH_BINARY,
        _ => DEFAULT_WIDTH,
    };
    let wanted = wish.ef_search.unwrap_or_else(|| {
        let session = spi::setting("hnsw.ef_search").and_then(|text| text.parse().ok());
        let session = session.filter(|ef| *ef != UNSET_WIDTH);
        known.ef_search.unwrap_or(usual).max(session.unwrap_or(0))
    });
    let least = i32::try_from(wish.k).unwrap_or(MAX_EF_SEARCH);
    wanted.max(least).min(MAX_EF_SEARCH)
}

fn time(us: f64) -> String {
    format!("{:.1} ms", us / 1_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "costs need no more than 53 bits")]
fn count(rows: i64) -> f64 {
    rows as f64
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, which is what is meant")]
fn whole_number(rows: f64) -> i64 {
    rows.round() as i64
}

/// Makes sure that pgvector's library is loaded, which is what defines its settings: before that,
/// any name would do.
fn load_library(known: &Known) -> Result<()> {
    thread_local! { static LOADED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) } }
    if !LOADED.get() {
        let vector_type = known.vector.engine.object("vector");
        spi::execute(&format!("SELECT ('{{1}}'::pg_catalog.float4[])::{vector_type}"), &[])?;
        LOADED.set(true);
    }
    Ok(())
}
