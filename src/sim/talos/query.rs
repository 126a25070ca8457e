//! Which resources a List or a Watch is about: label terms and a pattern for ids (cosi-project/runtime v1.12
//! pkg/resource/labels.go, pkg/state/protobuf/server/helpers.go).

use std::collections::HashMap;

use regex::Regex;
use tonic::Status;

use crate::wire::cosi::{IdQuery, LabelQuery, LabelTerm, Metadata, Resource, label_term::Operation};

/// A query that can be asked.
#[derive(Debug, Default)]
pub struct Query {
    labels: Vec<LabelQuery>,
    id: Option<Regex>,
}

impl Query {
    /// Reads what a client asks for.
    pub fn of(labels: Vec<LabelQuery>, id: Option<IdQuery>) -> Result<Self, Status> {
        let unknown = |term: &&LabelTerm| Operation::try_from(term.op).is_err();
        if let Some(term) = labels.iter().flat_map(|query| &query.terms).find(unknown) {
            return Err(Status::unimplemented(format!("unsupported label query operator: {}", term.op)));
        }
        let pattern = id.map(|query| query.regexp).filter(|pattern| !pattern.is_empty());
        let id = pattern.map(|pattern| Regex::new(&pattern)).transpose();
        let id = id.map_err(|error| Status::invalid_argument(format!("failed to compile regexp: {error}")))?;
        Ok(Self { labels, id })
    }

    /// Whether it is about a resource: one query is enough, of which all terms must hold.
    pub fn keeps(&self, resource: &Resource) -> bool {
        let nothing = Metadata::default();
        let metadata = resource.metadata.as_ref().unwrap_or(&nothing);
        let labels = &metadata.labels;
        let fits = |query: &LabelQuery| query.terms.iter().all(|term| holds(term, labels));
        self.id.as_ref().is_none_or(|id| id.is_match(&metadata.id))
            && (self.labels.is_empty() || self.labels.iter().any(fits))
    }
}

fn holds(term: &LabelTerm, labels: &HashMap<String, String>) -> bool {
    let value = labels.get(&term.key);
    let first = term.value.first();
    let numbers = || Some((number(value?)?, number(first?)?));
    // A comparison with what is not there is false, and so is its opposite.
    let plain = match term.op() {
        Operation::Exists => Some(value.is_some()),
        Operation::NotExists => return value.is_none(),
        Operation::Equal => Some(value.is_some() && value == first),
        Operation::In => Some(value.is_some_and(|value| term.value.contains(value))),
        Operation::Lt => value.map(|value| first.is_some_and(|first| value < first)),
        Operation::Lte => value.map(|value| first.is_some_and(|first| value <= first)),
        Operation::LtNumeric => numbers().map(|(a, b)| a < b),
        Operation::LteNumeric => numbers().map(|(a, b)| a <= b),
    };
    plain.is_some_and(|plain| plain != term.invert)
}

/// A number, which may have a unit.
fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let power = |letter: u8| b"kmgtp".iter().position(|known| *known == letter).map(|at| at as u32 + 1);
    let factor = match unit.as_bytes() {
        [] => 1,
        [letter, b'i', ..] => 1024i64.pow(power(*letter)?),
        [letter, ..] => 1000i64.pow(power(*letter)?),
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: &str, labels: &[(&str, &str)]) -> Resource {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Resource { metadata: Some(Metadata { id: id.to_owned(), labels, ..Metadata::default() }), spec: None }
    }

    fn term(key: &str, op: Operation, value: &str, invert: bool) -> LabelQuery {
        let value = if value.is_empty() { Vec::new() } else { value.split(',').map(str::to_owned).collect() };
        LabelQuery { terms: vec![LabelTerm { key: key.to_owned(), op: op.into(), value, invert }] }
    }

    #[test]
    fn labels_select_as_in_cosi() {
        let labelled = resource("a", &[("zone", "b"), ("size", "2Gi")]);
        let table = [
            (term("zone", Operation::Exists, "", false), true),
            (term("zone", Operation::Exists, "", true), false),
            (term("other", Operation::NotExists, "", false), true),
            (term("zone", Operation::Equal, "b", false), true),
            (term("zone", Operation::Equal, "c", true), true),
            (term("zone", Operation::In, "a,b", false), true),
            (term("zone", Operation::Lt, "c", false), true),
            (term("size", Operation::LtNumeric, "3000M", false), true),
            (term("size", Operation::LteNumeric, "2Gi", false), true),
            (term("other", Operation::Lt, "c", false), false),
            (term("other", Operation::Lt, "c", true), false),
            (term("other", Operation::Equal, "c", true), true),
        ];
        for (query, expected) in table {
            let shown = format!("{query:?}");
            assert_eq!(Query::of(vec![query], None).expect("a query").keeps(&labelled), expected, "{shown}");
        }
    }

    #[test]
    fn one_of_several_queries_is_enough_and_the_id_counts_too() {
        let queries = vec![term("zone", Operation::Equal, "a", false), term("zone", Operation::Equal, "b", false)];
        let id = Some(IdQuery { regexp: "^eth".to_owned() });
        let query = Query::of(queries, id).expect("a query");
        assert!(query.keeps(&resource("eth0", &[("zone", "b")])));
        assert!(!query.keeps(&resource("lo", &[("zone", "b")])));
        assert!(!query.keeps(&resource("eth0", &[("zone", "c")])));
        let broken = Query::of(Vec::new(), Some(IdQuery { regexp: "(".to_owned() })).expect_err("no pattern");
        assert_eq!(broken.code(), tonic::Code::InvalidArgument);
    }
}
