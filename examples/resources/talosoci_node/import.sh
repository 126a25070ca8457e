# The credentials come from the provider block (or TALOSCONFIG).
terraform import talosoci_node.cloudbox2 cloudbox2@150.136.211.213
