//! talhelper's talconfig.yaml, rendered without talhelper.

pub mod dotenv;
pub mod envsubst;
