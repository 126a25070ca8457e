terraform {
  required_providers {
    talosoci = { source = "talosoci/talosoci" }
    oci      = { source = "oracle/oci" }
  }
}

locals {
  cloud    = jsondecode(file("${path.module}/simulator/simulator.json"))
  machines = jsondecode(file("${path.module}/machines.json"))
}

provider "talosoci" {
  image_factory_url = local.cloud.factory_url
  kubeconfig        = file(local.cloud.kubeconfig)
}

resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}

resource "oci_core_instance" "worker" {
  for_each     = local.machines
  display_name = each.key
}

module "worker" {
  source   = "./worker"
  for_each = local.machines

  hostname    = each.key
  image       = talosoci_image.worker
  instance    = oci_core_instance.worker[each.key]
  talos_port  = each.value.talos_port
  ssh_port    = each.value.ssh_port
  host_key    = each.value.host_key
  private_key = file(local.cloud.ssh.private_key_path)
}
