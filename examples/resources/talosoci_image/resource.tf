# Known at plan, without any network: schematic_id, url and installer.
resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}

# The same as an archive that OCI imports as a custom image: see the note on `output` before relying on it.
resource "talosoci_image" "archive" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]

  output = {
    path   = "talos-v1.12.2.oci"
    format = "oci"
  }
}
