//! The integration tests, as one binary: linking it once is what takes time.

mod protocol;
mod flash;
