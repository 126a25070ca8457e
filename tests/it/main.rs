//! The integration tests, as one binary: linking it once is what takes time.

mod acceptance;
mod cache;
mod config;
mod docs;
mod flash;
mod layers;
mod protocol;
mod simulator;
