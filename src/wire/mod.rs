//! Generated protobuf messages and gRPC stubs; nothing hand-written. `proto/README.md` names the origin of each fact.

#![allow(missing_docs, clippy::all)]

/// Terraform plugin protocol 6.
pub mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// HashiCorp go-plugin's own services.
pub mod plugin {
    tonic::include_proto!("plugin");
}

/// The standard gRPC health service.
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The error shape of proxied calls.
pub mod google {
    /// `google.rpc`.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// Shapes shared by the Talos services.
pub mod common {
    tonic::include_proto!("common");
}

/// `machine.MachineService`, `machine.LifecycleService`, `machine.ImageService`.
pub mod machine {
    tonic::include_proto!("machine");
}

/// `storage.StorageService`.
pub mod storage {
    tonic::include_proto!("storage");
}

/// `securityapi.SecurityService` (trustd).
pub mod securityapi {
    tonic::include_proto!("securityapi");
}

/// `cosi.resource.State`.
pub mod cosi {
    tonic::include_proto!("cosi.resource");
}
