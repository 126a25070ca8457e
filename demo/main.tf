# The guide's cloudbox2. Beside a real instance, endpoint would be oci_core_instance.cloudbox2.public_ip and the
# variables below would not exist: they are the simulator's addresses and keys.

terraform {
  required_providers {
    talosoci = { source = "talosoci/talosoci" }
  }
}

variable "image_factory_url" { type = string }
variable "endpoint" { type = string }
variable "talos_port" { type = number }
variable "ssh_port" { type = number }
variable "ssh_user" { type = string }
variable "ssh_host_key" { type = string }
variable "disk" { type = string }
variable "ssh_private_key" {
  type      = string
  sensitive = true
}
variable "talosconfig" {
  type      = string
  sensitive = true
}
variable "kubeconfig" {
  type      = string
  sensitive = true
}

provider "talosoci" {
  image_factory_url = var.image_factory_url
  talosconfig       = var.talosconfig
  kubeconfig        = var.kubeconfig
}

# Step 1: a schematic with Tailscale only.
resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}

# Steps 2 to 8.
resource "talosoci_node" "cloudbox2" {
  hostname   = "cloudbox2"
  endpoint   = var.endpoint
  talos_port = var.talos_port
  image      = talosoci_image.worker

  flash = {
    disk = var.disk
    ssh = {
      port        = var.ssh_port
      user        = var.ssh_user
      private_key = var.ssh_private_key
      host_key    = var.ssh_host_key
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
