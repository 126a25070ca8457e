# Known at plan, without any network: schematic_id, url and installer.
resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}
