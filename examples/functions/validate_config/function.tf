check "worker_configuration" {
  assert {
    condition     = length(provider::talosoci::validate_config(file("${path.module}/cloudbox2.yaml"), "cloud")) == 0
    error_message = "The worker configuration is not valid."
  }
}
