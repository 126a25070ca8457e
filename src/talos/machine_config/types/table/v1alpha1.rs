//! Types of `v1alpha1` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Args, Bool, Int, List, Map, Pointer, Str, Struct, Text, Uint, Unstructured};
use super::super::model::{Field as F, ListMerge as L, OMIT, SECRET, Struct as S, TextKind as T};
use super::{shared, v1alpha1_cluster, v1alpha1_network};

pub(super) static CONFIG: S = S { name: "Config", fields: &[
    F::new("version", Str, 0),
    F::new("debug", Pointer(&Bool), OMIT),
    F::new("persist", Pointer(&Bool), OMIT),
    F::new("machine", Pointer(&Struct(&MACHINE_CONFIG)), 0),
    F::new("cluster", Pointer(&Struct(&v1alpha1_cluster::CLUSTER_CONFIG)), 0),
] };

pub(super) static MACHINE_CONFIG: S = S { name: "MachineConfig", fields: &[
    F::new("type", Str, 0),
    F::new("token", Str, SECRET),
    F::new("ca", Pointer(&Struct(&shared::PEM_ENCODED_CERTIFICATE_AND_KEY)), OMIT),
    F::new("acceptedCAs", List(&Pointer(&Struct(&shared::PEM_ENCODED_CERTIFICATE)), L::Append), OMIT),
    F::new("certSANs", List(&Str, L::Append), 0),
    F::new("controlPlane", Pointer(&Struct(&MACHINE_CONTROL_PLANE_CONFIG)), OMIT),
    F::new("kubelet", Pointer(&Struct(&KUBELET_CONFIG)), OMIT),
    F::new("pods", List(&Unstructured, L::Append), OMIT),
    F::new("network", Pointer(&Struct(&v1alpha1_network::NETWORK_CONFIG)), OMIT),
    F::new("disks", List(&Pointer(&Struct(&MACHINE_DISK)), L::Append), OMIT),
    F::new("install", Pointer(&Struct(&INSTALL_CONFIG)), OMIT),
    F::new("files", List(&Pointer(&Struct(&MACHINE_FILE)), L::Append), OMIT),
    F::new("env", Map(&Str), OMIT | SECRET),
    F::new("time", Pointer(&Struct(&TIME_CONFIG)), OMIT),
    F::new("sysctls", Map(&Str), OMIT),
    F::new("sysfs", Map(&Str), OMIT),
    F::new("registries", Struct(&REGISTRIES_CONFIG), OMIT),
    F::new("systemDiskEncryption", Pointer(&Struct(&SYSTEM_DISK_ENCRYPTION_CONFIG)), OMIT),
    F::new("features", Pointer(&Struct(&FEATURES_CONFIG)), OMIT),
    F::new("udev", Pointer(&Struct(&UDEV_CONFIG)), OMIT),
    F::new("logging", Pointer(&Struct(&LOGGING_CONFIG)), OMIT),
    F::new("kernel", Pointer(&Struct(&KERNEL_CONFIG)), OMIT),
    F::new("seccompProfiles", List(&Pointer(&Struct(&MACHINE_SECCOMP_PROFILE)), L::Append), OMIT),
    F::new("baseRuntimeSpecOverrides", Unstructured, OMIT),
    F::new("nodeLabels", Map(&Str), OMIT),
    F::new("nodeAnnotations", Map(&Str), OMIT),
    F::new("nodeTaints", Map(&Str), OMIT),
] };

pub(super) static MACHINE_CONTROL_PLANE_CONFIG: S = S { name: "MachineControlPlaneConfig", fields: &[
    F::new("controllerManager", Pointer(&Struct(&MACHINE_CONTROLLER_MANAGER_CONFIG)), OMIT),
    F::new("scheduler", Pointer(&Struct(&MACHINE_SCHEDULER_CONFIG)), OMIT),
] };

pub(super) static MACHINE_CONTROLLER_MANAGER_CONFIG: S = S { name: "MachineControllerManagerConfig", fields: &[
    F::new("disabled", Pointer(&Bool), OMIT),
] };

pub(super) static MACHINE_SCHEDULER_CONFIG: S = S { name: "MachineSchedulerConfig", fields: &[
    F::new("disabled", Pointer(&Bool), OMIT),
] };

pub(super) static KUBELET_CONFIG: S = S { name: "KubeletConfig", fields: &[
    F::new("image", Str, OMIT),
    F::new("clusterDNS", List(&Str, L::Append), OMIT),
    F::new("extraArgs", Args, OMIT),
    F::new("extraMounts", List(&Struct(&EXTRA_MOUNT), L::Append), OMIT),
    F::new("extraConfig", Unstructured, OMIT),
    F::new("credentialProviderConfig", Unstructured, OMIT),
    F::new("defaultRuntimeSeccompProfileEnabled", Pointer(&Bool), OMIT),
    F::new("registerWithFQDN", Pointer(&Bool), OMIT),
    F::new("nodeIP", Pointer(&Struct(&KUBELET_NODE_IP_CONFIG)), OMIT),
    F::new("skipNodeRegistration", Pointer(&Bool), OMIT),
    F::new("disableManifestsDirectory", Pointer(&Bool), OMIT),
] };

pub(super) static EXTRA_MOUNT: S = S { name: "ExtraMount", fields: &[
    F::new("destination", Str, 0),
    F::new("type", Str, OMIT),
    F::new("source", Str, OMIT),
    F::new("options", List(&Str, L::Append), OMIT),
    F::new("uidMappings", List(&Struct(&LINUX_ID_MAPPING), L::Append), OMIT),
    F::new("gidMappings", List(&Struct(&LINUX_ID_MAPPING), L::Append), OMIT),
] };

pub(super) static LINUX_ID_MAPPING: S = S { name: "LinuxIDMapping", fields: &[
    F::new("containerID", Uint(32), 0),
    F::new("hostID", Uint(32), 0),
    F::new("size", Uint(32), 0),
] };

pub(super) static KUBELET_NODE_IP_CONFIG: S = S { name: "KubeletNodeIPConfig", fields: &[
    F::new("validSubnets", List(&Str, L::Append), OMIT),
] };

pub(super) static MACHINE_DISK: S = S { name: "MachineDisk", fields: &[
    F::new("device", Str, OMIT),
    F::new("partitions", List(&Pointer(&Struct(&DISK_PARTITION)), L::Append), OMIT),
] };

pub(super) static DISK_PARTITION: S = S { name: "DiskPartition", fields: &[
    F::new("size", Text(T::DiskSize), OMIT),
    F::new("mountpoint", Str, OMIT),
] };

pub(super) static INSTALL_CONFIG: S = S { name: "InstallConfig", fields: &[
    F::new("disk", Str, OMIT),
    F::new("diskSelector", Pointer(&Struct(&INSTALL_DISK_SELECTOR)), OMIT),
    F::new("extraKernelArgs", List(&Str, L::Append), OMIT),
    F::new("image", Str, OMIT),
    F::new("extensions", List(&Struct(&INSTALL_EXTENSION_CONFIG), L::Append), OMIT),
    F::new("bootloader", Pointer(&Bool), OMIT),
    F::new("wipe", Pointer(&Bool), 0),
    F::new("legacyBIOSSupport", Pointer(&Bool), OMIT),
    F::new("grubUseUKICmdline", Pointer(&Bool), OMIT),
] };

pub(super) static INSTALL_DISK_SELECTOR: S = S { name: "InstallDiskSelector", fields: &[
    F::new("size", Pointer(&Text(T::SizeMatch)), OMIT),
    F::new("name", Str, OMIT),
    F::new("model", Str, OMIT),
    F::new("serial", Str, OMIT),
    F::new("modalias", Str, OMIT),
    F::new("uuid", Str, OMIT),
    F::new("wwid", Str, OMIT),
    F::new("type", Str, OMIT),
    F::new("busPath", Str, OMIT),
] };

pub(super) static INSTALL_EXTENSION_CONFIG: S = S { name: "InstallExtensionConfig", fields: &[
    F::new("image", Str, 0),
] };

pub(super) static MACHINE_FILE: S = S { name: "MachineFile", fields: &[
    F::new("content", Str, SECRET),
    F::new("permissions", Text(T::FileMode), 0),
    F::new("path", Str, 0),
    F::new("op", Str, 0),
] };

pub(super) static TIME_CONFIG: S = S { name: "TimeConfig", fields: &[
    F::new("disabled", Pointer(&Bool), OMIT),
    F::new("servers", List(&Str, L::Append), OMIT),
    F::new("bootTimeout", Text(T::Duration), OMIT),
] };

pub(super) static REGISTRIES_CONFIG: S = S { name: "RegistriesConfig", fields: &[
    F::new("mirrors", Map(&Pointer(&Struct(&REGISTRY_MIRROR_CONFIG))), OMIT),
    F::new("config", Map(&Pointer(&Struct(&REGISTRY_CONFIG))), OMIT),
] };

pub(super) static REGISTRY_MIRROR_CONFIG: S = S { name: "RegistryMirrorConfig", fields: &[
    F::new("endpoints", List(&Str, L::Append), 0),
    F::new("overridePath", Pointer(&Bool), OMIT),
    F::new("skipFallback", Pointer(&Bool), OMIT),
] };

pub(super) static REGISTRY_CONFIG: S = S { name: "RegistryConfig", fields: &[
    F::new("tls", Pointer(&Struct(&REGISTRY_TLS_CONFIG)), OMIT),
    F::new("auth", Pointer(&Struct(&REGISTRY_AUTH_CONFIG)), OMIT),
] };

pub(super) static REGISTRY_TLS_CONFIG: S = S { name: "RegistryTLSConfig", fields: &[
    F::new("clientIdentity", Pointer(&Struct(&shared::PEM_ENCODED_CERTIFICATE_AND_KEY)), OMIT),
    F::new("ca", Text(T::Base64), OMIT),
    F::new("insecureSkipVerify", Pointer(&Bool), OMIT),
] };

pub(super) static REGISTRY_AUTH_CONFIG: S = S { name: "RegistryAuthConfig", fields: &[
    F::new("username", Str, OMIT),
    F::new("password", Str, OMIT | SECRET),
    F::new("auth", Str, OMIT | SECRET),
    F::new("identityToken", Str, OMIT | SECRET),
] };

pub(super) static SYSTEM_DISK_ENCRYPTION_CONFIG: S = S { name: "SystemDiskEncryptionConfig", fields: &[
    F::new("state", Pointer(&Struct(&ENCRYPTION_CONFIG)), OMIT),
    F::new("ephemeral", Pointer(&Struct(&ENCRYPTION_CONFIG)), OMIT),
] };

pub(super) static ENCRYPTION_CONFIG: S = S { name: "EncryptionConfig", fields: &[
    F::new("provider", Str, 0),
    F::new("keys", List(&Pointer(&Struct(&ENCRYPTION_KEY)), L::Append), 0),
    F::new("cipher", Str, OMIT),
    F::new("keySize", Uint(64), OMIT),
    F::new("blockSize", Uint(64), OMIT),
    F::new("options", List(&Str, L::Append), OMIT),
] };

pub(super) static ENCRYPTION_KEY: S = S { name: "EncryptionKey", fields: &[
    F::new("static", Pointer(&Struct(&ENCRYPTION_KEY_STATIC)), OMIT),
    F::new("nodeID", Pointer(&Struct(&ENCRYPTION_KEY_NODE_ID)), OMIT),
    F::new("kms", Pointer(&Struct(&ENCRYPTION_KEY_KMS)), OMIT),
    F::new("slot", Int(64), 0),
    F::new("tpm", Pointer(&Struct(&ENCRYPTION_KEY_TPM)), OMIT),
] };

pub(super) static ENCRYPTION_KEY_STATIC: S = S { name: "EncryptionKeyStatic", fields: &[
    F::new("passphrase", Str, OMIT | SECRET),
] };

pub(super) static ENCRYPTION_KEY_NODE_ID: S = S { name: "EncryptionKeyNodeID", fields: &[
] };

pub(super) static ENCRYPTION_KEY_KMS: S = S { name: "EncryptionKeyKMS", fields: &[
    F::new("endpoint", Str, 0),
] };

pub(super) static ENCRYPTION_KEY_TPM: S = S { name: "EncryptionKeyTPM", fields: &[
    F::new("checkSecurebootStatusOnEnroll", Pointer(&Bool), OMIT),
] };

pub(super) static FEATURES_CONFIG: S = S { name: "FeaturesConfig", fields: &[
    F::new("rbac", Pointer(&Bool), OMIT),
    F::new("stableHostname", Pointer(&Bool), OMIT),
    F::new("kubernetesTalosAPIAccess", Pointer(&Struct(&KUBERNETES_TALOS_API_ACCESS_CONFIG)), OMIT),
    F::new("apidCheckExtKeyUsage", Pointer(&Bool), OMIT),
    F::new("diskQuotaSupport", Pointer(&Bool), OMIT),
    F::new("kubePrism", Pointer(&Struct(&KUBE_PRISM)), OMIT),
    F::new("hostDNS", Pointer(&Struct(&HOST_DNS_CONFIG)), OMIT),
    F::new("imageCache", Pointer(&Struct(&IMAGE_CACHE_CONFIG)), OMIT),
    F::new("nodeAddressSortAlgorithm", Str, OMIT),
] };

pub(super) static KUBERNETES_TALOS_API_ACCESS_CONFIG: S = S { name: "KubernetesTalosAPIAccessConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
    F::new("allowedRoles", List(&Str, L::Append), OMIT),
    F::new("allowedKubernetesNamespaces", List(&Str, L::Append), OMIT),
] };

pub(super) static KUBE_PRISM: S = S { name: "KubePrism", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
    F::new("port", Int(64), OMIT),
] };

pub(super) static HOST_DNS_CONFIG: S = S { name: "HostDNSConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
    F::new("forwardKubeDNSToHost", Pointer(&Bool), OMIT),
    F::new("resolveMemberNames", Pointer(&Bool), OMIT),
] };

pub(super) static IMAGE_CACHE_CONFIG: S = S { name: "ImageCacheConfig", fields: &[
    F::new("localEnabled", Pointer(&Bool), OMIT),
] };

pub(super) static UDEV_CONFIG: S = S { name: "UdevConfig", fields: &[
    F::new("rules", List(&Str, L::Append), OMIT),
] };

pub(super) static LOGGING_CONFIG: S = S { name: "LoggingConfig", fields: &[
    F::new("destinations", List(&Struct(&LOGGING_DESTINATION), L::Append), 0),
] };

pub(super) static LOGGING_DESTINATION: S = S { name: "LoggingDestination", fields: &[
    F::new("endpoint", Pointer(&Text(T::Url)), 0),
    F::new("format", Str, 0),
    F::new("extraTags", Map(&Str), OMIT),
] };

pub(super) static KERNEL_CONFIG: S = S { name: "KernelConfig", fields: &[
    F::new("modules", List(&Pointer(&Struct(&KERNEL_MODULE_CONFIG)), L::Append), OMIT),
] };

pub(super) static KERNEL_MODULE_CONFIG: S = S { name: "KernelModuleConfig", fields: &[
    F::new("name", Str, 0),
    F::new("parameters", List(&Str, L::Append), OMIT),
] };

pub(super) static MACHINE_SECCOMP_PROFILE: S = S { name: "MachineSeccompProfile", fields: &[
    F::new("name", Str, 0),
    F::new("value", Unstructured, 0),
] };
