# Three workers of one module. Addresses and MAC addresses are known once Oracle has made the instances.

terraform {
  required_version = ">= 1.11"
  required_providers {
    oci = {
      source = "oracle/oci"
    }
    talosoci = {
      source = "talosoci/talosoci"
    }
  }
}

provider "talosoci" {
  kubeconfig = file("${path.module}/kubeconfig")
}

resource "oci_core_instance" "worker" {
  for_each = var.workers

  availability_domain = var.availability_domain
  compartment_id      = var.compartment_id
  display_name        = each.key
  shape               = "VM.Standard.A1.Flex"

  shape_config {
    ocpus         = 1
    memory_in_gbs = 6
  }

  create_vnic_details {
    subnet_id        = var.subnet_id
    private_ip       = each.value.private_ip
    assign_public_ip = true
  }

  source_details {
    source_type = "image"
    source_id   = var.ubuntu_arm64_image_id
  }

  metadata = {
    ssh_authorized_keys = var.ssh_public_key
  }
}

data "oci_core_vnic_attachments" "worker" {
  for_each = oci_core_instance.worker

  compartment_id = var.compartment_id
  instance_id    = each.value.id
}

data "oci_core_vnic" "worker" {
  for_each = data.oci_core_vnic_attachments.worker

  vnic_id = each.value.vnic_attachments[0].vnic_id
}

module "workers" {
  source = "../modules/worker"

  talos_version = "v1.12.2"
  subnet        = "10.0.0.0/24"
  nodes = {
    for name, worker in var.workers : name => {
      instance_id = oci_core_instance.worker[name].id
      public_ip   = oci_core_instance.worker[name].public_ip
      private_ip  = worker.private_ip
      mac_address = data.oci_core_vnic.worker[name].mac_address
      host_key    = worker.host_key
    }
  }
  cluster = {
    name               = "eh-ops"
    endpoint           = "https://192.168.1.50:6443"
    kubernetes_version = "v1.35.0"
    secrets_file       = "${path.module}/talsecret.sops.yaml"
  }
  ssh_private_key    = var.ssh_private_key
  tailscale_auth_key = var.tailscale_auth_key
}

output "workers" {
  value = module.workers.nodes
}
