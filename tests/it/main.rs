

mod simulator;
