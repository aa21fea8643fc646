//! The groups that were found, in the order in which they were.

use super::runs::Part;
use super::state::{Kind, State};
use std::collections::HashMap;

#[derive(Default)]
pub struct Groups {
    found: HashMap<Vec<Part>, usize>,
    groups: Vec<(Vec<Part>, Vec<State>)>,
    /// The bytes they take, about.
    size: usize,
}

impl Groups {
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Bytes, about.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn get(&self, at: usize) -> &(Vec<Part>, Vec<State>) {
        &self.groups[at]
    }

    /// The states of a group.
    pub fn of(&mut self, parts: Vec<Part>, kinds: impl Iterator<Item = Kind>) -> &mut Vec<State> {
        let at = match self.found.get(&parts) {
            Some(at) => *at,
            None => {
                let states: Vec<State> = kinds.map(Kind::start).collect();
                let bytes: usize = parts
                    .iter()
                    .map(|part| {
                        size_of::<Part>() + if let Part::Bytes(b) = part { b.len() } else { 0 }
                    })
                    .sum();
                self.size += 2 * bytes + states.len() * size_of::<State>() + 100;
                self.found.insert(parts.clone(), self.groups.len());
                self.groups.push((parts, states));
                self.groups.len() - 1
            }
        };
        &mut self.groups[at].1
    }
}
