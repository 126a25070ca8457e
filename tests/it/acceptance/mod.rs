//! The provider under the real CLI, against the simulator. Without terraform or tofu these tests say so and pass.

mod create;
mod life;
mod life_destroy;
mod life_import;
mod life_read;
mod mistakes;
mod resume;
mod stage;
