//! Background workers: launcher, visits to a database, jobs.

pub mod actions;

pub fn init() {}
