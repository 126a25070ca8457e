data "talosoci_image_versions" "this" {
  talos_version = "v1.12.2"
}

output "tailscale" {
  value = [for extension in data.talosoci_image_versions.this.extensions : extension if extension.name == "siderolabs/tailscale"]
}
