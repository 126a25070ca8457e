//! The pretend Image Factory: schematics, versions, and disk images that it makes itself.

mod catalog;
mod fat;
pub(in crate::sim) mod gpt;
mod http;
mod image;
mod xz;

pub use catalog::{AssetError, Built, Catalog, ImageStore};
pub(in crate::sim) use catalog::{cmdline, extension_version};
pub use http::{Factory, serve};
pub use image::{Image, ImageSize, Recipe};
