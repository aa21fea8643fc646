//! Who may do what: ownership checks, and acting as another role for one statement.

use crate::error::{Error, Result};
use crate::names::Relation;
use crate::spi;
use pgrx::pg_sys;

/// The owner of a relation.
pub fn owner_of(relation: &Relation) -> Result<pg_sys::Oid> {
    spi::cached_one(
        "SELECT relowner FROM pg_catalog.pg_class WHERE oid = $1",
        &[relation.oid.into()],
    )?
    .ok_or_else(|| Error::undefined_object(format!("relation {relation} does not exist")))
}

/// Whether the current user has the privileges of the owner.
pub fn is_owner(relation: &Relation) -> Result<bool> {
    let owner = owner_of(relation)?;
    // SAFETY: takes any two role OIDs.
    Ok(unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), owner) })
}

/// 42501 unless the current user has the privileges of the owner.
pub fn require_owner(relation: &Relation) -> Result<()> {
    if is_owner(relation)? {
        return Ok(());
    }
    Err(Error::insufficient_privilege(format!("must be owner of {relation}")))
}

/// The current user's name.
pub fn current_user() -> Result<String> {
    spi::cached_one("SELECT current_user::text", &[])?
        .ok_or_else(|| Error::internal("there is no current user"))
}

/// Runs `f` as the owner of the extension: for statements on the catalogue, which ordinary roles can
/// read but not write. The caller's right to do so must have been checked before, and `f` must run
/// nothing but constant statements with parameters on catalogue tables.
pub fn as_extension_owner<R>(f: impl FnOnce() -> R) -> Result<R> {
    let owner = spi::cached_one::<pg_sys::Oid>(
        "SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = '_lake'",
        &[],
    )?
    .ok_or_else(|| Error::internal("schema _lake is missing"))?;
    Ok(as_role(owner, f))
}

/// Runs `f` as `role`, in a security-restricted operation, with a safe search path. Restored also
/// when `f` raises.
pub fn as_role<R>(role: pg_sys::Oid, f: impl FnOnce() -> R) -> R {
    struct Restore(pg_sys::Oid, i32);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: puts back what GetUserIdAndSecContext returned.
            unsafe { pg_sys::SetUserIdAndSecContext(self.0, self.1) }
        }
    }
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: reads the present user and context into locals, then sets ones that Restore undoes.
    let _restore = unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(
            role,
            context
                | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32
                | pg_sys::SECURITY_RESTRICTED_OPERATION as i32,
        );
        Restore(user, context)
    };
    spi::with_safe_search_path(f)
}
