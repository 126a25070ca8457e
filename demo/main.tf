# The guide's cloudbox2. Beside a real instance, endpoint would be oci_core_instance.cloudbox2.public_ip, and nothing
# would come from the simulator.

terraform {
  required_providers {
    talosoci = { source = "talosoci/talosoci" }
  }
}

# What the simulator wrote about itself: addresses and keys.
locals {
  cloud   = jsondecode(file("${path.module}/simulator/simulator.json"))
  machine = local.cloud.nodes[0]
}

provider "talosoci" {
  image_factory_url = local.cloud.factory_url
  kubeconfig        = file(local.cloud.kubeconfig)
}

# Step 1: a schematic with Tailscale only.
resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}

# Steps 2 to 8. The name, the disk and the way into the cluster come from talhelper's files too, which are decrypted in
# memory: the state holds their names and a hash.
resource "talosoci_node" "cloudbox2" {
  endpoint   = local.machine.host
  talos_port = local.machine.talos_port
  image      = talosoci_image.worker

  flash = {
    ssh = {
      port           = local.machine.ssh_port
      user           = local.cloud.ssh.user
      private_key_wo = file(local.cloud.ssh.private_key_path)
      host_key       = local.machine.host_key
    }
  }

  talconfig = {
    path         = "${path.module}/talconfig.yaml"
    node         = "cloudbox2"
    secrets_file = "${path.module}/talsecret.sops.yaml"
    env_files    = ["${path.module}/talenv.sops.yaml"]
    age_key_file = "${path.module}/age.key"
  }
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
