//! A vector index as SQL: how it is created, and how a query must order to be served by it.

use crate::error::{Error, Result};
use crate::names;
use crate::spi;
use crate::vector::store::VectorStore;
use lake_vectors::Storage;
use lake_vectors::index::{Method, Parameters, Quantization};

/// An index that is to be.
#[derive(Debug, Clone)]
pub struct Definition {
    pub method: Method,
    pub quantization: Quantization,
    /// Qualified.
    pub opclass: String,
    /// Storage parameters, in `WITH`.
    pub options: Vec<(&'static str, usize)>,
}

impl Definition {
    /// 0A000 where the access method isn't installed or knows no such distance.
    pub fn new(
        vector: &VectorStore,
        method: Method,
        quantization: Quantization,
        parameters: &Parameters,
    ) -> Result<Self> {
        let metric = vector.metric();
        let name = match (quantization, vector.rules.storage) {
            (Quantization::Binary, _) => "bit_hamming_ops".to_owned(),
            (Quantization::Halfvec, _) | (_, Storage::Halfvec) => {
                format!("halfvec_{}_ops", metric.opclass())
            }
            (Quantization::None, Storage::Vector) => format!("vector_{}_ops", metric.opclass()),
        };
        let options = match method {
            Method::Hnsw => {
                vec![("m", parameters.m), ("ef_construction", parameters.ef_construction)]
            }
            Method::Ivfflat => vec![("lists", parameters.lists)],
            Method::Diskann | Method::Vchordrq => vec![],
        };
        Ok(Self { method, quantization, opclass: opclass(method, &name)?, options })
    }

    /// What is indexed, of a table by the name or alias that `column` begins with.
    fn key(&self, vector: &VectorStore, column: &str) -> String {
        let dimensions = vector.rules.dimensions;
        match self.quantization {
            Quantization::None if vector.untyped => {
                format!("({column}::{})", vector.vector_type())
            }
            Quantization::None => column.to_owned(),
            Quantization::Halfvec => {
                format!("({column}::{}({dimensions}))", vector.engine.object("halfvec"))
            }
            Quantization::Binary => format!(
                "({}({column})::pg_catalog.bit({dimensions}))",
                vector.engine.object("binary_quantize")
            ),
        }
    }

    pub fn create(&self, vector: &VectorStore, name: &str, concurrently: bool) -> String {
        self.create_on(vector, &vector.relation().to_string(), name, concurrently)
    }

    /// The same on a partition, or on the table alone.
    pub fn create_on(
        &self,
        vector: &VectorStore,
        table: &str,
        name: &str,
        concurrently: bool,
    ) -> String {
        let concurrently = if concurrently { "CONCURRENTLY " } else { "" };
        let key = match self.quantization {
            Quantization::None if !vector.untyped => vector.embedding.quoted(),
            _ => format!("({})", self.key(vector, &vector.embedding.quoted())),
        };
        let options: Vec<String> =
            self.options.iter().map(|(option, value)| format!("{option} = {value}")).collect();
        let with = if options.is_empty() {
            String::new()
        } else {
            format!(" WITH ({})", options.join(", "))
        };
        // Rows of other lengths have no place in it, and none that it would refuse.
        let only = match vector.right_length(&vector.embedding.quoted()) {
            Some(condition) => format!(" WHERE {condition}"),
            None => String::new(),
        };
        format!(
            "CREATE INDEX {concurrently}{} ON {table} USING {} ({key} {}){with}{only}",
            names::ident(name),
            self.method.as_str(),
            self.opclass,
        )
    }

    /// The distance that the index is ordered by, from the embedding of `t` to parameter `$n`.
    pub fn order(&self, vector: &VectorStore, n: usize) -> String {
        let query = vector.vector_param(n);
        let operator = match self.quantization {
            Quantization::Binary => vector.engine.operator("<~>"),
            _ => vector.distance_operator(),
        };
        format!(
            "({} {operator} {})",
            self.key(vector, &VectorStore::col(&vector.embedding)),
            self.key(vector, &query)
        )
    }
}

fn opclass(method: Method, name: &str) -> Result<String> {
    let found = spi::rows(
        "SELECT CASE WHEN oc.oid IS NOT NULL \
                     THEN pg_catalog.format('%I.%I', n.nspname, oc.opcname) END \
         FROM pg_catalog.pg_am am LEFT JOIN pg_catalog.pg_opclass oc \
              ON oc.opcmethod = am.oid AND oc.opcname = $2::pg_catalog.text \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = oc.opcnamespace \
         WHERE am.amname = $1::pg_catalog.text AND am.amtype = 'i'",
        &[method.as_str().into(), name.into()],
        |row| spi::get::<String>(row, 1),
    )?;
    match found.into_iter().next() {
        Some(Some(opclass)) => Ok(opclass),
        Some(None) => Err(Error::unsupported(format!(
            "access method \"{}\" has no operator class {name}",
            method.as_str()
        ))
        .hint("method => 'hnsw' knows every metric.")),
        None => {
            let extension = match method {
                Method::Hnsw | Method::Ivfflat => "vector",
                Method::Diskann => "vectorscale",
                Method::Vchordrq => "vchord",
            };
            Err(Error::unsupported(format!(
                "access method \"{}\" is not installed",
                method.as_str()
            ))
            .hint(format!("It comes with: CREATE EXTENSION {extension};")))
        }
    }
}
