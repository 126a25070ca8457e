# 4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b
output "schematic_id" {
  value = provider::talosoci::schematic_id(yamlencode({
    customization = { systemExtensions = { officialExtensions = ["siderolabs/tailscale"] } }
  }))
}
