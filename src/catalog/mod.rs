//! What the tables can't say themselves: which are stores and of what kind, their jobs, what was
//! rejected. Everybody may read the catalogue (rejects and run history through views that filter);
//! it is written here only, as the owner of the extension, after the caller's rights were checked.

pub mod dropped;
pub mod job;
pub mod reject;
pub mod run;
pub mod store;
pub mod version;

pub use store::{Store, StoreKind};
