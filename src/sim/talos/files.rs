//! The files of a node that the API can show: a handful, in a tree.

use prost::Message;
use tonic::Status;

use super::{
    archive::Entry,
    machine::Machine,
    spec::{Field, Value, text},
};

/// What stands at a path.
enum Node {
    Directory,
    File(String),
    Link(&'static str),
}

/// Bits of Go's `fs.FileMode`, which `FileInfo.mode` carries.
const DIRECTORY: u64 = 1 << 31;
const SYMLINK: u64 = 1 << 27;

const DIRECTORIES: [&str; 24] = [
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/etc/cri",
    "/etc/kubernetes",
    "/etc/kubernetes/manifests",
    "/opt",
    "/proc",
    "/proc/sys",
    "/proc/sys/kernel",
    "/proc/sys/kernel/random",
    "/run",
    "/sys",
    "/system",
    "/system/state",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/var",
    "/var/lib",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log",
];

/// All paths in the order in which Go's `filepath.Walk` meets them.
fn tree(machine: &Machine) -> Vec<(String, Node)> {
    let mut all: Vec<_> = DIRECTORIES.iter().map(|path| ((*path).to_owned(), Node::Directory)).collect();
    all.push(("/bin".to_owned(), Node::Link("usr/bin")));
    all.push(("/sbin".to_owned(), Node::Link("usr/bin")));
    let hostname = machine.hostname();
    let mut file = |path: &str, content: String| all.push((path.to_owned(), Node::File(content)));
    machine.look(|state| {
        let Some(boot) = &state.boot else { return };
        let version = &boot.entry.version;
        file("/etc/hostname", format!("{hostname}\n"));
        file("/etc/hosts", format!("127.0.0.1       localhost\n{} {hostname}\n", machine.hardware.private_ip));
        let release = format!("NAME=\"Talos\"\nID=talos\nVERSION_ID={version}\nPRETTY_NAME=\"Talos ({version})\"\n");
        file("/etc/os-release", release);
        file("/etc/resolv.conf", "nameserver 127.0.0.53\n".to_owned());
        file("/proc/cmdline", format!("{}\n", boot.entry.cmdline));
        file("/proc/sys/kernel/random/boot_id", format!("{}\n", boot.id));
        if let Some(config) = &state.disk.config {
            file("/system/state/config.yaml", config.text.clone());
        }
    });
    if machine.look(|state| state.disk.etcd) {
        all.push(("/var/lib/etcd".to_owned(), Node::Directory));
    }
    all.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    all
}

/// A path as the servers of Talos clean it.
fn clean(path: &str) -> String {
    format!("/{}", path.trim_matches('/'))
}

fn missing(call: &str, path: &str) -> String {
    format!("{call} {path}: no such file or directory")
}

/// The content of a file (Talos v1.12.2 v1alpha1_server.go Read).
pub fn read(machine: &Machine, path: &str) -> Result<Vec<u8>, Status> {
    match tree(machine).into_iter().find(|(known, _)| *known == clean(path)) {
        Some((_, Node::File(content))) => Ok(content.into_bytes()),
        Some(_) => Err(Status::unknown("path must be a regular file")),
        None => Err(Status::not_found(missing("stat", path))),
    }
}

/// What an archive of a path holds: names, and contents of files (v1.12.2 pkg/archiver). A directory itself is left out.
pub fn archive(machine: &Machine, path: &str) -> Result<Vec<Entry>, String> {
    let root = clean(path);
    let found = below(machine, &root);
    if found.is_empty() {
        return Err(missing("lstat", &root));
    }
    let entry = |(_, name, _, node): (String, String, usize, Node)| match node {
        Node::File(content) => Some(Entry { name, content: Some(content.into_bytes()) }),
        Node::Directory if name != "." => Some(Entry { name, content: None }),
        Node::Directory | Node::Link(_) => None,
    };
    Ok(found.into_iter().filter_map(entry).collect())
}

#[derive(Clone, PartialEq, Message)]
pub struct ListRequest {
    #[prost(string, tag = "1")]
    root: String,
    #[prost(bool, tag = "2")]
    recurse: bool,
    #[prost(int32, tag = "3")]
    recursion_depth: i32,
    #[prost(int32, repeated, tag = "4")]
    types: Vec<i32>,
}

/// The paths at and below a root, with their names seen from there and how deep they are.
fn below(machine: &Machine, root: &str) -> Vec<(String, String, usize, Node)> {
    let prefix = if root == "/" { "/".to_owned() } else { format!("{root}/") };
    let place = |(path, node): (String, Node)| {
        if path == root {
            let name = if matches!(node, Node::Directory) { "." } else { path.rsplit('/').next().unwrap_or_default() };
            return Some((path.clone(), name.to_owned(), 0, node));
        }
        let relative = path.strip_prefix(&prefix)?.to_owned();
        let depth = relative.split('/').count();
        Some((path, relative, depth, node))
    };
    tree(machine).into_iter().filter_map(place).collect()
}

/// `machine.FileInfo`s.
pub fn list(machine: &Machine, request: &ListRequest) -> Result<Vec<Vec<Field>>, Status> {
    let root = clean(&request.root);
    // The walker always enters the root, and counts the slash of "/" as a level (v1.12.2 pkg/archiver/walker.go).
    let depth = match (request.recurse, usize::try_from(request.recursion_depth)) {
        (true, Ok(0) | Err(_)) => usize::MAX,
        (true, Ok(depth)) if root == "/" => depth + 1,
        (true, Ok(depth)) => depth,
        (false, _) => 1,
    };
    let found = below(machine, &root);
    if found.is_empty() {
        return Err(Status::unknown(missing("lstat", &root)));
    }
    let kind = |node: &Node| match node {
        Node::File(_) => 0,
        Node::Directory => 1,
        Node::Link(_) => 2,
    };
    let modified = machine.boot(|boot| boot.at.unix_timestamp()).unwrap_or_default().unsigned_abs();
    let shown = found
        .into_iter()
        .filter(|(_, _, at, node)| *at <= depth && (request.types.is_empty() || request.types.contains(&kind(node))));
    let info = |(path, relative, _, node): (String, String, usize, Node)| {
        let (size, mode, link) = match &node {
            Node::Directory => (4096, DIRECTORY | 0o755, ""),
            Node::File(content) => (content.len() as u64, 0o644, ""),
            Node::Link(to) => (to.len() as u64, SYMLINK | 0o777, *to),
        };
        vec![
            (2, "name", text(path)),
            (3, "size", Value::Int(size)),
            (4, "mode", Value::Int(mode)),
            (5, "modified", Value::Int(modified)),
            (6, "isDir", Value::Bool(matches!(node, Node::Directory))),
            (8, "link", text(link)),
            (9, "relativeName", text(relative)),
        ]
    };
    Ok(shown.map(info).collect())
}

#[derive(Clone, PartialEq, Message)]
pub struct DiskUsageRequest {
    #[prost(int32, tag = "1")]
    recursion_depth: i32,
    #[prost(bool, tag = "2")]
    all: bool,
    #[prost(int64, tag = "3")]
    threshold: i64,
    #[prost(string, repeated, tag = "4")]
    paths: Vec<String>,
}

/// `machine.DiskUsageInfo`s of the first path, which is as far as Talos v1.12.2 looks.
pub fn usage(machine: &Machine, request: &DiskUsageRequest) -> Vec<Vec<Field>> {
    let Some(root) = request.paths.first().map(|path| clean(path)) else { return Vec::new() };
    let found = below(machine, &root);
    if found.is_empty() {
        let error = text(missing("lstat", &root));
        return vec![vec![(2, "name", text(&*root)), (4, "error", error), (5, "relativeName", text(root))]];
    }
    let own = |node: &Node| match node {
        Node::File(content) => content.len() as i64,
        Node::Directory => 4096,
        Node::Link(to) => to.len() as i64,
    };
    let total = |at: &str| -> i64 {
        let prefix = format!("{}/", at.trim_end_matches('/'));
        found.iter().filter(|(path, ..)| path == at || path.starts_with(&prefix)).map(|(.., node)| own(node)).sum()
    };
    let limit = usize::try_from(request.recursion_depth).ok().filter(|depth| *depth > 0).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    // A directory comes after what is in it.
    for (path, relative, depth, node) in found.iter().rev() {
        let directory = matches!(node, Node::Directory);
        let size = total(path);
        let too_small = request.threshold > 0 && size < request.threshold;
        let too_large = request.threshold < 0 && size > -request.threshold;
        if *depth >= limit || (!directory && !request.all) || too_small || too_large {
            continue;
        }
        let size = Value::Int(size.unsigned_abs());
        out.push(vec![(2, "name", text(&**path)), (3, "size", size), (5, "relativeName", text(&**relative))]);
    }
    out
}
