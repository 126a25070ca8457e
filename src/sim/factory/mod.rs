//! The pretend Image Factory.

mod fat;
pub(in crate::sim) mod gpt;
mod image;
mod xz;

pub use image::{Image, ImageSize, Recipe};
