//! Vector stores over the wire, as programs use them: binary parameters, pgvector's client types,
//! real embeddings, several writers at a time, sessions that end in the middle.

use lake_server_tests::{Cluster, Options, SOON, failure, poll};
use pgvector::Vector;
use postgres::Client;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

const DIMENSIONS: usize = 384;
const HELD_OUT: usize = 50;

/// Embeddings of WordNet glosses with their lexicographer file, a category that goes with meaning.
struct Glosses {
    embeddings: Vec<Vec<f32>>,
    categories: Vec<(String, String)>,
}

impl Glosses {
    fn read() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/wordnet");
        let bytes = std::fs::read(folder.join("embeddings.f16")).unwrap();
        let (halves, rest) = bytes.as_chunks::<2>();
        assert!(rest.is_empty());
        let embeddings = halves
            .chunks(DIMENSIONS)
            .map(|row| row.iter().map(|bits| half(u16::from_le_bytes(*bits))).collect())
            .collect();
        let categories = std::fs::read_to_string(folder.join("glosses.tsv"))
            .unwrap()
            .lines()
            .map(|line| {
                let mut parts = line.split('\t');
                (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned())
            })
            .collect();
        Self { embeddings, categories }
    }
}

/// A normal IEEE 754 binary16 number, or zero.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = if exponent == 0 {
        fraction * 2_f32.powi(-24)
    } else {
        (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15)
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

fn cluster() -> Cluster {
    let cluster = Cluster::start(Options::preloaded());
    cluster.create_database("app", &["vector", "lake_stores"]);
    cluster
}

fn load(db: &mut Client, glosses: &Glosses) {
    db.execute("SELECT lake.vector_create('glosses', 384)", &[]).unwrap();
    let rows: Vec<usize> = (0..glosses.embeddings.len() - HELD_OUT).collect();
    let mut inserted = 0;
    for batch in rows.chunks(1_000) {
        let ids: Vec<String> = batch.iter().map(|n| format!("g{n:05}")).collect();
        let bytes: Vec<u8> = batch
            .iter()
            .flat_map(|n| &glosses.embeddings[*n])
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let metadatas: Vec<Value> = batch
            .iter()
            .map(|n| json!({"n": n, "category": glosses.categories[*n].0, "pos": glosses.categories[*n].1}))
            .collect();
        let row = db
            .query_one(
                "SELECT inserted FROM lake.vector_upsert_many('glosses', $1, $2::bytea, $3)",
                &[&ids, &bytes, &metadatas],
            )
            .unwrap();
        inserted += row.get::<_, i64>(0);
    }
    assert_eq!(inserted, rows.len() as i64);
    db.batch_execute(
        "CREATE INDEX ON glosses USING hnsw (embedding vector_cosine_ops); ANALYZE glosses",
    )
    .unwrap();
}

fn search(db: &mut Client, query: &[f32], k: i32, filter: &Value, mode: &str) -> Vec<String> {
    db.query(
        "SELECT id FROM lake.vector_search('glosses', $1, $2, $3, mode => $4)",
        &[&query, &k, filter, &mode],
    )
    .unwrap()
    .iter()
    .map(|row| row.get(0))
    .collect()
}

/// All rows, nearest first: computed in this process, one by one.
fn ranking(glosses: &Glosses, query: &[f32]) -> Vec<usize> {
    let mut all: Vec<(f32, usize)> = (0..glosses.embeddings.len() - HELD_OUT)
        .map(|n| {
            let (mut dot, mut square) = (0.0, 0.0);
            for (a, b) in glosses.embeddings[n].iter().zip(query) {
                dot += a * b;
                square += a * a;
            }
            (dot / square.sqrt(), n)
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, n)| n).collect()
}

#[test]
fn real_embeddings_are_found_at_every_selectivity() {
    let cluster = cluster();
    let mut db = cluster.connect("app", "postgres");
    let glosses = Glosses::read();
    assert!(glosses.embeddings.len() >= 5_000);
    load(&mut db, &glosses);

    type Matches = Box<dyn Fn(&Glosses, usize) -> bool>;
    let filters: Vec<(Value, Matches)> = vec![
        (json!({}), Box::new(|_, _| true)),
        (json!({"pos": "noun"}), Box::new(|g, n| g.categories[n].1 == "noun")),
        (json!({"pos": {"$ne": "noun"}}), Box::new(|g, n| g.categories[n].1 != "noun")),
        (json!({"n": {"$gte": 2500}}), Box::new(|_, n| n >= 2500)),
        (
            json!({"category": {"$in": ["noun.animal", "noun.plant"]}}),
            Box::new(|g, n| ["noun.animal", "noun.plant"].contains(&g.categories[n].0.as_str())),
        ),
        (json!({"category": "verb.motion"}), Box::new(|g, n| g.categories[n].0 == "verb.motion")),
        (json!({"n": {"$lt": 5}}), Box::new(|_, n| n < 5)),
        (json!({"n": "5"}), Box::new(|_, _| false)),
    ];
    let queries = &glosses.embeddings[glosses.embeddings.len() - HELD_OUT..];
    let rankings: Vec<Vec<usize>> = queries.iter().map(|query| ranking(&glosses, query)).collect();
    // Once as it is, once with the exact path only for very selective filters.
    let mut paths = HashSet::new();
    for cutoff in [-1, 300] {
        db.batch_execute(&format!("SET lake_stores.exact_cutoff = {cutoff}")).unwrap();
        for (filter, matches) in &filters {
            let (mut found, mut wanted) = (0, 0);
            for (query, ranking) in queries.iter().zip(&rankings) {
                let truth: Vec<String> = ranking
                    .iter()
                    .filter(|n| matches(&glosses, **n))
                    .take(10)
                    .map(|n| format!("g{n:05}"))
                    .collect();
                let auto = search(&mut db, query, 10, filter, "auto");
                assert_eq!(auto.len(), truth.len(), "{filter}");
                let auto: HashSet<String> = auto.into_iter().collect();
                found += truth.iter().filter(|id| auto.contains(*id)).count();
                wanted += truth.len();
            }
            assert!(found * 100 >= wanted * 95, "{filter}, cut-off {cutoff}: {found} of {wanted}");
            let path: String = db
                .query_one(
                    "SELECT path FROM lake.vector_explain('glosses', $1, 10, $2)",
                    &[&glosses.embeddings[0], filter],
                )
                .unwrap()
                .get(0);
            paths.insert((cutoff, path));
        }
    }
    assert!(paths.contains(&(300, "approximate".into())), "{paths:?}");
    assert!(paths.contains(&(300, "exact".into())), "{paths:?}");
}

#[test]
fn clients_of_every_kind_of_parameter() {
    let cluster = cluster();
    let mut db = cluster.connect("app", "postgres");
    db.batch_execute("SELECT lake.vector_create('docs', 3); SELECT lake.vector_create('halves', 3, storage => 'halfvec')")
        .unwrap();

    // pgvector's own type, cast to real[] by the server
    let vector = Vector::from(vec![1.0, 2.0, 3.0]);
    let outcome = db
        .query_one(
            "SELECT lake.vector_upsert('docs', $1::text, $2::vector, $3)",
            &[&"v", &vector, &json!({"a": 1})],
        )
        .unwrap();
    assert_eq!(outcome.get::<_, String>(0), "inserted");
    let stored: Vector = db.query_one("SELECT embedding FROM docs", &[]).unwrap().get(0);
    assert_eq!(stored.as_slice(), [1.0, 2.0, 3.0]);

    // arrays of floats, types as the server infers them
    let outcome = db
        .query_one(
            "SELECT lake.vector_upsert('docs', $1, $2, $3, $4)",
            &[&"r", &vec![1.0_f32, 2.0, 4.0], &json!({}), &Some("text")],
        )
        .unwrap();
    assert_eq!(outcome.get::<_, String>(0), "inserted");
    db.execute(
        "SELECT lake.vector_upsert('halves', 'h', $1::vector::halfvec::real[])",
        &[&Vector::from(vec![1.0, 2.0, 3.0])],
    )
    .unwrap();

    let rows = db
        .query(
            "SELECT id, distance, score, metadata, content, embedding FROM lake.vector_search('docs', $1::vector, with_embedding => true)",
            &[&vector],
        )
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get::<_, String>("id"), "v");
    assert!(rows[0].get::<_, f64>("distance").abs() < 1e-9);
    assert_eq!(rows[0].get::<_, Value>("metadata"), json!({"a": 1}));
    assert_eq!(rows[1].get::<_, Option<String>>("content").as_deref(), Some("text"));
    assert_eq!(rows[1].get::<_, Vec<f32>>("embedding"), [1.0, 2.0, 4.0]);

    let fault = failure(
        db.query("SELECT lake.vector_upsert('docs', 'x', $1)", &[&vec![1.0_f32, f32::NAN, 0.0]]),
    );
    assert_eq!(fault.code, "22003");
    assert_eq!(fault.message, "public.docs, id \"x\": element 2 of embedding is NaN");
}

#[test]
fn writers_of_the_same_ids_neither_fail_nor_lose_rows() {
    let cluster = Arc::new(cluster());
    let mut db = cluster.connect("app", "postgres");
    db.execute("SELECT lake.vector_create('docs', 2)", &[]).unwrap();
    const WRITERS: i64 = 4;
    const ROUNDS: i64 = 15;
    const IDS: i64 = 60;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let cluster = Arc::clone(&cluster);
            thread::spawn(move || {
                let mut db = cluster.connect("app", "postgres");
                let mut counts = [0_i64; 4];
                for round in 0..ROUNDS {
                    // every writer has an order of its own
                    let mut ids: Vec<String> = (0..IDS).map(|n| format!("{n}")).collect();
                    ids.rotate_left(((writer * 17 + round * 5) % IDS) as usize);
                    if writer % 2 == 1 {
                        ids.reverse();
                    }
                    let embeddings: Vec<f32> =
                        ids.iter().flat_map(|_| [writer as f32 + 1.0, round as f32]).collect();
                    let row = db
                        .query_one(
                            "SELECT inserted, updated, unchanged, rejected \
                             FROM lake.vector_upsert_many('docs', $1, $2::real[])",
                            &[&ids, &embeddings],
                        )
                        .unwrap();
                    for (sum, i) in counts.iter_mut().zip(0..) {
                        *sum += row.get::<_, i64>(i);
                    }
                }
                counts
            })
        })
        .collect();
    let mut sums = [0_i64; 4];
    for writer in writers {
        for (sum, count) in sums.iter_mut().zip(writer.join().unwrap()) {
            *sum += count;
        }
    }
    assert_eq!(sums[0], IDS, "each id is inserted once, whoever did it");
    assert_eq!(sums.iter().sum::<i64>(), WRITERS * ROUNDS * IDS);
    let rows: i64 = db.query_one("SELECT lake.vector_count('docs')", &[]).unwrap().get(0);
    assert_eq!(rows, IDS);
    // All rows of a batch were written together.
    let last: i64 = db.query_one("SELECT count(DISTINCT embedding) FROM docs", &[]).unwrap().get(0);
    assert_eq!(last, 1);
}

#[test]
fn a_session_that_ends_in_the_middle_leaves_nothing() {
    let cluster = Arc::new(cluster());
    let mut db = cluster.connect("app", "postgres");
    // The index makes each row slow enough to be interrupted.
    db.batch_execute("SELECT lake.vector_create('docs', 384, options => '{\"index\": \"hnsw\"}')")
        .unwrap();
    let upsert = "SELECT * FROM lake.vector_upsert_many('docs', \
                  (SELECT array_agg(n::text) FROM generate_series(1, 20000) n), \
                  (SELECT array_agg(sin(n)::real) FROM generate_series(1, 20000 * 384) n))";
    for signal in ["pg_cancel_backend", "pg_terminate_backend"] {
        let mut victim = cluster.connect("app", "postgres");
        let pid: i32 = victim.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let running = thread::spawn(move || victim.batch_execute(upsert).is_err());
        poll(SOON, "rows being written", || {
            db.query_one(
                "SELECT count(*) FROM pg_locks WHERE pid = $1 AND relation = 'docs'::regclass AND mode = 'RowExclusiveLock'",
                &[&pid],
            )
            .unwrap()
            .get::<_, i64>(0)
                == 1
        });
        db.execute(&format!("SELECT {signal}($1)"), &[&pid]).unwrap();
        assert!(running.join().unwrap(), "{signal}");
        let rows: i64 = db.query_one("SELECT lake.vector_count('docs')", &[]).unwrap().get(0);
        assert_eq!(rows, 0);
    }
    let query = vec![1.0_f32; 384];
    let outcome = db.query_one("SELECT lake.vector_upsert('docs', '1', $1)", &[&query]).unwrap();
    assert_eq!(outcome.get::<_, String>(0), "inserted");
    let found = db
        .query_one(
            "SELECT id FROM lake.vector_search('docs', $1, mode => 'approximate')",
            &[&query],
        )
        .unwrap();
    assert_eq!(found.get::<_, String>(0), "1");
}

#[test]
fn settings_of_the_session_stay_as_they_are() {
    let cluster = cluster();
    let mut db = cluster.connect("app", "postgres");
    db.batch_execute(
        "SELECT lake.vector_create('docs', 2, options => '{\"index\": \"hnsw\"}');
         SELECT lake.vector_upsert('docs', 'a', '{1,0}')",
    )
    .unwrap();
    // A new session, in which pgvector's library isn't loaded yet.
    let mut db = cluster.connect("app", "postgres");
    let settings = |db: &mut Client| -> Vec<Option<String>> {
        [
            "hnsw.ef_search",
            "hnsw.iterative_scan",
            "enable_seqscan",
            "enable_sort",
            "jit",
            "search_path",
        ]
        .iter()
        .map(|name| db.query_one("SELECT current_setting($1, true)", &[name]).unwrap().get(0))
        .collect()
    };
    db.batch_execute("SET hnsw.ef_search = 77").unwrap();
    db.batch_execute("SELECT * FROM lake.vector_search('docs', '{1,0}', mode => 'approximate')")
        .unwrap();
    let before = settings(&mut db);
    assert_eq!(before[0].as_deref(), Some("77"));
    assert_eq!(before[1].as_deref(), Some("off"));
    for _ in 0..3 {
        db.batch_execute("BEGIN; SELECT * FROM lake.vector_search('docs', '{1,0}', mode => 'approximate', ef_search => 500)")
            .unwrap();
        assert_eq!(settings(&mut db), before);
        db.batch_execute("COMMIT").unwrap();
        assert_eq!(settings(&mut db), before);
    }
}
