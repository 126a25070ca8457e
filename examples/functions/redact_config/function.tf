output "config" {
  value = provider::talosoci::redact_config(file("${path.module}/cloudbox2.yaml"))
}
