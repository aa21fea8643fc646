//! Which index suits a store, and what it will cost to build.

use crate::kinds::{Metric, Storage};

/// How an index is organised. Names are those of Postgres' access methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// pgvector's graph.
    Hnsw,
    /// pgvector's lists.
    Ivfflat,
    /// pgvectorscale's graph, which compresses by itself.
    Diskann,
    /// VectorChord's lists, which compress by themselves.
    Vchordrq,
}

impl Method {
    pub const ALL: [Method; 4] = [Method::Hnsw, Method::Ivfflat, Method::Diskann, Method::Vchordrq];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Hnsw => "hnsw",
            Method::Ivfflat => "ivfflat",
            Method::Diskann => "diskann",
            Method::Vchordrq => "vchordrq",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Whether the index is of pgvector itself, which quantizes by an expression.
    #[must_use]
    pub const fn is_pgvectors(self) -> bool {
        matches!(self, Method::Hnsw | Method::Ivfflat)
    }
}

/// What the index holds of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// The column as it is.
    None,
    /// Two bytes a dimension.
    Halfvec,
    /// One bit a dimension: its sign.
    Binary,
}

impl Quantization {
    pub const ALL: [Quantization; 3] =
        [Quantization::None, Quantization::Halfvec, Quantization::Binary];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Quantization::None => "none",
            Quantization::Halfvec => "halfvec",
            Quantization::Binary => "binary",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What is to be indexed.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub storage: Storage,
    pub metric: Metric,
    pub dimensions: usize,
    pub rows: f64,
}

/// Parameters of an index; those of other methods don't matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Links of a row in an HNSW graph.
    pub m: usize,
    /// Candidates while an HNSW graph is built.
    pub ef_construction: usize,
    /// Lists of IVFFlat.
    pub lists: usize,
}

/// pgvector's own defaults for HNSW.
pub const DEFAULT_M: usize = 16;
pub const DEFAULT_EF_CONSTRUCTION: usize = 64;
/// pgvector's limit.
pub const MAX_LISTS: usize = 32_768;

/// As many lists as pgvector advises: a thousandth of the rows, and their root from a million on.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub fn default_lists(rows: f64) -> usize {
    let wanted = if rows <= 1e6 { rows / 1_000.0 } else { rows.sqrt() };
    wanted.round().clamp(10.0, MAX_LISTS as f64) as usize
}

/// A choice with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub method: Method,
    pub quantization: Quantization,
    pub reason: String,
}

/// Most dimensions of bits that pgvector can index.
const MAX_BITS: usize = 64_000;

/// Most dimensions that an index of this make takes.
#[must_use]
pub fn max_dimensions(method: Method, quantization: Quantization, storage: Storage) -> usize {
    match (method, quantization, storage) {
        (Method::Diskann | Method::Vchordrq, ..) => 16_000,
        (_, Quantization::Binary, _) => MAX_BITS,
        (_, Quantization::Halfvec, _) | (_, _, Storage::Halfvec) => 4_000,
        (_, Quantization::None, Storage::Vector) => 2_000,
    }
}

/// What fits: a method and a quantization, each as asked for or chosen (`None`). `memory` is what a
/// build may take. An error says why nothing fits, and what would.
pub fn choose(
    shape: &Shape,
    method: Option<Method>,
    quantization: Option<Quantization>,
    memory: f64,
) -> Result<Choice, Unfit> {
    let method_name = method.unwrap_or(Method::Hnsw);
    if !method_name.is_pgvectors() {
        if let Some(kind) = quantization.filter(|kind| *kind != Quantization::None) {
            return Err(Unfit {
                message: format!(
                    "{} indexes take no quantization \"{}\"",
                    method_name.as_str(),
                    kind.as_str()
                ),
                hint: "They compress by themselves: quantization => 'none'.",
            });
        }
        return check(shape, method_name, Quantization::None, "as asked for");
    }
    if let Some(kind) = quantization {
        let kind = match (kind, shape.storage) {
            // It is one already.
            (Quantization::Halfvec, Storage::Halfvec) => Quantization::None,
            (kind, _) => kind,
        };
        return check(shape, method_name, kind, "as asked for");
    }
    let fits = |kind| shape.dimensions <= max_dimensions(method_name, kind, shape.storage);
    let plain = fits(Quantization::None);
    if !plain && fits(Quantization::Halfvec) && shape.storage == Storage::Vector {
        return check(
            shape,
            method_name,
            Quantization::Halfvec,
            "over 2,000 dimensions, which pgvector indexes as halfvec",
        );
    }
    if !plain {
        return check(
            shape,
            method_name,
            Quantization::Binary,
            "over 4,000 dimensions, of which pgvector indexes the signs",
        );
    }
    let parameters =
        Parameters { m: DEFAULT_M, ef_construction: DEFAULT_EF_CONSTRUCTION, lists: 0 };
    let needs = |kind| build_memory(shape, method_name, kind, &parameters);
    if shape.storage == Storage::Vector
        && needs(Quantization::None) > memory
        && needs(Quantization::Halfvec) <= memory
    {
        return check(
            shape,
            method_name,
            Quantization::Halfvec,
            "only as halfvec the graph fits into memory while it is built",
        );
    }
    check(shape, method_name, Quantization::None, "the column can be indexed as it is")
}

fn check(
    shape: &Shape,
    method: Method,
    quantization: Quantization,
    reason: &str,
) -> Result<Choice, Unfit> {
    if quantization == Quantization::Binary && shape.metric == Metric::L1 {
        return Err(Unfit {
            message: "signs say nothing about the metric \"l1\"".into(),
            hint: "Searches of such a store are exact.",
        });
    }
    let most = max_dimensions(method, quantization, shape.storage);
    if shape.dimensions > most {
        return Err(Unfit {
            message: format!(
                "an index with method \"{}\" and quantization \"{}\" takes at most {most} dimensions, not {}",
                method.as_str(),
                quantization.as_str(),
                shape.dimensions
            ),
            hint: "quantization => 'auto' chooses one that fits.",
        });
    }
    Ok(Choice { method, quantization, reason: reason.to_owned() })
}

/// Why no such index can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub message: String,
    pub hint: &'static str,
}

/// Bytes of a vector in the index.
fn vector_bytes(shape: &Shape, quantization: Quantization) -> f64 {
    let dimensions = shape.dimensions as f64;
    8.0 + match (quantization, shape.storage) {
        (Quantization::Binary, _) => (dimensions / 8.0).ceil(),
        (Quantization::Halfvec, _) | (_, Storage::Halfvec) => 2.0 * dimensions,
        (Quantization::None, Storage::Vector) => 4.0 * dimensions,
    }
}

/// Memory that a build wants, in bytes. HNSW: the whole graph (an element, its links at 16 bytes each,
/// the vector), as measured by the rows after which pgvector says that no more fit. IVFFlat: the sample for k-means, 50 vectors a list, and the lists.
#[must_use]
pub fn build_memory(
    shape: &Shape,
    method: Method,
    quantization: Quantization,
    parameters: &Parameters,
) -> f64 {
    let vector = vector_bytes(shape, quantization);
    match method {
        Method::Ivfflat | Method::Vchordrq => {
            let lists = parameters.lists.max(1) as f64;
            (50.0 * lists).max(10_000.0) * vector + lists * (2.0 * vector + 4.0 * lists)
        }
        Method::Hnsw | Method::Diskann => {
            // Rows on the levels above the lowest hold m links more each, one row in m.
            let links = 16.0 * (2.0 * parameters.m as f64 + 1.0);
            shape.rows * (246.0 + links + vector)
        }
    }
}

/// Size of the index on disk, in bytes: tuples don't cross pages.
#[must_use]
pub fn index_bytes(
    shape: &Shape,
    method: Method,
    quantization: Quantization,
    parameters: &Parameters,
) -> f64 {
    const PAGE: f64 = 8_168.0;
    let vector = vector_bytes(shape, quantization);
    let tuple = match method {
        Method::Hnsw | Method::Diskann => 72.0 + vector + 16.0 + 12.0 * parameters.m as f64,
        Method::Ivfflat | Method::Vchordrq => 16.0 + vector,
    };
    let per_page = (PAGE / tuple).floor();
    let pages = if per_page >= 1.0 { shape.rows / per_page } else { shape.rows * tuple / PAGE };
    (pages * 8_192.0).ceil()
}

/// Seconds that a build takes in one process, roughly: from 20,000 rows of 384 dimensions at 1,800 a second
/// and of 50 at 3,300, growing with the logarithm of the rows. Slower where it doesn't fit into memory.
#[must_use]
pub fn build_seconds(
    shape: &Shape,
    method: Method,
    quantization: Quantization,
    parameters: &Parameters,
    fits: bool,
) -> f64 {
    let bytes = vector_bytes(shape, quantization);
    let (rows, dimensions) = (shape.rows.max(2.0), shape.dimensions as f64);
    let seconds = match method {
        Method::Hnsw | Method::Diskann => {
            let effort = parameters.ef_construction as f64 / DEFAULT_EF_CONSTRUCTION as f64
                * (parameters.m as f64 / DEFAULT_M as f64).sqrt();
            let row = 267e-6 + 0.19e-6 * bytes;
            rows * row * effort.max(0.5) * (rows.ln() / 20_000_f64.ln()).max(0.5)
        }
        Method::Ivfflat | Method::Vchordrq => {
            // Each row is compared with each list, and the sample of k-means some ten times over.
            let lists = parameters.lists.max(1) as f64;
            (rows + 500.0 * lists) * lists * dimensions * 0.5e-9
        }
    };
    if fits { seconds } else { seconds * 10.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: f64 = 1e12;

    fn shape(storage: Storage, dimensions: usize, rows: f64) -> Shape {
        Shape { storage, metric: Metric::Cosine, dimensions, rows }
    }

    fn auto(storage: Storage, dimensions: usize) -> Quantization {
        choose(&shape(storage, dimensions, 1e5), None, None, PLENTY).unwrap().quantization
    }

    #[test]
    fn the_type_follows_the_dimensions() {
        assert_eq!(auto(Storage::Vector, 2_000), Quantization::None);
        assert_eq!(auto(Storage::Vector, 2_001), Quantization::Halfvec);
        assert_eq!(auto(Storage::Vector, 4_000), Quantization::Halfvec);
        assert_eq!(auto(Storage::Vector, 4_001), Quantization::Binary);
        assert_eq!(auto(Storage::Halfvec, 4_000), Quantization::None);
        assert_eq!(auto(Storage::Halfvec, 4_001), Quantization::Binary);
        assert_eq!(auto(Storage::Vector, 16_000), Quantization::Binary);
    }

    #[test]
    fn halfvec_is_chosen_where_only_it_fits_into_memory() {
        let shape = shape(Storage::Vector, 1_536, 1e6);
        let memory = |kind| {
            let parameters = Parameters { m: 16, ef_construction: 64, lists: 0 };
            build_memory(&shape, Method::Hnsw, kind, &parameters)
        };
        let between = f64::midpoint(memory(Quantization::None), memory(Quantization::Halfvec));
        let chosen = |bytes| choose(&shape, None, None, bytes).unwrap().quantization;
        assert_eq!(chosen(between), Quantization::Halfvec);
        assert_eq!(chosen(PLENTY), Quantization::None);
        // Where neither fits, precision is not given up for nothing.
        assert_eq!(chosen(1e6), Quantization::None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let wide = shape(Storage::Vector, 3_000, 1e5);
        let refused = choose(&wide, None, Some(Quantization::None), PLENTY).unwrap_err();
        assert!(refused.message.contains("at most 2000 dimensions, not 3000"), "{refused:?}");
        let refused =
            choose(&wide, Some(Method::Diskann), Some(Quantization::Binary), PLENTY).unwrap_err();
        assert!(refused.hint.contains("none"), "{refused:?}");
        // A halfvec column as halfvec is the column itself.
        let half = shape(Storage::Halfvec, 3_000, 1e5);
        let chosen = choose(&half, None, Some(Quantization::Halfvec), PLENTY).unwrap();
        assert_eq!(chosen.quantization, Quantization::None);
    }

    #[test]
    fn signs_are_no_help_for_sums_of_differences() {
        let shape = Shape { metric: Metric::L1, ..shape(Storage::Vector, 5_000, 1e5) };
        let refused = choose(&shape, None, None, PLENTY).unwrap_err();
        assert!(refused.message.contains("l1"), "{refused:?}");
    }

    #[test]
    fn other_extensions_are_used_only_where_asked_for() {
        let wide = shape(Storage::Vector, 10_000, 1e5);
        assert_eq!(choose(&wide, None, None, PLENTY).unwrap().method, Method::Hnsw);
        let asked = choose(&wide, Some(Method::Vchordrq), None, PLENTY).unwrap();
        assert_eq!((asked.method, asked.quantization), (Method::Vchordrq, Quantization::None));
    }

    #[test]
    fn sizes_are_near_those_that_were_measured() {
        // 39,800 rows of 384 dimensions: 78, 44 and 13 MB.
        let shape = shape(Storage::Vector, 384, 39_800.0);
        let parameters = Parameters { m: 16, ef_construction: 64, lists: 0 };
        for (kind, megabytes) in [
            (Quantization::None, 78.0),
            (Quantization::Halfvec, 44.0),
            (Quantization::Binary, 13.0),
        ] {
            let estimate = index_bytes(&shape, Method::Hnsw, kind, &parameters) / 1_048_576.0;
            let error = (estimate / megabytes - 1.0).abs();
            assert!(error < 0.2, "{kind:?}: {estimate:.0} MB for {megabytes}");
        }
    }

    #[test]
    fn build_memory_is_what_was_measured() {
        // Rows after which "hnsw graph no longer fits into maintenance_work_mem" of so many MB.
        for (dimensions, kind, m, megabytes, fitted) in [
            (50, Quantization::None, 8, 16.0, 23_029.0),
            (50, Quantization::None, 16, 16.0, 17_106.0),
            (50, Quantization::None, 32, 16.0, 11_260.0),
            (384, Quantization::None, 8, 4.0, 2_031.0),
            (384, Quantization::None, 16, 4.0, 1_811.0),
            (384, Quantization::Halfvec, 8, 4.0, 3_240.0),
            (384, Quantization::Binary, 8, 2.0, 3_633.0),
        ] {
            let parameters = Parameters { m, ef_construction: 64, lists: 0 };
            let shape = shape(Storage::Vector, dimensions, fitted);
            let estimate =
                build_memory(&shape, Method::Hnsw, kind, &parameters) / (megabytes * 1_048_576.0);
            assert!((estimate - 1.0).abs() < 0.01, "{dimensions} {kind:?} {m}: {estimate}");
        }
    }

    #[test]
    fn lists_grow_with_the_rows() {
        assert_eq!(default_lists(0.0), 10);
        assert_eq!(default_lists(500_000.0), 500);
        assert_eq!(default_lists(4e6), 2_000);
        assert_eq!(default_lists(1e12), MAX_LISTS);
    }
}
