# The node as talhelper's talconfig.yaml has it. What is encrypted with SOPS is decrypted in memory; the state holds the
# names of the files and a hash of the result.
resource "talosoci_node" "cloudbox2" {
  endpoint = oci_core_instance.cloudbox2.public_ip
  image    = talosoci_image.worker

  flash = {
    ssh = {
      user           = "ubuntu"
      private_key_wo = var.ssh_private_key
      host_key       = var.ssh_host_key
    }
  }

  # hostname, flash.disk and the credentials of the cluster come from these files too.
  talconfig = {
    path         = "${path.module}/talconfig.yaml"
    node         = "cloudbox2"
    secrets_file = "${path.module}/talsecret.sops.yaml"
    env_files    = ["${path.module}/talenv.sops.yaml"]

    # Else as sops does: SOPS_AGE_KEY_FILE, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, the default place.
    age_key_file = pathexpand("~/.config/sops/age/keys.txt")
  }
}
