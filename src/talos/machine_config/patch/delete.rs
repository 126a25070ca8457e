//! `$patch: delete`: finding it in a patch, and deleting what it points at (Talos v1.12.11
//! `configloader/internal/decoder`, `delete.go` and `selector.go`).

use super::super::types::{Struct, TextKind, Type};
use super::super::yaml::{Entry, Node, Scalar, Value};

/// One thing to delete from one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    /// The document's kind; `v1alpha1` for the one without.
    pub(super) kind: String,
    /// The version of its kind; there is only one, and another selects nothing.
    pub(super) api_version: String,
    /// The document's name, if the patch gives one.
    pub(super) name: Option<String>,
    /// Keys from the root; an item of a list is the last one, as `[index]`. Empty for the whole document.
    pub(super) path: Vec<String>,
    /// For an item of a list: the key and the value that tell which.
    item: Option<(String, String)>,
}

impl Selector {
    pub(super) fn path(&self) -> String {
        self.path.join(".")
    }

    /// Deletes from a document of its kind.
    pub(super) fn apply(&self, body: &'static Struct, root: &mut Node) -> Result<(), &'static str> {
        let Some((first, rest)) = self.path.split_first() else { return Ok(()) };
        self.delete_field(body, root, first, rest)
    }

    fn delete_field(&self, body: &Struct, node: &mut Node, key: &str, rest: &[String]) -> Result<(), &'static str> {
        // These have no tags that the search could go by.
        let searchable = !body.name.starts_with("PEMEncoded");
        let field = body.field(key).filter(|_| searchable).ok_or(LOOKUP_FAILED)?;
        if rest.is_empty() {
            if let Value::Mapping(entries) = &mut node.value {
                entries.retain(|entry| entry.key.as_str() != Some(key));
            }
            return Ok(());
        }
        self.delete_below(field.ty, node.get_mut(key), rest)
    }

    fn delete_below(&self, ty: Type, node: Option<&mut Node>, path: &[String]) -> Result<(), &'static str> {
        let (Some((key, rest)), Some(node)) = (path.split_first(), node.filter(|node| !node.is_null())) else {
            // A struct that is part of another one is there even when nothing in it is set.
            return match (ty, path.split_first()) {
                (Type::Struct(body), Some((key, rest))) => {
                    self.delete_field(body, &mut Node::new(Value::Mapping(Vec::new())), key, rest)
                }
                _ => Err(LOOKUP_FAILED),
            };
        };
        match ty {
            Type::Pointer(inner) => self.delete_below(*inner, Some(node), path),
            Type::Struct(body) => self.delete_field(body, node, key, rest),
            Type::Map(inner) => self.delete_key(*inner, node, key, rest),
            Type::Unstructured | Type::Args => self.delete_key(Type::Any, node, key, rest),
            Type::Any if node.as_mapping().is_some() => self.delete_key(Type::Any, node, key, rest),
            Type::List(inner, _) if rest.is_empty() => self.delete_item(*inner, node),
            Type::List(..) => Err("searching for complex paths in lists is not supported"),
            _ => Err(LOOKUP_FAILED),
        }
    }

    fn delete_key(&self, inner: Type, node: &mut Node, key: &str, rest: &[String]) -> Result<(), &'static str> {
        let Value::Mapping(entries) = &mut node.value else { return Err(LOOKUP_FAILED) };
        let position = entries.iter().position(|entry| entry.key.as_str() == Some(key)).ok_or(LOOKUP_FAILED)?;
        if rest.is_empty() {
            entries.remove(position);
            return Ok(());
        }
        self.delete_below(inner, Some(&mut entries[position].value), rest)
    }

    fn delete_item(&self, inner: Type, node: &mut Node) -> Result<(), &'static str> {
        let body = match inner {
            Type::Struct(body) => body,
            Type::Pointer(Type::Struct(body)) => *body,
            _ => return Err(LOOKUP_FAILED),
        };
        let (Value::Sequence(items), Some((key, wanted))) = (&mut node.value, &self.item) else {
            return Err(LOOKUP_FAILED);
        };
        let field = body.field(key).ok_or(LOOKUP_FAILED)?;
        let position = items.iter().position(|item| is_written_as(field.ty, item.get(key), wanted));
        items.remove(position.ok_or(LOOKUP_FAILED)?);
        Ok(())
    }
}

pub(super) const LOOKUP_FAILED: &str = "lookup failed";

/// Takes the deletes out of a patch document. `true` when nothing but its identity is left of it.
pub(super) fn take(root: &mut Node, selectors: &mut Vec<Selector>) -> Result<bool, String> {
    if root.as_mapping().is_none() {
        return Ok(false);
    }
    let identity = Identity::of(root);
    let mut walk = Walk { identity, path: Vec::new(), selectors };
    let deleted = walk.mapping(root, Parent::Document)?;
    Ok(deleted || is_only_identity(root))
}

struct Identity {
    api_version: Option<String>,
    kind: Option<String>,
    name: Option<String>,
}

impl Identity {
    fn of(root: &Node) -> Self {
        let text = |key| root.get(key).and_then(Node::as_scalar).map(|scalar| scalar.text.clone());
        let text = |key| text(key).filter(|text| !text.is_empty());
        Self { api_version: text("apiVersion"), kind: text("kind"), name: text("name") }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Parent {
    Document,
    Mapping,
    Sequence,
}

struct Walk<'a> {
    identity: Identity,
    path: Vec<String>,
    selectors: &'a mut Vec<Selector>,
}

impl Walk<'_> {
    /// Whether the node is to be removed from its parent.
    fn node(&mut self, node: &mut Node, parent: Parent) -> Result<bool, String> {
        match &node.value {
            // What an alias stands for is not looked into.
            _ if node.origin.alias => Ok(false),
            Value::Mapping(_) => self.mapping(node, parent),
            Value::Sequence(_) => self.sequence(node),
            Value::Scalar(_) => Ok(false),
        }
    }

    fn mapping(&mut self, node: &mut Node, parent: Parent) -> Result<bool, String> {
        let Value::Mapping(entries) = &mut node.value else { return Ok(false) };
        let mut index = 0;
        while index < entries.len() {
            if is_delete(&entries[index]) {
                self.select(entries, parent)?;
                return Ok(true);
            }
            let entry = &mut entries[index];
            self.path.push(entry.key.as_scalar().map_or_else(String::new, |key| key.text.clone()));
            let delete = self.node(&mut entry.value, Parent::Mapping)?;
            self.path.pop();
            if !delete {
                index += 1;
                continue;
            }
            entries.remove(index);
            if entries.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sequence(&mut self, node: &mut Node) -> Result<bool, String> {
        let Value::Sequence(items) = &mut node.value else { return Ok(false) };
        let mut index = 0;
        while index < items.len() {
            self.path.push(format!("[{index}]"));
            let delete = self.node(&mut items[index], Parent::Sequence)?;
            self.path.pop();
            if !delete {
                index += 1;
                continue;
            }
            items.remove(index);
            if items.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn select(&mut self, entries: &[Entry], parent: Parent) -> Result<(), String> {
        let path = self.path.join(".");
        if parent != Parent::Sequence && self.path.iter().any(|part| part.starts_with('[')) {
            return Err(format!("cannot delete an inner key in '{path}'"));
        }
        let item = match parent {
            Parent::Sequence => Some(
                entries
                    .iter()
                    .find(|entry| !is_delete(entry))
                    .map(|entry| (scalar_text(&entry.key), scalar_text(&entry.value)))
                    .ok_or_else(|| {
                        format!("no key and value beside $patch: delete tell which item of {path} to delete")
                    })?,
            ),
            _ => None,
        };
        let identity = &self.identity;
        if self.path.is_empty() {
            for (key, value) in [("apiVersion", &identity.api_version), ("kind", &identity.kind)] {
                if value.is_none() {
                    return Err(format!("missing {key} in document for which $patch: delete is used"));
                }
            }
        }
        if identity.kind.is_some() != identity.api_version.is_some() {
            return Err(format!("kind and apiVersion must be both set for path {path}"));
        }
        self.selectors.push(Selector {
            kind: identity.kind.clone().unwrap_or_else(|| "v1alpha1".into()),
            api_version: identity.api_version.clone().unwrap_or_else(|| "v1alpha1".into()),
            name: identity.name.clone(),
            path: self.path.clone(),
            item,
        });
        Ok(())
    }
}

fn is_delete(entry: &Entry) -> bool {
    let is = |node: &Node, text: &str| node.as_scalar().is_some_and(|scalar| scalar.text == text);
    is(&entry.key, "$patch") && is(&entry.value, "delete")
}

fn scalar_text(node: &Node) -> String {
    node.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default()
}

fn is_only_identity(root: &Node) -> bool {
    root.as_mapping().is_some_and(|entries| {
        entries.iter().all(|entry| {
            let key = entry.key.as_str();
            entry.value.as_scalar().is_some() && matches!(key, Some("version" | "kind" | "name"))
        })
    })
}

/// Whether Go would print the field as that text.
fn is_written_as(ty: Type, value: Option<&Node>, wanted: &str) -> bool {
    let text = value.and_then(Node::as_scalar).map(|Scalar { text, .. }| text.as_str());
    match ty {
        Type::Str | Type::Text(TextKind::Manifest) => text.unwrap_or_default() == wanted,
        Type::Text(
            TextKind::Address
            | TextKind::AddressPort
            | TextKind::Prefix
            | TextKind::Hardware
            | TextKind::Cel
            | TextKind::FileMode
            | TextKind::Url
            | TextKind::Duration,
        ) => text == Some(wanted),
        Type::Text(TextKind::Enum(_)) => {
            super::super::decode::zero(ty).as_str().is_some_and(|zero| text.unwrap_or(zero) == wanted)
        }
        // Ports print as a range, even a single one.
        Type::Text(TextKind::PortRange) => text.is_some_and(|text| match text.split_once('-') {
            Some(_) => text == wanted,
            None => format!("{text}-{text}") == wanted,
        }),
        _ => false,
    }
}
