# The boot volume of cloudbox2 is attached to another instance, which flashes it and is not rebooted.
resource "talosoci_node" "cloudbox2" {
  hostname    = "cloudbox2"
  endpoint    = oci_core_instance.cloudbox2.public_ip
  instance_id = oci_core_instance.cloudbox2.id
  image       = talosoci_image.worker

  flash = {
    disk = "/dev/oracleoci/oraclevdb"
    ssh = {
      host           = var.helper_address
      user           = "ubuntu"
      private_key_wo = var.ssh_private_key
      host_key       = var.helper_host_key
    }
  }

  machine_configuration_wo = file("${path.module}/cloudbox2.yaml")
}
