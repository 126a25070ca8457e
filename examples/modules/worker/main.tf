# Workers of one cluster that run the same image: one schematic, one node for each instance, whose Ubuntu is overwritten in
# place.

terraform {
  required_version = ">= 1.11"
  required_providers {
    talosoci = {
      source = "talosoci/talosoci"
    }
  }
}

resource "talosoci_image" "this" {
  talos_version = var.talos_version
  extensions    = ["siderolabs/tailscale"]
}

resource "talosoci_node" "this" {
  for_each = var.nodes

  hostname    = each.key
  instance_id = each.value.instance_id
  endpoint    = each.value.public_ip
  image       = talosoci_image.this
  activation  = "auto"

  flash = {
    method = "in_place"
    ssh = {
      user           = "ubuntu"
      private_key_wo = var.ssh_private_key
      host_key       = each.value.host_key
    }
  }

  machine = {
    install_disk = "/dev/sda"
    cert_sans    = [each.value.public_ip, each.value.private_ip]

    network = {
      address     = "${each.value.private_ip}/${split("/", var.subnet)[1]}"
      mac_address = each.value.mac_address
      gateway     = cidrhost(var.subnet, 1)
      routes      = [{ network = "169.254.0.0/16" }]
      nameservers = ["169.254.169.254"]
    }

    node_ip_subnets = [var.subnet]
    kubespan        = false

    extension_services = [{
      name           = "tailscale"
      environment    = { TS_EXTRA_ARGS = "--accept-routes" }
      environment_wo = { TS_AUTHKEY = var.tailscale_auth_key }
    }]
  }

  cluster = var.cluster
}
