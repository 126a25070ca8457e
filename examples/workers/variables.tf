variable "workers" {
  description = "Private address and rescue host key of each worker, by host name."
  type = map(object({
    private_ip = string
    host_key   = string
  }))
}

variable "availability_domain" {
  type = string
}

variable "compartment_id" {
  type = string
}

variable "subnet_id" {
  type = string
}

variable "ubuntu_arm64_image_id" {
  type = string
}

variable "ssh_public_key" {
  type = string
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
