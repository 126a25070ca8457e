//! A pretend Oracle Cloud on loopback: rescue shells, an Image Factory, Talos nodes and a Kubernetes API that
//! answer as the real things do, including their refusals. It shares no code with the provider's clients, so that
//! it cannot share their bugs.

mod cut;
mod factory;
mod fault;
mod journal;
mod metadata;
mod pki;
mod port;
mod rescue;
mod timing;

pub use factory::{Image, ImageSize, ImageStore, Recipe};
pub use fault::{ALWAYS, Fault, Faults};
pub use journal::{BootVerdict, Entry, Event, Journal};
pub use pki::{Authority, KeyKind, PemPair, PkiError};
pub use port::Port;
pub use metadata::Instance;
pub use rescue::{DiskContent, RescueOptions, RescueRoot};
pub use timing::{Ledger, Timings};
