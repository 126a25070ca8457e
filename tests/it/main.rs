mod config;
mod simulator;
