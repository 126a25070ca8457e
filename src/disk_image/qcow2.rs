//! Writes qcow2 files (version 3; QEMU's docs/interop/qcow2.txt).

use std::io::{self, Seek, SeekFrom, Write};

use super::extents::{Event, GRANULE};

/// Writes a sparse image in one pass: data in the order of the events, then the tables, at last the header.
///
/// Until [`Qcow2Writer::finish`] has returned, the file begins with zeros, which no reader takes for an image.
pub struct Qcow2Writer<W> {
    out: W,
    /// Clusters written, the one of the header included.
    clusters: u64,
    runs: Vec<Run>,
    raw_size: u64,
}

/// Clusters that follow each other on the disk and in the file.
struct Run {
    guest: u64,
    host: u64,
    len: u64,
}

impl<W: Write + Seek> Qcow2Writer<W> {
    /// Begins a file at the current end of `out`, which must be empty.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(mut out: W) -> Result<Self, Qcow2Error> {
        out.write_all(&[0; CLUSTER]).map_err(Qcow2Error::Write)?;
        Ok(Self { out, clusters: 1, runs: Vec::new(), raw_size: 0 })
    }

    /// Adds what follows on the disk.
    ///
    /// # Errors
    /// When events are missing or out of order, or `out` cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<(), Qcow2Error> {
        let (offset, len) = match event {
            Event::Data { offset, bytes, .. } => (*offset, bytes.len() as u64),
            Event::Zero { offset, len } => (*offset, *len),
        };
        if offset != self.raw_size || offset % CLUSTER_LEN != 0 {
            return Err(Qcow2Error::Order { offset, expected: self.raw_size });
        }
        if let Event::Data { bytes, .. } = event {
            self.data(offset / CLUSTER_LEN, bytes)?;
        }
        self.raw_size += len;
        Ok(())
    }

    /// Writes tables and header, and gives `out` back.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn finish(mut self) -> Result<W, Qcow2Error> {
        let tables = self.raw_size.div_ceil(CLUSTER_LEN).div_ceil(ENTRIES);
        let mut l1 = Vec::new();
        for table in 0..tables {
            l1.push(self.l2_table(table)?);
        }
        let l1_offset = self.table(&l1)?;
        let (refcounts, refcount_clusters) = self.refcounts()?;
        let mut header = Vec::with_capacity(CLUSTER);
        header.extend_from_slice(b"QFI\xFB");
        header.extend_from_slice(&3u32.to_be_bytes());
        header.extend_from_slice(&[0; 12]); // no backing file
        header.extend_from_slice(&CLUSTER.ilog2().to_be_bytes());
        header.extend_from_slice(&self.raw_size.next_multiple_of(512).to_be_bytes());
        header.extend_from_slice(&[0; 4]); // not encrypted
        header.extend_from_slice(&(l1.len() as u32).to_be_bytes());
        header.extend_from_slice(&l1_offset.to_be_bytes());
        header.extend_from_slice(&refcounts.to_be_bytes());
        header.extend_from_slice(&(refcount_clusters as u32).to_be_bytes());
        header.extend_from_slice(&[0; 12]); // no snapshots
        header.extend_from_slice(&[0; 24]); // no features
        header.extend_from_slice(&REFCOUNT_ORDER.to_be_bytes());
        header.extend_from_slice(&HEADER_LEN.to_be_bytes());
        self.out.seek(SeekFrom::Start(0)).map_err(Qcow2Error::Write)?;
        self.out.write_all(&header).map_err(Qcow2Error::Write)?;
        self.out.seek(SeekFrom::End(0)).map_err(Qcow2Error::Write)?;
        self.out.flush().map_err(Qcow2Error::Write)?;
        Ok(self.out)
    }

    fn data(&mut self, guest: u64, bytes: &[u8]) -> Result<(), Qcow2Error> {
        let host = self.clusters;
        let len = self.append(bytes)?;
        match self.runs.last_mut() {
            Some(run) if run.guest + run.len == guest && run.host + run.len == host => run.len += len,
            _ => self.runs.push(Run { guest, host, len }),
        }
        Ok(())
    }

    /// Writes the table for the clusters from `table` times [`ENTRIES`] on, unless none of them has data; gives its
    /// entry in the first table.
    fn l2_table(&mut self, table: u64) -> Result<u64, Qcow2Error> {
        let first = table * ENTRIES;
        let mut entries = vec![0; ENTRIES as usize];
        let mut used = false;
        // Runs are in ascending order.
        let from = self.runs.partition_point(|run| run.guest + run.len <= first);
        for run in self.runs[from..].iter().take_while(|run| run.guest < first + ENTRIES) {
            for guest in run.guest.max(first)..(run.guest + run.len).min(first + ENTRIES) {
                entries[(guest - first) as usize] = ((run.host + guest - run.guest) * CLUSTER_LEN) | COPIED;
                used = true;
            }
        }
        if used { Ok(self.table(&entries)? | COPIED) } else { Ok(0) }
    }

    /// Writes reference counts of 1 for all clusters, those of the counts included; gives the offset of the table and
    /// its length in clusters.
    fn refcounts(&mut self) -> Result<(u64, u64), Qcow2Error> {
        let (mut blocks, mut tables) = (0, 0);
        let total = loop {
            let total = self.clusters + blocks + tables;
            let needed = total.div_ceil(REFCOUNTS);
            if needed == blocks && needed.div_ceil(ENTRIES) == tables {
                break total;
            }
            (blocks, tables) = (needed, needed.div_ceil(ENTRIES));
        };
        let first = self.clusters;
        for block in 0..blocks {
            let ones = (total - block * REFCOUNTS).min(REFCOUNTS) as usize;
            let mut counts = 1u16.to_be_bytes().repeat(ones);
            counts.resize(CLUSTER, 0);
            self.append(&counts)?;
        }
        let offsets: Vec<u64> = (first..first + blocks).map(|cluster| cluster * CLUSTER_LEN).collect();
        Ok((self.table(&offsets)?, tables))
    }

    /// Appends numbers, and gives their offset.
    fn table(&mut self, entries: &[u64]) -> Result<u64, Qcow2Error> {
        let offset = self.clusters * CLUSTER_LEN;
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        self.append(&bytes)?;
        Ok(offset)
    }

    /// Writes whole clusters, the last filled up with zeros; says how many.
    fn append(&mut self, bytes: &[u8]) -> Result<u64, Qcow2Error> {
        let len = bytes.len().next_multiple_of(CLUSTER);
        self.out.write_all(bytes).map_err(Qcow2Error::Write)?;
        self.out.write_all(&vec![0; len - bytes.len()]).map_err(Qcow2Error::Write)?;
        let clusters = (len / CLUSTER) as u64;
        self.clusters += clusters;
        Ok(clusters)
    }
}

/// Why a qcow2 file was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Qcow2Error {
    /// The sink failed.
    #[error("writing the qcow2 file")]
    Write(#[source] io::Error),
    /// An event does not continue the image.
    #[error("the image goes on at byte {offset} instead of {expected}")]
    Order {
        /// Of the event.
        offset: u64,
        /// The end of those before.
        expected: u64,
    },
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
