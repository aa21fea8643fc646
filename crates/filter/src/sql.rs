//! From the tree to SQL. Everything a user wrote becomes a parameter.

use crate::PREFIX;
use crate::fields::Field;
use crate::parse::{Comparison, Node};
use serde_json::Value;
use std::fmt::Write as _;

/// A boolean expression and its parameters, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Compiled {
    /// `true` for the empty filter.
    pub sql: String,
    pub params: Vec<Param>,
    /// The fields it asks for.
    pub fields: Vec<Field>,
}

impl Compiled {
    /// The empty filter.
    #[must_use]
    pub fn everything() -> Self {
        Self { sql: "true".into(), ..Self::default() }
    }
}

/// A value to bind, with the SQL type that the text casts it to.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// `jsonb`
    Jsonb(Value),
    /// `text`
    Text(String),
}

pub(crate) fn render(node: &Node, column: &str, first_param: usize) -> Compiled {
    let mut writer = Writer { sql: String::new(), params: vec![], column, next: first_param };
    writer.node(node);
    Compiled { sql: writer.sql, params: writer.params, fields: vec![] }
}

struct Writer<'a> {
    sql: String,
    params: Vec<Param>,
    column: &'a str,
    next: usize,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    fn param(&mut self, param: Param) {
        let cast = match param {
            Param::Jsonb(_) => "jsonb",
            Param::Text(_) => "text",
        };
        let _ = write!(self.sql, "${}::pg_catalog.{cast}", self.next);
        self.next += 1;
        self.params.push(param);
    }

    /// The value at a path: as jsonb with `->`, its text with `->>` at the end. A text key finds
    /// members of objects only, never elements of arrays.
    fn value(&mut self, path: &[String], last: &str) {
        self.push(&"(".repeat(path.len()));
        self.push(self.column);
        for (i, name) in path.iter().enumerate() {
            let arrow = if i + 1 == path.len() { last } else { "->" };
            let _ = write!(self.sql, " OPERATOR(pg_catalog.{arrow}) ");
            self.param(Param::Text(name.clone()));
            self.push(")");
        }
    }

    fn joined(&mut self, nodes: &[Node], word: &str) {
        self.push("(");
        for (i, node) in nodes.iter().enumerate() {
            if i > 0 {
                self.push(word);
            }
            self.node(node);
        }
        self.push(")");
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Const(true) => self.push("true"),
            Node::Const(false) => self.push("false"),
            Node::And(nodes) => self.joined(nodes, " AND "),
            Node::Or(nodes) => self.joined(nodes, " OR "),
            Node::NotTrue(inner) => {
                self.push("(");
                self.node(inner);
                self.push(" IS NOT TRUE)");
            }
            Node::Contains(value) => {
                self.push("(");
                self.push(self.column);
                self.push(" OPERATOR(pg_catalog.@>) ");
                self.param(Param::Jsonb(value.clone()));
                self.push(")");
            }
            Node::Is(path, value) => {
                self.push("(");
                self.value(path, "->");
                self.push(" OPERATOR(pg_catalog.=) ");
                self.param(Param::Jsonb(value.clone()));
                self.push(")");
            }
            Node::Exists(path) => {
                self.push("(");
                self.value(path, "->");
                self.push(" IS NOT NULL)");
            }
            Node::Null(path) => {
                self.push("(");
                self.value(path, "->>");
                self.push(" IS NULL)");
            }
            Node::Number(path, comparison, value) => {
                self.guard(path, "number");
                self.value(path, "->");
                self.operator(*comparison);
                self.param(Param::Jsonb(value.clone()));
                self.push("))");
            }
            Node::Text(path, comparison, value) => {
                self.guard(path, "string");
                self.text(path, *comparison, value);
                self.push("))");
            }
        }
    }

    /// `(the value has this type AND (`
    fn guard(&mut self, path: &[String], kind: &str) {
        self.push("(pg_catalog.jsonb_typeof(");
        self.value(path, "->");
        let _ = write!(self.sql, ") OPERATOR(pg_catalog.=) '{kind}'::pg_catalog.text AND (");
    }

    /// The beginning of the value against an operand that is shorter, which is as good as the whole:
    /// characters are at least bytes in number. Else the beginning first, then the whole.
    fn text(&mut self, path: &[String], comparison: Comparison, operand: &str) {
        let long = operand.len() >= PREFIX;
        if long {
            self.push("ROW(");
        }
        self.push("pg_catalog.\"left\"(");
        self.value(path, "->>");
        let _ = write!(self.sql, ", {PREFIX}) COLLATE pg_catalog.\"C\"");
        if long {
            self.push(", ");
            self.value(path, "->>");
            self.push(" COLLATE pg_catalog.\"C\")");
        }
        self.operator(comparison);
        if long {
            let _ = write!(
                self.sql,
                "ROW(pg_catalog.\"left\"(${}::pg_catalog.text, {PREFIX}), ",
                self.next
            );
        }
        self.param(Param::Text(operand.to_owned()));
        if long {
            self.push(")");
        }
    }

    fn operator(&mut self, comparison: Comparison) {
        let symbol = match comparison {
            Comparison::Gt => ">",
            Comparison::Gte => ">=",
            Comparison::Lt => "<",
            Comparison::Lte => "<=",
        };
        let _ = write!(self.sql, " OPERATOR(pg_catalog.{symbol}) ");
    }
}
