//! The integration tests, as one binary: linking it once is what takes time.

mod acceptance;
mod flash;
mod layers;
mod protocol;

mod simulator;
mod config;
