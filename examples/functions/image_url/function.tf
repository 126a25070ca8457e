# https://factory.talos.dev/image/4a0d65c6…/v1.12.2/oracle-arm64.raw.xz
output "image_url" {
  value = provider::talosoci::image_url(
    "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b", "v1.12.2", "arm64"
  )
}
