# Rendered from talhelper's files, patched, checked, and never stored.
ephemeral "talosoci_machine_configuration" "cloudbox2" {
  talconfig = {
    path         = "talconfig.yaml"
    node         = "cloudbox2"
    secrets_file = "talsecret.sops.yaml"
    env_files    = ["talenv.sops.yaml"]
  }
  config_patches = [file("labels.yaml")]
}

resource "talosoci_node" "cloudbox2" {
  endpoint                 = oci_core_instance.cloudbox2.public_ip
  image                    = talosoci_image.worker
  machine_configuration_wo = ephemeral.talosoci_machine_configuration.cloudbox2.machine_configuration

  flash = {
    disk = "/dev/sda"
    ssh  = { user = "ubuntu", private_key = var.rescue_key, host_key = var.rescue_host_key }
  }
}
