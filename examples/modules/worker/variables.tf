variable "talos_version" {
  type = string
}

variable "nodes" {
  description = "The instances, by host name."
  type = map(object({
    instance_id = string
    public_ip   = string
    private_ip  = string
    mac_address = string
    host_key    = string
  }))
}

variable "subnet" {
  description = "Subnet of the instances, such as 10.0.0.0/24."
  type        = string
}

variable "cluster" {
  description = "The cluster that the workers join; secrets_file is its talsecret.yaml, plain or encrypted with SOPS."
  type = object({
    name               = string
    endpoint           = string
    kubernetes_version = string
    secrets_file       = string
  })
}

variable "ssh_private_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "tailscale_auth_key" {
  type      = string
  sensitive = true
  ephemeral = true
}
