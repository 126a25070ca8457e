//! The simulator, driven by raw clients: it must answer as Talos does before anything else may be believed.

mod clients;
mod configs;
mod refusals;
mod rescue;
mod road;
mod rules;
mod services;
mod shell;
mod talos;
mod troubles;
mod upgrades;
