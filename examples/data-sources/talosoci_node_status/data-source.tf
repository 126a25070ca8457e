data "talosoci_node_status" "cloudbox2" {
  endpoint = talosoci_node.cloudbox2.endpoint
  hostname = talosoci_node.cloudbox2.hostname
}

check "cloudbox2" {
  assert {
    condition = data.talosoci_node_status.cloudbox2.healthy
    error_message = join("\n", [
      for found in data.talosoci_node_status.cloudbox2.diagnosis : "${found.cause}: ${found.remedy}"
    ])
  }
}
