//! What the factory knows: schematics that were posted, Talos versions, extensions, and the images it has made.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::image::{Image, ImageSize, Recipe};
use crate::talos::{
    schematic::{Schematic, SchematicError},
    version::TalosVersion,
};

/// An image with its compressed form.
#[derive(Debug)]
pub struct Built {
    /// The image.
    pub image: Image,
    /// It as `.raw.xz`.
    pub xz: Bytes,
}

/// Images that were made; worlds may share a store, so that each image is made once.
#[derive(Debug, Clone, Default)]
pub struct ImageStore {
    size: ImageSize,
    built: Arc<Mutex<Shelf>>,
}

/// A place per recipe, filled by the first who asks.
type Shelf = HashMap<Recipe, Arc<OnceCell<Arc<Built>>>>;

/// Why there is no such image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// 404
    #[error("schematic not found")]
    UnknownSchematic,
    /// 404
    #[error("version {0} is not available")]
    UnknownVersion(String),
    /// 400
    #[error("official extension {extension:?} is not available for Talos version {version}")]
    UnknownExtension {
        /// `siderolabs/…`
        extension: String,
        /// `v1.12.2`
        version: String,
    },
    /// 500: a platform that does not exist, or a compressor that failed.
    #[error("internal server error")]
    Internal,
}

/// The catalogue of one factory.
#[derive(Debug)]
pub struct Catalog {
    schematics: Mutex<HashMap<String, Schematic>>,
    store: ImageStore,
}

impl ImageStore {
    /// A store whose images have the given sizes.
    pub fn with_size(size: ImageSize) -> Self {
        Self { size, built: Arc::default() }
    }

    /// The sizes of its images.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    async fn get(&self, recipe: &Recipe) -> Result<Arc<Built>, AssetError> {
        let cell = lock(&self.built).entry(recipe.clone()).or_default().clone();
        let (recipe, size) = (recipe.clone(), self.size);
        cell.get_or_try_init(|| async move {
            tokio::task::spawn_blocking(move || {
                let image = Image::make(recipe, size);
                let xz = image.compress().map_err(|_| AssetError::Internal)?.into();
                Ok(Arc::new(Built { image, xz }))
            })
            .await
            .unwrap_or(Err(AssetError::Internal))
        })
        .await
        .cloned()
    }

    /// Every image that was made so far.
    pub fn built(&self) -> Vec<Arc<Built>> {
        lock(&self.built).values().filter_map(|cell| cell.get().cloned()).collect()
    }

    fn has(&self, recipe: &Recipe) -> bool {
        lock(&self.built).get(recipe).is_some_and(|cell| cell.initialized())
    }
}

impl Catalog {
    /// An empty catalogue over a store.
    pub fn new(store: ImageStore) -> Self {
        Self { schematics: Mutex::default(), store }
    }

    /// Takes a posted schematic in; answers it with its id.
    pub fn register(&self, yaml: &str) -> Result<Schematic, SchematicError> {
        let schematic = Schematic::parse(yaml)?;
        lock(&self.schematics).insert(schematic.id().to_string(), schematic.clone());
        Ok(schematic)
    }

    /// A schematic that was posted before.
    pub fn schematic(&self, id: &str) -> Option<Schematic> {
        lock(&self.schematics).get(id).cloned()
    }

    /// The store of images.
    pub fn store(&self) -> &ImageStore {
        &self.store
    }

    /// What an image is made of, or why there is none.
    pub fn recipe(&self, id: &str, version: &str, platform: &str, arch: &str) -> Result<Recipe, AssetError> {
        let schematic = self.schematic(id).ok_or(AssetError::UnknownSchematic)?;
        let version = released(version)?;
        if !PLATFORMS.contains(&platform) {
            return Err(AssetError::Internal);
        }
        let unknown = schematic.extensions().iter().find(|name| !is_available(name, &version));
        if let Some(extension) = unknown {
            return Err(AssetError::UnknownExtension { extension: extension.clone(), version: version.to_string() });
        }
        Ok(Recipe {
            schematic: id.to_owned(),
            version: version.to_string(),
            platform: platform.to_owned(),
            arch: arch.to_owned(),
            cmdline: cmdline(platform, schematic.extra_kernel_args()),
        })
    }

    /// The image of a recipe, made now when nobody asked before.
    pub async fn image(&self, recipe: &Recipe) -> Result<Arc<Built>, AssetError> {
        self.store.get(recipe).await
    }

    /// Whether the image of a recipe is already there.
    pub fn is_built(&self, recipe: &Recipe) -> bool {
        self.store.has(recipe)
    }
}

/// The version as the factory writes it, when it was released; a malformed one is an internal error there.
pub fn released(version: &str) -> Result<TalosVersion, AssetError> {
    let version: TalosVersion = version.parse().map_err(|_| AssetError::Internal)?;
    if versions().contains(&version.to_string()) {
        Ok(version)
    } else {
        Err(AssetError::UnknownVersion(version.to_string()))
    }
}

/// All versions, oldest first; pre-releases only of the newest line.
pub fn versions() -> Vec<String> {
    const LINES: [(u32, u32); 4] = [(10, 9), (11, 6), (12, 11), (13, 9)];
    let releases = LINES.iter().flat_map(|(minor, last)| (0..=*last).map(move |patch| format!("v1.{minor}.{patch}")));
    releases.chain(["v1.14.0-rc.0".to_owned(), "v1.14.0-rc.1".to_owned(), "v1.14.0".to_owned()]).collect()
}

/// The official extensions of a version: (name, extension version, description).
pub fn extensions(version: &TalosVersion) -> Vec<(&'static str, String, &'static str)> {
    EXTENSIONS
        .iter()
        .filter(|(_, _, since, _)| version.minor_pair() >= (1, *since))
        .map(|(name, extension_version, _, description)| {
            let extension_version = extension_version.map_or_else(|| version.to_string(), str::to_owned);
            (*name, extension_version, *description)
        })
        .collect()
}

/// The version of an official extension in a Talos release.
pub fn extension_version(name: &str, version: &TalosVersion) -> String {
    let found = extensions(version).into_iter().find(|(known, ..)| *known == name);
    found.map_or_else(|| version.to_string(), |(_, extension_version, _)| extension_version)
}

/// The kernel command line of a platform's image (Talos v1.12.2 pkg/imager and platform/oracle KernelArgs).
pub fn cmdline(platform: &str, extra: &[String]) -> String {
    let own: &[&str] = match platform {
        "oracle" => &["console=tty1", "console=ttyS0", "net.ifnames=0", "talos.dashboard.disabled=1"],
        _ => &["console=tty0"],
    };
    let mut words = vec![format!("talos.platform={platform}")];
    words.extend(own.iter().map(ToString::to_string));
    words.extend(
        ["init_on_alloc=1", "slab_nomerge", "pti=on", "consoleblank=0", "nvme_core.io_timeout=4294967295"]
            .map(str::to_owned),
    );
    words.extend(["printk.devkmsg=on", "selinux=1", "lockdown=confidentiality"].map(str::to_owned));
    words.extend(extra.iter().cloned());
    words.join(" ")
}

fn is_available(name: &str, version: &TalosVersion) -> bool {
    extensions(version).iter().any(|(known, ..)| *known == name)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PLATFORMS: [&str; 18] = [
    "akamai",
    "aws",
    "azure",
    "cloudstack",
    "digital-ocean",
    "equinixMetal",
    "exoscale",
    "gcp",
    "hcloud",
    "metal",
    "nocloud",
    "opennebula",
    "openstack",
    "oracle",
    "scaleway",
    "upcloud",
    "vmware",
    "vultr",
];

/// Name, version of its own (else Talos'), first Talos minor, description.
const EXTENSIONS: &[(&str, Option<&str>, u64, &str)] = &[
    ("siderolabs/amd-ucode", Some("20251125"), 5, "AMD microcode"),
    ("siderolabs/btrfs", None, 8, "Btrfs kernel module"),
    ("siderolabs/cloudflared", Some("2025.11.1"), 8, "Cloudflare tunnel"),
    ("siderolabs/drbd", None, 5, "DRBD kernel module"),
    ("siderolabs/gvisor", Some("20251110.0"), 5, "gVisor sandbox"),
    ("siderolabs/intel-ucode", Some("20251111"), 5, "Intel microcode"),
    ("siderolabs/iscsi-tools", Some("v0.2.0"), 5, "iSCSI initiator"),
    ("siderolabs/netbird", Some("0.60.2"), 10, "NetBird mesh"),
    ("siderolabs/qemu-guest-agent", Some("10.1.2"), 5, "QEMU guest agent"),
    ("siderolabs/tailscale", Some("1.90.9"), 5, "Tailscale mesh"),
    ("siderolabs/util-linux-tools", Some("2.41.2"), 6, "util-linux tools"),
    ("siderolabs/zfs", None, 6, "ZFS kernel module"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const TAILSCALE: &str =
        "customization:\n  systemExtensions:\n    officialExtensions:\n      - siderolabs/tailscale\n";

    #[test]
    fn refusals_use_the_factorys_words() {
        let catalog = Catalog::new(ImageStore::default());
        let id = catalog.register(TAILSCALE).expect("registered").id().to_string();
        let refusal =
            |id: &str, version: &str| catalog.recipe(id, version, "oracle", "arm64").expect_err("refused").to_string();
        assert_eq!(refusal("0000", "v1.12.2"), "schematic not found");
        assert_eq!(refusal(&id, "v1.12.99"), "version v1.12.99 is not available");
        assert_eq!(refusal(&id, "twelve"), "internal server error");
        let odd = catalog.register(&TAILSCALE.replace("tailscale", "nonsense")).expect("registered").id().to_string();
        let expected = "official extension \"siderolabs/nonsense\" is not available for Talos version v1.12.2";
        assert_eq!(refusal(&odd, "1.12.2"), expected);
    }

    #[tokio::test]
    async fn an_image_is_made_once_and_found_again() {
        let store = ImageStore::with_size(ImageSize { disk: 70, efi: 64, payload: 1 });
        let catalog = Catalog::new(store.clone());
        let id = catalog.register(TAILSCALE).expect("registered").id().to_string();
        assert_eq!(id, "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b");
        let recipe = catalog.recipe(&id, "v1.12.2", "oracle", "arm64").expect("a recipe");
        assert!(!catalog.is_built(&recipe));
        let (a, b) = tokio::join!(catalog.image(&recipe), catalog.image(&recipe));
        assert!(Arc::ptr_eq(&a.expect("built"), &b.expect("built")));
        assert_eq!(store.built().len(), 1);
    }
}
