# factory.talos.dev/oracle-installer/4a0d65c6…:v1.12.2
output "installer" {
  value = provider::talosoci::installer_image(
    "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b", "v1.12.2"
  )
}
