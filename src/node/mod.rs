//! What a node must be, and all that is rendered for it before the first packet. Pure.
//!
//! [`draft::Draft`] is what the user wrote, with values that may still be unknown; [`spec::Parsed`] is the one place
//! where it is judged; [`spec::NodeSpec`] is what is left when everything is known and right, so a bad one cannot exist.

/// A value that may be absent or not known yet.
pub mod given;

/// What is wrong with a draft, and what to do about it.
pub mod finding;

/// The attributes as they were written.
pub mod draft;

/// The judgement: drafts in, findings and a node specification out.
pub mod spec;

/// The worker configuration after its patches, with its hash.
pub mod worker;

/// The throw-away control plane that carries a machine from maintenance mode to its real configuration.
pub mod temporary;
