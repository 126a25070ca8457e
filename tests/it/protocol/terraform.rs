//! The demo provider under Terraform itself.
