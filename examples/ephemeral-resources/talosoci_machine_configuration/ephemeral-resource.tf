# Rendered from talhelper's files, patched, checked, and never stored.
ephemeral "talosoci_machine_configuration" "cloudbox2" {
  talconfig = {
    path         = "${path.module}/talconfig.yaml"
    node         = "cloudbox2"
    secrets_file = "${path.module}/talsecret.sops.yaml"
    env_files    = ["${path.module}/talenv.sops.yaml"]
  }
  config_patches = [file("${path.module}/labels.yaml")]
}

resource "talosoci_node" "cloudbox2" {
  endpoint                 = oci_core_instance.cloudbox2.public_ip
  image                    = talosoci_image.worker
  machine_configuration_wo = ephemeral.talosoci_machine_configuration.cloudbox2.machine_configuration

  flash = {
    disk = "/dev/sda"
    ssh  = { user = "ubuntu", private_key_wo = var.ssh_private_key, host_key = var.ssh_host_key }
  }
}
