//! What index is to be built: planned from what is asked for and from the store, then left to a job. The plan
//! that is shown is the plan that is carried out.

use super::definition::Definition;
use super::{ACTION, memory, partitioned, present, record};
use crate::access;
use crate::catalog::job;
use crate::error::{Error, Result};
use crate::names;
use crate::vector::store::VectorStore;
use crate::vector::{load, sample};
use crate::workers::{lock, status};
use lake_vectors::index::{self, Choice, Method, Parameters, Quantization, Shape};
use pgrx::PgSqlErrorCode;
use serde_json::{Value, json};

/// What was asked for; `None` leaves the choice to [`plan`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    pub method: Option<Method>,
    pub quantization: Option<Quantization>,
    pub m: Option<i32>,
    pub ef_construction: Option<i32>,
    pub lists: Option<i32>,
}

impl Wish {
    /// 22023 for words and numbers that mean nothing.
    pub fn parse(
        method: &str,
        quantization: &str,
        m: Option<i32>,
        ef_construction: Option<i32>,
        lists: Option<i32>,
    ) -> Result<Self> {
        let method = match method {
            "auto" => None,
            text => Some(Method::parse(text).ok_or_else(|| {
                Error::invalid_parameter(format!("method can't be \"{text}\"")).hint(
                    "It is 'auto', 'hnsw', 'ivfflat', or, where their extensions are installed, 'diskann' or 'vchordrq'.",
                )
            })?),
        };
        let quantization = match quantization {
            "auto" => None,
            text => Some(Quantization::parse(text).ok_or_else(|| {
                Error::invalid_parameter(format!("quantization can't be \"{text}\""))
                    .hint("It is 'auto', 'none', 'halfvec' or 'binary'.")
            })?),
        };
        let wish = Self { method, quantization, m, ef_construction, lists };
        for (name, value, least, most) in [
            ("m", m, 2, 100),
            ("ef_construction", ef_construction, 4, 1_000),
            ("lists", lists, 1, 32_768),
        ] {
            if let Some(value) = value
                && !(least..=most).contains(&value)
            {
                return Err(Error::invalid_parameter(format!(
                    "{name} must be between {least} and {most}, not {value}"
                )));
            }
        }
        let (links, candidates) =
            (wish.m.unwrap_or(16), wish.ef_construction.unwrap_or(64.max(2 * m.unwrap_or(16))));
        if candidates < 2 * links {
            return Err(Error::invalid_parameter(format!(
                "ef_construction must be at least twice m ({}), not {candidates}",
                2 * links
            )));
        }
        Ok(wish)
    }

    pub fn to_json(self) -> Value {
        json!({
            "method": self.method.map(Method::as_str),
            "quantization": self.quantization.map(Quantization::as_str),
            "m": self.m,
            "ef_construction": self.ef_construction,
            "lists": self.lists,
        })
    }

    pub fn from_json(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let number = |key: &str| {
            value.get(key).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok())
        };
        Self {
            method: text("method").and_then(Method::parse),
            quantization: text("quantization").and_then(Quantization::parse),
            m: number("m"),
            ef_construction: number("ef_construction"),
            lists: number("lists"),
        }
    }
}

/// An index as it will be built.
#[derive(Debug)]
pub struct Plan {
    pub choice: Choice,
    pub definition: Definition,
    pub rows: f64,
    pub index_bytes: f64,
    /// What the build wants, and what it is given as `maintenance_work_mem`.
    pub wanted_bytes: f64,
    pub memory_kb: i32,
    pub fits: bool,
    pub seconds: f64,
}

impl Plan {
    /// `hnsw`, `hnsw_halfvec` …
    pub fn kind(&self) -> String {
        kind(self.choice.method, self.choice.quantization)
    }
}

fn kind(method: Method, quantization: Quantization) -> String {
    match quantization {
        Quantization::None => method.as_str().to_owned(),
        other => format!("{}_{}", method.as_str(), other.as_str()),
    }
}

/// Plans. 0A000 and 22023 for what can't be.
pub fn plan(vector: &VectorStore, wish: &Wish) -> Result<Plan> {
    // What is built at a time, where that isn't the whole.
    let largest = vector.partitioned.then(|| partitioned::largest(vector)).transpose()?;
    let rows = sample::size(vector, i64::MAX)?;
    let whole = Shape {
        storage: vector.rules.storage,
        metric: vector.metric(),
        dimensions: vector.rules.dimensions,
        rows,
    };
    let at_once = largest.map_or(rows, |largest| largest.min(rows));
    let shape = Shape { rows: at_once, ..whole };
    let choice = index::choose(&shape, wish.method, wish.quantization, memory::limit())
        .map_err(|unfit| Error::invalid_parameter(unfit.message).hint(unfit.hint))?;
    let natural = |value: Option<i32>, default: usize| {
        value.and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
    };
    let m = natural(wish.m, index::DEFAULT_M);
    let parameters = Parameters {
        m,
        ef_construction: natural(wish.ef_construction, index::DEFAULT_EF_CONSTRUCTION.max(2 * m)),
        lists: natural(wish.lists, index::default_lists(at_once)),
    };
    let (method, quantization) = (choice.method, choice.quantization);
    let definition = Definition::new(vector, method, quantization, &parameters)?;
    let wanted_bytes = index::build_memory(&shape, method, quantization, &parameters);
    let memory_kb = memory::grant_kb(wanted_bytes);
    let fits = f64::from(memory_kb) * 1_024.0 >= wanted_bytes;
    let seconds = match record::seconds_per_row(vector.store.oid(), &kind(method, quantization))? {
        Some(measured) => measured * rows,
        None => index::build_seconds(&whole, method, quantization, &parameters, fits),
    };
    Ok(Plan {
        choice,
        definition,
        rows,
        index_bytes: index::index_bytes(&whole, method, quantization, &parameters),
        wanted_bytes,
        memory_kb,
        fits,
        seconds,
    })
}

/// Leaves the build to a job and returns its id. The caller must own the store. 42710 where a search has an
/// index already and `replace` is false; 55006 while one is being built, 55000 while a load has begun.
pub fn submit(vector: &VectorStore, wish: &Wish, replace: bool) -> Result<i64> {
    access::require_owner(vector.relation())?;
    let table = vector.relation();
    if load::begun(&vector.store)? {
        return Err(Error::not_in_prerequisite_state(format!("a load of {table} has begun"))
            .hint(format!(
                "SELECT lake.vector_end_load({}); makes its indexes again, or with rebuild => false forgets them.",
                names::literal(&table.to_string())
            )));
    }
    let plan = plan(vector, wish)?;
    let present = present::all(vector)?;
    if let Some(index) = present.iter().find(|index| index.usable())
        && !replace
    {
        return Err(Error::duplicate_object(format!(
            "{table} has the index {} already",
            index.qualified()
        ))
        .hint("replace => true builds a new one, checks it, and then drops the old one."));
    }
    if let Some(running) = job::find(&vector.store, ACTION)? {
        if lock::is_held(running)? {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                format!("an index on {table} is being built (job {running})"),
            )
            .hint(format!(
                "SELECT * FROM lake.vector_indexes shows how far it is; SELECT lake.vector_cancel_build({}) ends it.",
                names::literal(&table.to_string())
            )));
        }
        job::remove(&vector.store, ACTION)?;
    }
    let mut config = wish.to_json();
    config["name"] = json!(present::free_name(vector, &plan.kind())?);
    config["replaces"] = json!(if replace {
        present
            .iter()
            .filter(|index| !index.building)
            .map(|index| index.name.clone())
            .collect::<Vec<_>>()
    } else {
        vec![]
    });
    job::ensure(&vector.store, ACTION, "1 day", &config)
}

/// Says so where nobody will do the job.
pub fn warn_without_worker(job_id: i64) -> Result<()> {
    if status::launcher_pid()?.is_none() {
        crate::vector::create::notice(
            format!("no background worker runs here, so job {job_id} waits"),
            "SELECT lake.start_worker(); or concurrently => false, which blocks writers meanwhile.",
        );
    }
    Ok(())
}
