//! The pretend Image Factory: schematics, versions, and disk images that it makes itself.

mod catalog;
mod fat;
pub(in crate::sim) mod gpt;
mod http;
mod image;
mod xz;

pub use catalog::{Built, Catalog, ImageStore};
pub(in crate::sim) use catalog::{cmdline, extension_version};
pub use http::{Factory, serve};
pub use image::{ImageSize, Recipe};
pub(in crate::sim) use xz::crc32;
