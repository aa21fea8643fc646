//! stub

use crate::catalog::Store;
use crate::catalog::reject::Replayed;
use crate::error::{Error, Result};

/// Takes rejected rows (JSON texts, as in `lake.rejects.payload`) once more, as a batch under
/// `on_error => 'reject'`.
pub fn replay(_store: &Store, _payloads: &[String]) -> Result<Replayed> {
    Err(Error::unsupported("not built yet"))
}
