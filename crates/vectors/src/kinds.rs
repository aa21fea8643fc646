//! The small enumerations of a store.

/// How two vectors are compared. Smaller distances are nearer, for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// 1 − cosine of the angle: 0 (same direction) … 2 (opposite).
    Cosine,
    /// Euclidean distance.
    L2,
    /// Negative inner product.
    InnerProduct,
    /// Sum of absolute differences.
    L1,
}

impl Metric {
    pub const ALL: [Metric; 4] = [Metric::Cosine, Metric::L2, Metric::InnerProduct, Metric::L1];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::L2 => "l2",
            Metric::InnerProduct => "inner_product",
            Metric::L1 => "l1",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == text)
    }

    /// pgvector's operator.
    #[must_use]
    pub const fn operator(self) -> &'static str {
        match self {
            Metric::Cosine => "<=>",
            Metric::L2 => "<->",
            Metric::InnerProduct => "<#>",
            Metric::L1 => "<+>",
        }
    }

    /// The middle of pgvector's names of operator classes (`vector_cosine_ops`).
    #[must_use]
    pub const fn opclass(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::L2 => "l2",
            Metric::InnerProduct => "ip",
            Metric::L1 => "l1",
        }
    }

    /// Larger is nearer: the cosine, the inner product, or 1 / (1 + distance).
    #[must_use]
    pub fn score(self, distance: f64) -> f64 {
        match self {
            Metric::Cosine => 1.0 - distance,
            Metric::InnerProduct => -distance,
            Metric::L2 | Metric::L1 => 1.0 / (1.0 + distance),
        }
    }
}

/// How a vector is stored: 4 or 2 bytes a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Vector,
    Halfvec,
}

impl Storage {
    /// Also the name of the type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Storage::Vector => "vector",
            Storage::Halfvec => "halfvec",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Storage::Vector, Storage::Halfvec].into_iter().find(|storage| storage.as_str() == text)
    }

    /// Most dimensions that pgvector's HNSW and IVFFlat can index.
    #[must_use]
    pub const fn max_indexed(self) -> i32 {
        match self {
            Storage::Vector => 2_000,
            Storage::Halfvec => 4_000,
        }
    }
}

/// The type of the id column. Ids are text in calls; this says which texts are ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    Text,
    Varchar,
    Bigint,
    Integer,
    Smallint,
    Uuid,
}

impl IdType {
    const ALL: [IdType; 6] = [
        IdType::Text,
        IdType::Varchar,
        IdType::Bigint,
        IdType::Integer,
        IdType::Smallint,
        IdType::Uuid,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            IdType::Text => "text",
            IdType::Varchar => "varchar",
            IdType::Bigint => "bigint",
            IdType::Integer => "integer",
            IdType::Smallint => "smallint",
            IdType::Uuid => "uuid",
        }
    }

    /// Name in `pg_catalog`.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            IdType::Text => "text",
            IdType::Varchar => "varchar",
            IdType::Bigint => "int8",
            IdType::Integer => "int4",
            IdType::Smallint => "int2",
            IdType::Uuid => "uuid",
        }
    }

    #[must_use]
    pub fn by_type_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_name() == name)
    }

    /// The text that Postgres itself would show for an id, so that equal ids have equal texts;
    /// `None` for what isn't one.
    #[must_use]
    pub fn canonical(self, text: &str) -> Option<String> {
        let integer = |min: i64, max: i64| {
            let n: i64 = text.trim_matches(|c: char| c.is_ascii_whitespace()).parse().ok()?;
            (min..=max).contains(&n).then(|| n.to_string())
        };
        match self {
            IdType::Text | IdType::Varchar => Some(text.to_owned()),
            IdType::Bigint => integer(i64::MIN, i64::MAX),
            IdType::Integer => integer(i32::MIN.into(), i32::MAX.into()),
            IdType::Smallint => integer(i16::MIN.into(), i16::MAX.into()),
            IdType::Uuid => uuid(text),
        }
    }
}

/// As Postgres reads one: 32 hexadecimal digits, a hyphen allowed after every group of four, braces
/// allowed around.
fn uuid(text: &str) -> Option<String> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut digits = String::with_capacity(36);
    let mut count = 0;
    let mut after_hyphen = true;
    for c in inner.chars() {
        if c == '-' {
            if after_hyphen || count % 4 != 0 {
                return None;
            }
            after_hyphen = true;
            continue;
        }
        if !c.is_ascii_hexdigit() || count == 32 {
            return None;
        }
        if matches!(count, 8 | 12 | 16 | 20) {
            digits.push('-');
        }
        digits.push(c.to_ascii_lowercase());
        count += 1;
        after_hyphen = false;
    }
    (count == 32 && !after_hyphen).then_some(digits)
}

/// What an upsert does with rows that are there, and with those that aren't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Upsert,
    /// Rows that are there stay as they are.
    InsertOnly,
    /// Rows that aren't there are not made.
    UpdateOnly,
}

impl Mode {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Upsert => "upsert",
            Mode::InsertOnly => "insert_only",
            Mode::UpdateOnly => "update_only",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Mode::Upsert, Mode::InsertOnly, Mode::UpdateOnly]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_text() {
        assert_eq!(IdType::Bigint.canonical(" +07 ").as_deref(), Some("7"));
        assert_eq!(IdType::Bigint.canonical("9223372036854775808"), None);
        assert_eq!(IdType::Integer.canonical("2147483648"), None);
        assert_eq!(IdType::Smallint.canonical("-32768").as_deref(), Some("-32768"));
        assert_eq!(IdType::Bigint.canonical("1.0"), None);
        assert_eq!(IdType::Text.canonical(" 07").as_deref(), Some(" 07"));
        let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for same in [
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(IdType::Uuid.canonical(same).as_deref(), Some(id));
        }
        for not in [
            "",
            "a0eebc99",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1-1",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        ] {
            assert_eq!(IdType::Uuid.canonical(not), None, "{not}");
        }
    }

    #[test]
    fn names_read_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::parse(metric.as_str()), Some(metric));
        }
        assert_eq!(Metric::parse("Cosine"), None);
        for kind in IdType::ALL {
            assert_eq!(IdType::by_type_name(kind.type_name()), Some(kind));
        }
    }

    #[test]
    fn nearer_scores_higher() {
        for metric in Metric::ALL {
            assert!(metric.score(0.25) > metric.score(0.5));
        }
    }
}
