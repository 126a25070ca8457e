output "patched" {
  value = provider::talosoci::patch_config(file("${path.module}/cloudbox2.yaml"), [
    yamlencode({
      machine = { kubelet = { nodeIP = { validSubnets = ["10.0.0.0/24"] } } }
    }),
  ])
  sensitive = true
}
