//! The model of talconfig.yaml (talhelper v3.1.16 `pkg/config/config.go`), read strictly.

mod cluster;
mod node;
pub(super) mod section;

pub(super) use cluster::{Cluster, FileText, read};
pub(super) use node::{Interface, MachineFile, NodeConfigs, NodeEntry, Patch, Route, Service, opens_template};
