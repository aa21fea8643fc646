//! The table in shared memory: a fixed number of keys of all databases. A new key that finds no place takes
//! that of the least used of its neighbours.

use pgrx::lwlock::PgLwLock;
use pgrx::shmem::PGRXSharedMemory;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Calls by usage: equal, number, text, other.
pub type Counts = [u64; 4];

/// Longest name of a key that is counted, in bytes.
const NAME: usize = 128;
/// A key has its place in one of so many sets of so many.
const SETS: usize = 256;
const WAYS: usize = 4;

#[derive(Clone, Copy)]
struct Slot {
    database: u32,
    /// Zero where the slot is free.
    relation: u32,
    length: usize,
    name: [u8; NAME],
    counts: Counts,
    since: pg_sys::TimestampTz,
    last: pg_sys::TimestampTz,
}

const FREE: Slot = Slot {
    database: 0,
    relation: 0,
    length: 0,
    name: [0; NAME],
    counts: [0; 4],
    since: 0,
    last: 0,
};

impl Slot {
    fn name(&self) -> &[u8] {
        &self.name[..self.length]
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

struct Table([[Slot; WAYS]; SETS]);

// SAFETY: numbers and bytes, no pointers.
unsafe impl PGRXSharedMemory for Table {}

// SAFETY: no other lock has this name.
static TABLE: PgLwLock<Table> = unsafe { PgLwLock::new(c"lake_stores_filter_use") };

/// Asks for the memory; called while the library is preloaded.
#[expect(
    unexpected_cfgs,
    reason = "the macro asks for versions of Postgres that aren't supported here"
)]
pub fn init() {
    pg_shmem_init!(TABLE = Table([[FREE; WAYS]; SETS]));
}

/// A key that was counted in this database.
pub struct Counted {
    pub relation: pg_sys::Oid,
    pub key: String,
    pub counts: Counts,
    pub since: pg_sys::TimestampTz,
    pub last: pg_sys::TimestampTz,
}

/// Adds calls. A name that is too long isn't counted.
pub fn add<'a>(keys: impl Iterator<Item = (pg_sys::Oid, &'a str, &'a Counts)>) {
    // SAFETY: the first is set at start-up of every session, the second reads the clock.
    let (database, now) = unsafe { (pg_sys::MyDatabaseId.to_u32(), pg_sys::GetCurrentTimestamp()) };
    let mut table = TABLE.exclusive();
    for (relation, key, counts) in keys {
        let (relation, name) = (relation.to_u32(), key.as_bytes());
        if name.len() > NAME {
            continue;
        }
        let mut hasher = DefaultHasher::new();
        (database, relation, name).hash(&mut hasher);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        let set = &mut table.0[usize::from(u16::from_le_bytes([low, high])) % SETS];
        let is_it = |slot: &Slot| {
            slot.database == database && slot.relation == relation && slot.name() == name
        };
        let place = set.iter().position(is_it).unwrap_or_else(|| {
            let least = (0..WAYS).min_by_key(|way| set[*way].total()).unwrap_or(0);
            set[least] = Slot { database, relation, length: name.len(), since: now, ..FREE };
            set[least].name[..name.len()].copy_from_slice(name);
            least
        });
        let slot = &mut set[place];
        slot.last = now;
        for (sum, more) in slot.counts.iter_mut().zip(counts) {
            *sum += more;
        }
    }
}

/// All keys of this database.
pub fn all() -> Vec<Counted> {
    // SAFETY: set at start-up of every session.
    let database = unsafe { pg_sys::MyDatabaseId.to_u32() };
    let table = TABLE.share();
    let here = table.0.iter().flatten().filter(|s| s.relation != 0 && s.database == database);
    here.map(|slot| Counted {
        relation: pg_sys::Oid::from(slot.relation),
        key: String::from_utf8_lossy(slot.name()).into_owned(),
        counts: slot.counts,
        since: slot.since,
        last: slot.last,
    })
    .collect()
}
