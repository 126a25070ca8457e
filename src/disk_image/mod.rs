//! What is inside a compressed disk image: its bytes, its holes and its partitions.
//!
//! Nothing here opens a file or a socket. Compressed bytes are pushed in as they arrive from wherever they come,
//! and what must be written to a disk is pulled out, one bounded [`Event`] at a time:
//!
//! ```
//! use talosoci::disk_image::{Decoder, DecodeError, DecodeOptions, Event, Image};
//!
//! fn decode(chunks: impl Iterator<Item = bytes::Bytes>) -> Result<Image, DecodeError> {
//!     let mut decoder = Decoder::new(DecodeOptions::new(50 << 30));
//!     for chunk in chunks {
//!         decoder.push(chunk);
//!         while let Some(event) = decoder.next_event()? {
//!             match event {
//!                 Event::Data { offset, bytes, sha256 } => drop((offset, bytes, sha256)), // write it
//!                 Event::Zero { offset, len } => drop((offset, len)),                     // nothing to send
//!             }
//!         }
//!     }
//!     decoder.end_of_input();
//!     while let Some(_event) = decoder.next_event()? {}
//!     decoder.finish()
//! }
//! ```

mod archive;
mod decoder;
mod digest;
mod extents;
mod fat;
mod gpt;
mod input;
mod layout;
mod prepared;
mod qcow2;
mod sniff;
mod xz;
mod zero;
mod zstd;

pub use archive::Archive;
pub use decoder::{DecodeError, DecodeOptions, Decoder, Image};
pub use digest::Digest;
pub use extents::{Event, Extent, GRANULE, HEAD};
pub use fat::{FatError, FatMap, FatScan};
pub use gpt::{Gpt, GptError, Guid, Partition};
pub use layout::{EfiPartition, Layout};
pub use prepared::{PreparedError, PreparedMap, PreparedTrailer, Reassembly, Run, Slot};
pub use qcow2::{Qcow2, Qcow2Error};
pub use sniff::{Format, SniffError};
pub use xz::{BlockError, Blocks, XzError};
pub use zero::{ZeroMode, ZeroModeError, ZeroPlan, zero_plan};
pub use zstd::ZstdError;
