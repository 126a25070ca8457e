# The guide's cloudbox2. Beside a real instance, endpoint would be oci_core_instance.cloudbox2.public_ip, and nothing
# would come from the simulator.

terraform {
  required_providers {
    talosoci = { source = "talosoci/talosoci" }
  }
}

# What the simulator wrote about itself: addresses, keys, credentials.
locals {
  cloud   = jsondecode(file("${path.module}/simulator/simulator.json"))
  machine = local.cloud.nodes[0]
}

provider "talosoci" {
  image_factory_url = local.cloud.factory_url
  talosconfig       = file(local.cloud.talosconfig)
  kubeconfig        = file(local.cloud.kubeconfig)
}

# Step 1: a schematic with Tailscale only.
resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}

# Steps 2 to 8.
resource "talosoci_node" "cloudbox2" {
  hostname   = "cloudbox2"
  endpoint   = local.machine.host
  talos_port = local.machine.talos_port
  image      = talosoci_image.worker

  flash = {
    disk = "/dev/sda"
    ssh = {
      port        = local.machine.ssh_port
      user        = local.cloud.ssh.user
      private_key = file(local.cloud.ssh.private_key_path)
      host_key    = local.machine.host_key
    }
  }

  machine_configuration_wo = file("cloudbox2.yaml")
}

output "phase" {
  value = talosoci_node.cloudbox2.phase
}

output "talos_version" {
  value = talosoci_node.cloudbox2.talos_version
}

output "extensions" {
  value = talosoci_node.cloudbox2.extensions
}

output "kubernetes_node" {
  value = "${talosoci_node.cloudbox2.node_name} is Ready"
}
