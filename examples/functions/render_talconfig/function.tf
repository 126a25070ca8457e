# The configuration of cloudbox2, without files on disk: contents come from wherever Terraform can read them.
output "cloudbox2" {
  sensitive = true
  value = provider::talosoci::render_talconfig(
    file("${path.module}/talconfig.yaml"),
    "cloudbox2",
    var.talsecret,
    {
      tailscaleAuthKey = var.tailscale_auth_key
      SCHEMATIC_ID     = talosoci_image.worker.schematic_id
    },
  )
}
