//! stub
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Type { Bool, Double }
#[derive(Clone, Copy)]
pub(super) enum Environment { Link, Disk, Volume, OomTrigger, OomScoring }
pub(super) fn check(_: &str, _: Environment, _: Type) -> Result<(), String> { Ok(()) }
