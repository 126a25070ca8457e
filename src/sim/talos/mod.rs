//! A pretend Talos node: what it remembers, how it boots, and its API.

mod apply;
mod archive;
mod boot;
mod bootstrap;
mod config;
mod control_plane;
mod cosi;
mod entry;
mod extension;
mod extra;
mod firmware;
mod gate;
mod image_service;
mod kinds;
mod lifecycle;
mod log;
mod machine;
mod machine_service;
mod readiness;
mod reset;
mod resources;
mod roles;
mod routing;
mod serve;
mod spec;
mod state;
mod storage;
mod upgrade;
mod worker;

pub use boot::run;
pub use firmware::pretend_installed;
pub use machine::{Machine, Surroundings, Wish};
pub use state::{Hardware, stage_word};
