resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}

resource "talosoci_node" "cloudbox2" {
  hostname    = "cloudbox2"
  instance_id = var.instance_id # oci_core_instance.cloudbox2.id
  endpoint    = var.public_ip   # oci_core_instance.cloudbox2.public_ip
  image       = talosoci_image.worker

  flash = {
    disk = "/dev/sda"
    ssh = {
      user           = "ubuntu"
      private_key_wo = var.ssh_private_key
      host_key       = var.ssh_host_key # ssh-ed25519 AAAA…
    }
  }

  # From talhelper, talosctl or talos_machine_configuration of the siderolabs provider; kept out of the state.
  machine_configuration_wo = file("${path.module}/cloudbox2.yaml")

  # In an image of the Image Factory the extensions are active from the first boot: this saves minutes.
  activation = "auto"

  timeouts = {
    create = "30m"
  }
}

variable "instance_id" {
  type = string
}

variable "public_ip" {
  type = string
}

variable "ssh_host_key" {
  type = string
}

variable "ssh_private_key" {
  type      = string
  sensitive = true
  ephemeral = true
}
