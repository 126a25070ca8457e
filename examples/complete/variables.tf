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

variable "ssh_host_key" {
  description = "Host key of the instance, such as ssh-ed25519 AAAA…"
  type        = string
}
