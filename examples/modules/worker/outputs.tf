output "schematic_id" {
  description = "Schematic that all nodes run."
  value       = talosoci_image.this.schematic_id
}

output "nodes" {
  description = "What each node runs, by host name."
  value = {
    for name, node in talosoci_node.this : name => {
      phase         = node.phase
      talos_version = node.talos_version
      extensions    = node.extensions
    }
  }
}
