//! The simulator, driven by raw clients: it must answer as Talos does before anything else may be believed.

mod configs;
mod road;
mod rules;
mod talos;
mod troubles;
mod upgrades;
