//! Where in a value something is.

use std::fmt;

/// A way from the root of a value: `flash.ssh.port`, `routes[0].network`, `environment["A"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into an attribute of an object.
    Attribute(String),
    /// Into an entry of a map.
    Key(String),
    /// Into an element of a list, from 0.
    Index(usize),
}

impl Path {
    /// The whole value.
    pub fn root() -> Self {
        Self::default()
    }

    /// The way to an attribute of what is here.
    #[must_use]
    pub fn attribute(&self, name: impl Into<String>) -> Self {
        self.step(Step::Attribute(name.into()))
    }

    /// The way to a map entry of what is here.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// The way to a list element of what is here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// The way one step further.
    #[must_use]
    pub fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the whole value.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The part that Terraform (before 1.16) can point at in a source file: an attribute, and one index or key after it.
    /// Deeper paths make it point at the whole resource only.
    #[must_use]
    pub fn pointable(&self) -> Self {
        let length = match self.0.get(1) {
            Some(Step::Key(_) | Step::Index(_)) => 2,
            _ => 1,
        };
        Self(self.0.iter().take(length).cloned().collect())
    }
}

/// Reads a path as [`Display`](fmt::Display) writes it. What cannot be read as an index or a key counts as a name.
impl From<&str> for Path {
    fn from(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((step, after)) = bracket(rest) {
                steps.push(step);
                rest = after;
            } else {
                rest = rest.strip_prefix('.').unwrap_or(rest);
                let end =
                    rest.char_indices().skip(1).find(|(_, c)| matches!(c, '.' | '[')).map_or(rest.len(), |(at, _)| at);
                steps.push(Step::Attribute(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        Self(steps)
    }
}

fn bracket(text: &str) -> Option<(Step, &str)> {
    let inner = text.strip_prefix('[')?;
    if let Some(quoted) = inner.strip_prefix('"') {
        let (key, rest) = quoted.split_once("\"]")?;
        return Some((Step::Key(key.to_owned()), rest));
    }
    let (index, rest) = inner.split_once(']')?;
    Some((Step::Index(index.parse().ok()?), rest))
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        path.clone()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if at == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[\"{key}\"]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for text in ["", "a", "a.b.c", "a[0].b", "a[\"k.l]\"].b[2]", "a[0][1]"] {
            assert_eq!(Path::from(text).to_string(), text);
        }
        let built = Path::root().attribute("a").key("k").index(3).attribute("b");
        assert_eq!(Path::from("a[\"k\"][3].b"), built);
    }

    #[test]
    fn what_is_no_index_counts_as_a_name() {
        assert_eq!(Path::from("a[x"), Path::root().attribute("a").attribute("[x"));
    }

    #[test]
    fn a_host_can_point_at_an_attribute_and_one_element_of_it() {
        for (full, pointable) in [("a", "a"), ("a.b", "a"), ("a[1].b", "a[1]"), ("a[\"k\"].b.c", "a[\"k\"]"), ("", "")]
        {
            assert_eq!(Path::from(full).pointable(), Path::from(pointable), "{full}");
        }
    }
}
