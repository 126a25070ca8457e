terraform {
  required_providers {
    talosoci = {
      source = "talosoci/talosoci"
    }
  }
}

# Everything is optional. Credentials here let read and destroy work when the resources keep no secret in the state.
provider "talosoci" {
  talosconfig = file("${path.module}/talosconfig")
  kubeconfig  = file("${path.module}/kubeconfig")
}
