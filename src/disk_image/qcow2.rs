//! The tables of a qcow2 file (version 3; QEMU's docs/interop/qcow2.txt).

use super::extents::{Extent, GRANULE};

/// All of a qcow2 file but its data, which follows in the order of the extents: the file can be written from its beginning
/// to its end, and its size is known before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qcow2 {
    head: Vec<u8>,
    size: u64,
}

impl Qcow2 {
    /// The file for an image of `raw_size` bytes that is zero outside of `extents`.
    ///
    /// # Errors
    /// When the extents are out of order, or do not begin on clusters of 64 KiB.
    pub fn of(raw_size: u64, extents: &[Extent]) -> Result<Self, Qcow2Error> {
        let runs = runs(raw_size, extents)?;
        let plan = Plan::of(raw_size, &runs);
        let mut head = plan.header(raw_size);
        push_table(&mut head, &plan.l1());
        plan.push_refcounts(&mut head);
        for table in &plan.l2 {
            push_table(&mut head, &plan.l2_table(*table, &runs));
        }
        Ok(Self { head, size: plan.clusters * CLUSTER_LEN })
    }

    /// Header and tables; the data of the first extent follows.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Of the whole file, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many zeros follow the data of an extent of `len` bytes.
    pub fn padding(len: u64) -> usize {
        (len.next_multiple_of(CLUSTER_LEN) - len) as usize
    }
}

/// Clusters that follow each other on the disk.
struct Run {
    guest: u64,
    len: u64,
}

fn runs(raw_size: u64, extents: &[Extent]) -> Result<Vec<Run>, Qcow2Error> {
    let mut end = 0;
    let runs = extents.iter().map(|extent| {
        let after = extent.offset.checked_add(extent.len).filter(|after| *after <= raw_size);
        match after {
            Some(after) if extent.offset >= end && extent.offset.is_multiple_of(CLUSTER_LEN) => {
                end = after;
                Ok(Run { guest: extent.offset / CLUSTER_LEN, len: extent.len.div_ceil(CLUSTER_LEN) })
            }
            _ => Err(Qcow2Error { offset: extent.offset }),
        }
    });
    runs.collect()
}

/// What is where in the file, in clusters: header, first table, table of reference counts, reference counts, second tables,
/// data.
struct Plan {
    l1_entries: u64,
    /// Which of the second tables there are.
    l2: Vec<u64>,
    refcount_table: u64,
    refcount_table_len: u64,
    refcounts: u64,
    refcounts_len: u64,
    l2_start: u64,
    data: u64,
    /// In all.
    clusters: u64,
}

impl Plan {
    fn of(raw_size: u64, runs: &[Run]) -> Self {
        let l1_entries = raw_size.div_ceil(CLUSTER_LEN).div_ceil(ENTRIES);
        let mut l2: Vec<u64> =
            runs.iter().flat_map(|run| run.guest / ENTRIES..=(run.guest + run.len - 1) / ENTRIES).collect();
        l2.dedup();
        let refcount_table = 1 + l1_entries.div_ceil(ENTRIES);
        let data_len: u64 = runs.iter().map(|run| run.len).sum();
        let without_counts = refcount_table + l2.len() as u64 + data_len;
        let (mut refcounts_len, mut refcount_table_len) = (0, 0);
        // The counts count themselves: a few rounds, since each cluster of them holds thousands.
        let clusters = loop {
            let clusters = without_counts + refcounts_len + refcount_table_len;
            let needed = clusters.div_ceil(REFCOUNTS);
            if needed == refcounts_len && needed.div_ceil(ENTRIES) == refcount_table_len {
                break clusters;
            }
            (refcounts_len, refcount_table_len) = (needed, needed.div_ceil(ENTRIES));
        };
        let refcounts = refcount_table + refcount_table_len;
        let l2_start = refcounts + refcounts_len;
        let data = l2_start + l2.len() as u64;
        Self { l1_entries, l2, refcount_table, refcount_table_len, refcounts, refcounts_len, l2_start, data, clusters }
    }

    /// One cluster.
    fn header(&self, raw_size: u64) -> Vec<u8> {
        let mut header = Vec::with_capacity((self.data * CLUSTER_LEN) as usize);
        header.extend_from_slice(b"QFI\xFB");
        header.extend_from_slice(&3u32.to_be_bytes());
        header.extend_from_slice(&[0; 12]); // no backing file
        header.extend_from_slice(&CLUSTER.ilog2().to_be_bytes());
        header.extend_from_slice(&raw_size.next_multiple_of(512).to_be_bytes());
        header.extend_from_slice(&[0; 4]); // not encrypted
        header.extend_from_slice(&(self.l1_entries as u32).to_be_bytes());
        header.extend_from_slice(&CLUSTER_LEN.to_be_bytes());
        header.extend_from_slice(&(self.refcount_table * CLUSTER_LEN).to_be_bytes());
        header.extend_from_slice(&(self.refcount_table_len as u32).to_be_bytes());
        header.extend_from_slice(&[0; 12]); // no snapshots
        header.extend_from_slice(&[0; 24]); // no features
        header.extend_from_slice(&REFCOUNT_ORDER.to_be_bytes());
        header.extend_from_slice(&HEADER_LEN.to_be_bytes());
        header.resize(CLUSTER, 0);
        header
    }

    /// Where the second tables are.
    fn l1(&self) -> Vec<u64> {
        let mut entries = vec![0; self.l1_entries as usize];
        for (table, cluster) in self.l2.iter().zip(self.l2_start..) {
            entries[*table as usize] = (cluster * CLUSTER_LEN) | COPIED;
        }
        entries
    }

    /// One of the second tables: where the data is.
    fn l2_table(&self, table: u64, runs: &[Run]) -> Vec<u64> {
        let first = table * ENTRIES;
        let mut entries = vec![0; ENTRIES as usize];
        let mut host = self.data;
        for run in runs {
            for guest in run.guest.max(first)..(run.guest + run.len).min(first + ENTRIES) {
                entries[(guest - first) as usize] = ((host + guest - run.guest) * CLUSTER_LEN) | COPIED;
            }
            host += run.len;
        }
        entries
    }

    /// Counts of 1 for all clusters, and the table of where they are.
    fn push_refcounts(&self, head: &mut Vec<u8>) {
        let blocks: Vec<u64> = (self.refcounts..self.l2_start).map(|cluster| cluster * CLUSTER_LEN).collect();
        push_table(head, &blocks);
        head.extend(1u16.to_be_bytes().repeat(self.clusters as usize));
        head.resize((self.l2_start * CLUSTER_LEN) as usize, 0);
        debug_assert_eq!(blocks.len() as u64, self.refcounts_len);
    }
}

/// Appends numbers, filled up with zeros to whole clusters.
fn push_table(head: &mut Vec<u8>, entries: &[u64]) {
    head.extend(entries.iter().flat_map(|entry| entry.to_be_bytes()));
    head.resize(head.len().next_multiple_of(CLUSTER), 0);
}

/// The extents cannot be those of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the extent at byte {offset} does not begin on a cluster, or is out of order")]
pub struct Qcow2Error {
    /// On the disk, in bytes.
    pub offset: u64,
}

/// One granule of the image is one cluster of the file.
const CLUSTER: usize = GRANULE;
const CLUSTER_LEN: u64 = CLUSTER as u64;
/// Entries of 8 bytes in a cluster.
const ENTRIES: u64 = CLUSTER_LEN / 8;
/// Counts of 16 bits in a cluster.
const REFCOUNTS: u64 = CLUSTER_LEN / 2;
const REFCOUNT_ORDER: u32 = 4;
const HEADER_LEN: u32 = 104;
/// In a table entry: exactly one reference, so the cluster may be written in place.
const COPIED: u64 = 1 << 63;

#[cfg(test)]
#[path = "qcow2/tests.rs"]
mod tests;
