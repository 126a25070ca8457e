//! Takes the sandbox's own path out of what commands print, so that a client sees `/dev/sda`.

/// Removes one byte string from a stream, also where it straddles two chunks.
#[derive(Debug)]
pub struct PathFilter {
    needle: Vec<u8>,
    held: Vec<u8>,
}

impl PathFilter {
    /// A filter for one path.
    pub fn new(path: &str) -> Self {
        Self { needle: path.as_bytes().to_vec(), held: Vec::new() }
    }

    /// What may go on of the bytes so far.
    pub fn pass(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(chunk);
        let mut out = Vec::with_capacity(text.len());
        let mut rest = &text[..];
        while let Some(at) = find(rest, &self.needle) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + self.needle.len()..];
        }
        let keep = (1..self.needle.len().min(rest.len() + 1))
            .rev()
            .find(|length| rest.ends_with(&self.needle[..*length]))
            .unwrap_or_default();
        out.extend_from_slice(&rest[..rest.len() - keep]);
        self.held = rest[rest.len() - keep..].to_vec();
        out
    }

    /// What was held back and turned out not to be the path.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == first) {
        if text[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_goes_wherever_the_chunks_break() {
        let text = b"size of /tmp/x/rescue/dev/sda and /tmp/y";
        for cut in 0..text.len() {
            let mut filter = PathFilter::new("/tmp/x/rescue");
            let mut out = filter.pass(&text[..cut]);
            out.extend(filter.pass(&text[cut..]));
            out.extend(filter.finish());
            assert_eq!(out, b"size of /dev/sda and /tmp/y", "cut at {cut}");
        }
    }
}
