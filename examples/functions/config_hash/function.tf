output "config_hash" {
  value = provider::talosoci::config_hash(file("${path.module}/cloudbox2.yaml"))
}
