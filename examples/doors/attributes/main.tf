# The node as attributes. What Oracle assigns (addresses, the MAC address) may be unknown at plan: everything else is
# checked and shown all the same.
resource "talosoci_node" "cloudbox2" {
  hostname = "cloudbox2"
  endpoint = oci_core_instance.cloudbox2.public_ip
  image    = talosoci_image.worker

  flash = {
    ssh = {
      user           = "ubuntu"
      private_key_wo = var.ssh_private_key
      host_key       = var.ssh_host_key
    }
  }

  machine = {
    install_disk = "/dev/sda"
    cert_sans    = [oci_core_instance.cloudbox2.public_ip, "10.0.0.214"]

    network = {
      address     = "10.0.0.214/24"
      mac_address = data.oci_core_vnic.cloudbox2.mac_address
      gateway     = "10.0.0.1"
      routes      = [{ network = "169.254.0.0/16" }]
      nameservers = ["169.254.169.254"]
    }

    node_ip_subnets = ["10.0.0.0/24"]
    kubespan        = false

    extension_services = [{
      name           = "tailscale"
      environment    = { TS_EXTRA_ARGS = "--accept-routes" }
      environment_wo = { TS_AUTHKEY = var.tailscale_auth_key }
    }]
  }

  cluster = {
    name               = "eh-ops"
    endpoint           = "https://192.168.1.50:6443"
    kubernetes_version = "v1.35.0"

    # Or secrets = talos_machine_secrets.NAME.machine_secrets of the siderolabs provider, as it is.
    secrets_file = "${path.module}/talsecret.sops.yaml"
  }
}
