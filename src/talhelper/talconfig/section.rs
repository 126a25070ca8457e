//! Reading mappings strictly: every key is known or reported, every value is of its kind or reported.

use std::cell::RefCell;

use crate::talhelper::error::Finding;
use crate::yaml::{self, At, Emit, Entry, Node, Resolved, Value};

/// Collects what is wrong while the file is read to its end.
pub(in crate::talhelper) struct Findings<'a> {
    found: RefCell<Vec<Finding>>,
    line_before: &'a dyn Fn(usize) -> usize,
}

impl<'a> Findings<'a> {
    /// `line_before` gives the line of the file for a line of the text that is read.
    pub(in crate::talhelper) fn new(line_before: &'a dyn Fn(usize) -> usize) -> Self {
        Self { found: RefCell::default(), line_before }
    }

    pub(in crate::talhelper) fn mistake(&self, at: At, text: impl Into<String>) {
        self.push(at, text.into(), false);
    }

    pub(in crate::talhelper) fn unsupported(&self, at: At, what: &str) {
        self.push(at, format!("{what} is not supported here"), true);
    }

    pub(in crate::talhelper) fn line(&self, at: At) -> usize {
        (self.line_before)(at.line)
    }

    /// All findings, in the order of the file.
    pub(in crate::talhelper) fn finish(self) -> Vec<Finding> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|finding| finding.line);
        found.dedup();
        found
    }

    fn push(&self, at: At, text: String, unsupported: bool) {
        let line = self.line(at);
        self.found.borrow_mut().push(Finding { line, text, unsupported });
    }
}

/// One mapping with the path that leads to it.
pub(in crate::talhelper) struct Section<'a, 'n> {
    findings: &'a Findings<'a>,
    node: &'n Node,
    path: String,
}

impl<'a, 'n> Section<'a, 'n> {
    /// Takes a mapping and reports its unknown keys; null is an empty mapping, anything else is reported.
    pub(in crate::talhelper) fn new(findings: &'a Findings<'a>, node: &'n Node, path: String, known: &[&str]) -> Self {
        let section = Self { findings, node, path };
        if !node.is_null() && node.as_map().is_none() {
            section.findings.mistake(node.at, format!("{} must be a mapping, not {}", section.named(), node.kind()));
        }
        for entry in section.entries() {
            if !known.contains(&entry.key.as_str()) {
                section.unknown(entry, known);
            }
        }
        section
    }

    fn unknown(&self, entry: &Entry, known: &[&str]) {
        let meant = yaml::nearest(&entry.key, known.iter().copied());
        let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        let text = format!("unknown key {:?} in {}{meant}", entry.key, self.named());
        self.findings.mistake(entry.key_at, text);
    }

    pub(in crate::talhelper) fn at(&self) -> At {
        self.node.at
    }

    pub(in crate::talhelper) fn findings(&self) -> &'a Findings<'a> {
        self.findings
    }

    pub(in crate::talhelper) fn path(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    fn named(&self) -> &str {
        match self.path.as_str() {
            "" => "talconfig",
            path => path,
        }
    }

    pub(in crate::talhelper) fn entries(&self) -> &'n [Entry] {
        self.node.as_map().unwrap_or_default()
    }

    /// The value, unless it is absent or null.
    pub(in crate::talhelper) fn get(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// Where a key's value stands, or else the mapping.
    pub(in crate::talhelper) fn at_key(&self, key: &str) -> At {
        self.node.get(key).map_or(self.node.at, |node| node.at)
    }

    /// Reports a feature by its key if it is used.
    pub(in crate::talhelper) fn refuse(&self, keys: &[&str]) {
        for entry in self.entries() {
            if keys.contains(&entry.key.as_str()) && !entry.value.is_null() {
                self.findings.unsupported(entry.key_at, &self.path(&entry.key));
            }
        }
    }

    pub(in crate::talhelper) fn mistake(&self, key: &str, text: &str) {
        self.findings.mistake(self.at_key(key), format!("{} {text}", self.path(key)));
    }

    fn wrong(&self, key: &str, node: &Node, wanted: &str) {
        let text = format!("{} must be {wanted}, not {}", self.path(key), node.kind());
        self.findings.mistake(node.at, text);
    }

    /// Any scalar as text, as Go puts numbers and booleans into string fields; "" when absent.
    pub(in crate::talhelper) fn text(&self, key: &str) -> String {
        let Some(node) = self.get(key) else {
            return String::new();
        };
        match node.as_scalar() {
            Some(scalar) => scalar.text.clone(),
            None => {
                self.wrong(key, node, "a string");
                String::new()
            }
        }
    }

    pub(in crate::talhelper) fn required(&self, key: &str) -> String {
        let text = self.text(key);
        if text.is_empty() && self.get(key).is_none_or(|node| node.as_scalar().is_some()) {
            self.findings.mistake(self.at_key(key), format!("{} is missing", self.path(key)));
        }
        text
    }

    /// A boolean, with the words of YAML 1.1 that Go takes for a boolean field; false when absent.
    pub(in crate::talhelper) fn boolean(&self, key: &str) -> bool {
        let Some(node) = self.get(key) else {
            return false;
        };
        match (node.resolved(), node.as_scalar().map(|scalar| scalar.text.as_str())) {
            (Some(Resolved::Bool(value)), _) => value,
            (_, Some("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON")) => true,
            (_, Some("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF")) => false,
            _ => {
                self.wrong(key, node, "true or false");
                false
            }
        }
    }

    /// A whole number; 0 when absent.
    pub(in crate::talhelper) fn number(&self, key: &str) -> u32 {
        let Some(node) = self.get(key) else { return 0 };
        let number = match node.resolved() {
            Some(Resolved::Int(value)) => u32::try_from(value).ok(),
            _ => None,
        };
        number.unwrap_or_else(|| {
            self.wrong(key, node, "a whole number");
            0
        })
    }

    /// The items of a list; `None` when absent, so that an empty list can replace a group's.
    pub(in crate::talhelper) fn list(&self, key: &str) -> Option<&'n [Node]> {
        let node = self.get(key)?;
        if node.as_list().is_none() {
            self.wrong(key, node, "a list");
        }
        Some(node.as_list().unwrap_or_default())
    }

    /// A list of strings, each with its place.
    pub(in crate::talhelper) fn placed_texts(&self, key: &str) -> Option<Vec<(String, At)>> {
        let items = self.list(key)?.iter().enumerate();
        let texts = items.filter(|(_, item)| !item.is_null()).filter_map(|(index, item)| {
            let text = item.as_scalar().map(|scalar| (scalar.text.clone(), item.at));
            if text.is_none() {
                self.wrong(&format!("{key}[{index}]"), item, "a string");
            }
            text
        });
        Some(texts.collect())
    }

    /// A list of strings.
    pub(in crate::talhelper) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let texts = self.placed_texts(key)?;
        Some(texts.into_iter().map(|(text, _)| text).collect())
    }

    /// A mapping of strings.
    pub(in crate::talhelper) fn pairs(&self, key: &str) -> Option<Vec<(String, String)>> {
        let node = self.get(key)?;
        let Some(entries) = node.as_map() else {
            self.wrong(key, node, "a mapping");
            return Some(Vec::new());
        };
        let pairs = entries.iter().filter_map(|entry| match entry.value.as_scalar() {
            Some(_) if entry.value.is_null() => Some((entry.key.clone(), String::new())),
            Some(scalar) => Some((entry.key.clone(), scalar.text.clone())),
            None => {
                self.wrong(&format!("{key}.{}", entry.key), &entry.value, "a string");
                None
            }
        });
        Some(pairs.collect())
    }

    /// A mapping below this one.
    pub(in crate::talhelper) fn section(&self, key: &str, known: &[&str]) -> Option<Section<'a, 'n>> {
        let node = self.get(key)?;
        Some(Section::new(self.findings, node, self.path(key), known))
    }

    /// The mappings of a list.
    pub(in crate::talhelper) fn sections(&self, key: &str, known: &[&str]) -> Option<Vec<Section<'a, 'n>>> {
        let items = self.list(key)?.iter().enumerate();
        let sections = items
            .filter(|(_, item)| !item.is_null())
            .map(|(index, item)| Section::new(self.findings, item, format!("{}[{index}]", self.path(key)), known));
        Some(sections.collect())
    }

    /// The value as it is, to be checked where it ends up.
    pub(in crate::talhelper) fn raw(&self, key: &str) -> Option<Emit> {
        self.get(key).map(as_written)
    }
}

/// A value to be written again with the same meaning.
pub(in crate::talhelper) fn as_written(node: &Node) -> Emit {
    match &node.value {
        Value::List(items) => Emit::List(items.iter().map(as_written).collect()),
        Value::Map(entries) => {
            let pair = |entry: &Entry| (entry.key.clone(), as_written(&entry.value));
            Emit::Map(entries.iter().map(pair).collect())
        }
        Value::Scalar(scalar) => match scalar.resolved() {
            Resolved::Null => Emit::Bare("null".into()),
            Resolved::Bool(value) => Emit::Bare(value.to_string()),
            Resolved::Int(value) => Emit::Bare(value.to_string()),
            Resolved::Float(_) | Resolved::Timestamp => Emit::Bare(scalar.text.clone()),
            Resolved::Merge | Resolved::Text => Emit::Text(scalar.text.clone()),
        },
    }
}
