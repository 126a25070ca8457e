# The guide as one configuration: an instance in Oracle Cloud and the Talos worker it becomes. The Ubuntu that the instance is
# launched with is overwritten below its own feet.
#
# Apply the instance alone first (-target=oci_core_instance.cloudbox2), take its host key from its serial console, then apply
# all. The instance must not carry cloud-init user_data: Talos would read it as its configuration and never reach maintenance
# mode.

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
  talosconfig = file("${path.module}/talosconfig")
  kubeconfig  = file("${path.module}/kubeconfig")
}

resource "oci_core_instance" "cloudbox2" {
  availability_domain = var.availability_domain
  compartment_id      = var.compartment_id
  display_name        = "cloudbox2"
  shape               = "VM.Standard.A1.Flex"

  shape_config {
    ocpus         = 4
    memory_in_gbs = 24
  }

  create_vnic_details {
    subnet_id        = var.subnet_id
    private_ip       = "10.0.0.214"
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

resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}

resource "talosoci_node" "cloudbox2" {
  hostname    = "cloudbox2"
  instance_id = oci_core_instance.cloudbox2.id
  endpoint    = oci_core_instance.cloudbox2.public_ip
  image       = talosoci_image.worker

  flash = {
    method = "in_place"
    disk   = "/dev/sda"
    ssh = {
      user           = "ubuntu"
      private_key_wo = var.ssh_private_key
      host_key       = var.ssh_host_key
    }
  }

  machine_configuration_wo = file("${path.module}/clusterconfig/eh-ops-cloudbox2.yaml")

  # The public address is not known before the instance is; the node's certificate must name it all the same.
  config_patches = [
    yamlencode({ machine = { certSANs = [oci_core_instance.cloudbox2.public_ip] } }),
  ]
}

output "node" {
  value = {
    phase         = talosoci_node.cloudbox2.phase
    talos_version = talosoci_node.cloudbox2.talos_version
    extensions    = talosoci_node.cloudbox2.extensions
  }
}
