//! What Talos' documents look like: kinds, fields, their types and how they merge.

pub(crate) mod bytes;
pub(crate) mod duration;
mod model;
mod table;
pub(crate) mod text;
pub(crate) mod url;

pub(crate) use model::{Field, Kind, ListMerge, Struct, TextKind, Type};
pub(crate) use table::KINDS;

/// The kind of that name; `v1alpha1` is the document without a kind.
pub(crate) fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.kind == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_three_releases_is_known() {
        let since = |release| KINDS.iter().filter(|kind| kind.since == release).count();
        assert_eq!((since(12), since(13), since(14)), (37, 8, 45));
        assert!(kind("LinkConfig").is_some_and(|kind| kind.named));
        assert!(kind("FooConfig").is_none());
    }

    #[test]
    fn every_document_but_the_first_starts_with_its_identity() {
        for kind in KINDS.iter().filter(|kind| kind.kind != "v1alpha1") {
            let names: Vec<_> = kind.body.fields.iter().map(|field| field.name).collect();
            assert_eq!(names[..2], ["apiVersion", "kind"], "{}", kind.kind);
            assert_eq!(kind.named, names.get(2) == Some(&"name"), "{}", kind.kind);
        }
    }
}
