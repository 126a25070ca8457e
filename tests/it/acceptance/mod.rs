//! The provider under the real CLI, against the simulator. Without terraform or tofu these tests say so and pass.

mod create;
mod doors;
mod doors_cloud;
mod doors_ephemeral;
mod doors_secrets;
mod examples;
mod life;
mod life_cordon;
mod life_credentials;
mod life_destroy;
mod life_import;
mod life_moved;
mod life_names;
mod life_read;
mod life_renewed;
mod life_status;
mod many;
mod mistakes;
mod output;
mod resume;
mod stage;
mod stand_in;
