//! The provider under the real CLI, against the simulator. Without terraform or tofu these tests say so and pass.

mod create;
mod mistakes;
mod resume;
mod stage;
