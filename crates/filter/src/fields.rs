//! Which fields a filter asks for, and how.

/// What a condition asks of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Equality, membership, containment: what a GIN index serves.
    Equal,
    /// A comparison with a number.
    Number,
    /// A comparison with a string.
    Text,
    /// Existence.
    Other,
}

/// A field that a filter asks for; once for each way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Names from the column inwards.
    pub path: Vec<String>,
    pub usage: Usage,
}

impl Field {
    /// The field as a filter names it: [`crate::path`] of it is the path.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = String::new();
        for (index, part) in self.path.iter().enumerate() {
            if index > 0 {
                name.push('.');
            }
            for (place, c) in part.char_indices() {
                let dollar = c == '$' && index == 0 && place == 0;
                if matches!(c, '.' | '\\') || dollar {
                    name.push('\\');
                }
                name.push(c);
            }
        }
        name
    }
}
