//! What belongs to a table beside its rows. Columns, defaults, checks, statistics and comments on columns
//! come with `LIKE`; the rest is read as SQL before the old table goes, and run for the new one.

use crate::error::{Error, Result};
use crate::names::{self, Relation};
use crate::spi;

/// An index or a key: made under a name of its own beside the old one, renamed when that is gone.
struct Index {
    name: String,
    /// Of a constraint, what follows `ADD CONSTRAINT name`; else what follows `ON table`.
    definition: String,
    unique: bool,
    constraint: bool,
    comment: Option<String>,
}

/// All of it, as statements.
pub struct Belongings {
    table: Relation,
    indexes: Vec<Index>,
    /// `CONSTRAINT name …` of foreign keys to other tables.
    foreign_keys: Vec<String>,
    /// Run once the new table has its name.
    after: Vec<String>,
}

impl Belongings {
    pub fn of(table: &Relation) -> Result<Self> {
        let mut after = Vec::new();
        for sql in AFTER {
            after.extend(spi::rows(sql, &[table.oid.into()], |row| {
                let head = spi::need::<String>(row, 1)?;
                Ok(match spi::get::<String>(row, 2)? {
                    Some(tail) => format!("{head}{table}{tail}"),
                    None => head,
                })
            })?);
        }
        let foreign_keys = spi::rows(
            "SELECT pg_catalog.format('CONSTRAINT %I %s', conname, pg_catalog.pg_get_constraintdef(oid)) \
             FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype = 'f' ORDER BY conname",
            &[table.oid.into()],
            |row| spi::need(row, 1),
        )?;
        Ok(Self { table: table.clone(), indexes: indexes(table)?, foreign_keys, after })
    }

    /// Makes indexes, keys and foreign keys on the new table, while the old one is still in use.
    pub fn before(&self, new: &Relation) -> Result<()> {
        for (n, index) in self.indexes.iter().enumerate() {
            pgrx::check_for_interrupts!();
            let name = self.passing_name(n);
            let (unique, definition) =
                (if index.unique { "UNIQUE " } else { "" }, &index.definition);
            spi::execute(
                &match index.constraint {
                    true => format!("ALTER TABLE {new} ADD CONSTRAINT {name} {definition}"),
                    false => format!("CREATE {unique}INDEX {name} ON {new} {definition}"),
                },
                &[],
            )?;
        }
        for foreign_key in &self.foreign_keys {
            pgrx::check_for_interrupts!();
            spi::execute(&format!("ALTER TABLE {new} ADD {foreign_key}"), &[])?;
        }
        Ok(())
    }

    fn passing_name(&self, n: usize) -> String {
        names::ident(&format!("lake_adopt_{}_{n}", self.table.oid.to_u32()))
    }

    /// Lets sequences outlive the old table: those of serial columns go over to the new one, those of
    /// identity columns hand on where they stand.
    pub fn free_sequences(&mut self, new: &Relation) -> Result<()> {
        let owned = spi::rows(
            "SELECT d.objid::pg_catalog.regclass::pg_catalog.text, a.attname::text, d.deptype = 'i', s.relname::text \
             FROM pg_catalog.pg_depend d \
             JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
               AND d.refobjid = $1 AND d.deptype IN ('a', 'i')",
            &[self.table.oid.into()],
            |row| {
                Ok((
                    spi::need::<String>(row, 1)?,
                    spi::need::<String>(row, 2)?,
                    spi::need::<bool>(row, 3)?,
                    spi::need::<String>(row, 4)?,
                ))
            },
        )?;
        for (sequence, column, identity, name) in owned {
            if identity {
                let its = spi::scalar::<String>(
                    &format!(
                        "SELECT s::pg_catalog.text FROM (SELECT pg_catalog.setval(s, last_value, is_called), s FROM {sequence}, \
                         LATERAL (SELECT pg_catalog.pg_get_serial_sequence($1, $2)::pg_catalog.regclass AS s) its) moved"
                    ),
                    &[new.to_string().into(), column.as_str().into()],
                )?;
                self.after.push(format!("ALTER SEQUENCE {its} RENAME TO {}", names::ident(&name)));
            } else {
                let column = names::ident(&column);
                spi::execute(&format!("ALTER SEQUENCE {sequence} OWNED BY {new}.{column}"), &[])?;
            }
        }
        Ok(())
    }

    /// The names of the old table's indexes, and what is said of the table by its name.
    pub fn after(&self) -> Result<()> {
        let table = &self.table;
        for (n, index) in self.indexes.iter().enumerate() {
            let name = names::ident(&index.name);
            let passing = table.sibling(&format!("lake_adopt_{}_{n}", table.oid.to_u32()));
            spi::execute(&format!("ALTER INDEX {passing} RENAME TO {name}"), &[])?;
            if let Some(comment) = &index.comment {
                let comment = names::literal(comment);
                let what = match index.constraint {
                    true => format!("CONSTRAINT {name} ON {table}"),
                    false => format!("INDEX {}", table.sibling(&index.name)),
                };
                spi::execute(&format!("COMMENT ON {what} IS {comment}"), &[])?;
            }
        }
        for statement in &self.after {
            spi::execute(statement, &[])?;
        }
        Ok(())
    }
}

fn indexes(table: &Relation) -> Result<Vec<Index>> {
    let found = spi::rows(
        "SELECT i.relname::text, pg_catalog.pg_get_indexdef(i.oid), x.indisunique, \
                pg_catalog.pg_get_constraintdef(c.oid), \
                coalesce(pg_catalog.obj_description(c.oid, 'pg_constraint'), \
                         pg_catalog.obj_description(i.oid, 'pg_class')) \
         FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
         LEFT JOIN pg_catalog.pg_constraint c ON c.conindid = i.oid AND c.conrelid = $1 \
              AND c.contype IN ('p', 'u', 'x') \
         WHERE x.indrelid = $1 AND x.indisvalid ORDER BY x.indisprimary DESC, i.relname",
        &[table.oid.into()],
        |row| {
            Ok((
                spi::need::<String>(row, 1)?,
                spi::need::<String>(row, 2)?,
                spi::need::<bool>(row, 3)?,
                spi::get::<String>(row, 4)?,
                spi::get::<String>(row, 5)?,
            ))
        },
    )?;
    found
        .into_iter()
        .map(|(name, whole, unique, key, comment)| {
            let constraint = key.is_some();
            let definition = match key {
                Some(definition) => definition,
                None => {
                    let kind = if unique { "CREATE UNIQUE INDEX" } else { "CREATE INDEX" };
                    let head = format!("{kind} {} ON {table} ", names::ident(&name));
                    whole
                        .strip_prefix(&head)
                        .ok_or_else(|| Error::internal(format!("can't read the index {whole}")))?
                        .to_owned()
                }
            };
            Ok(Index { name, definition, unique, constraint, comment })
        })
        .collect()
}

/// Queries for statements to be run for the new table, in two parts: its name goes in between, where there
/// is a second one. `$1` is the old table. What default privileges gave to the new one goes first.
const AFTER: [&str; 9] = [
    "SELECT DISTINCT 'REVOKE ALL ON ', pg_catalog.format(' FROM %s', CASE acl.grantee WHEN 0 THEN 'PUBLIC' \
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END) \
     FROM pg_catalog.pg_default_acl d, LATERAL pg_catalog.aclexplode(d.defaclacl) acl \
     WHERE d.defaclobjtype = 'r' AND $1 IS NOT NULL",
    "SELECT pg_catalog.format('GRANT %s ON ', acl.privilege_type), \
            pg_catalog.format(' TO %s%s', CASE acl.grantee WHEN 0 THEN 'PUBLIC' \
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END, \
            CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' END) \
     FROM pg_catalog.pg_class c, \
          LATERAL pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) acl \
     WHERE c.oid = $1",
    "SELECT pg_catalog.format('GRANT %s (%I) ON ', acl.privilege_type, a.attname), \
            pg_catalog.format(' TO %s%s', CASE acl.grantee WHEN 0 THEN 'PUBLIC' \
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END, \
            CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' END) \
     FROM pg_catalog.pg_attribute a, LATERAL pg_catalog.aclexplode(a.attacl) acl \
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
    "SELECT pg_catalog.format('CREATE POLICY %I ON ', p.polname), \
            pg_catalog.format(' AS %s FOR %s TO %s%s%s', \
            CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, \
            CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' \
                          WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, \
            (SELECT pg_catalog.string_agg(CASE role WHEN 0 THEN 'PUBLIC' \
                    ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(role)) END, ', ') \
             FROM pg_catalog.unnest(p.polroles) role), \
            ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', \
            ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')') \
     FROM pg_catalog.pg_policy p WHERE p.polrelid = $1",
    "SELECT 'ALTER TABLE ', ' ENABLE ROW LEVEL SECURITY' \
     FROM pg_catalog.pg_class WHERE oid = $1 AND relrowsecurity",
    // It names the table itself.
    "SELECT pg_catalog.pg_get_triggerdef(oid), NULL::text FROM pg_catalog.pg_trigger \
     WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname",
    "SELECT 'ALTER TABLE ', pg_catalog.format(' %s TRIGGER %I', \
            CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname) \
     FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'O'",
    "SELECT 'ALTER TABLE ', ' REPLICA IDENTITY ' || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' \
            ELSE pg_catalog.format('USING INDEX %I', i.relname) END \
     FROM pg_catalog.pg_class c \
     LEFT JOIN pg_catalog.pg_index x ON x.indrelid = c.oid AND x.indisreplident \
     LEFT JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
     WHERE c.oid = $1 AND (c.relreplident IN ('f', 'n') OR c.relreplident = 'i' AND i.oid IS NOT NULL)",
    "SELECT 'COMMENT ON TABLE ', ' IS ' || pg_catalog.quote_literal(pg_catalog.obj_description($1, 'pg_class')) \
     WHERE pg_catalog.obj_description($1, 'pg_class') IS NOT NULL",
];
