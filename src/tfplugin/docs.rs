//! Registry pages from schemas, laid out as the Terraform and OpenTofu registries render them.

use super::{
    function::{Parameter, Signature},
    json,
    provider::Provider,
    schema::{Attribute, Kind, Nesting, Schema},
    types::Type,
    value::Value,
};

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Under `docs/`, such as `resources/node.md`.
    pub path: String,
    /// Markdown with front matter.
    pub content: String,
}

/// All pages of a provider of this name, in order of their paths.
///
/// `example` is asked for what a page shows beside its schema, by conventional paths: `provider/provider.tf`,
/// `resources/TYPE/resource.tf`, `resources/TYPE/import.sh`, `data-sources/TYPE/data-source.tf`,
/// `ephemeral-resources/TYPE/ephemeral-resource.tf` and `functions/NAME/function.tf`. What there is not is left out.
pub fn pages(name: &str, provider: &dyn Provider, example: &dyn Fn(&str) -> Option<String>) -> Vec<Page> {
    let site = Site { name, example };
    let mut pages = vec![site.index(&provider.schema())];
    for (of, resource) in provider.resources() {
        pages.push(site.page(&RESOURCE, of, &resource.schema()));
    }
    for (of, source) in provider.data_sources() {
        pages.push(site.page(&DATA_SOURCE, of, &source.schema()));
    }
    for (of, ephemeral) in provider.ephemeral_resources() {
        pages.push(site.page(&EPHEMERAL_RESOURCE, of, &ephemeral.schema()));
    }
    for (of, function) in provider.functions() {
        pages.push(site.function(of, &function.signature()));
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    pages
}

struct Site<'a> {
    name: &'a str,
    example: &'a dyn Fn(&str) -> Option<String>,
}

/// A kind of thing that has a schema.
struct Sort {
    folder: &'static str,
    title: &'static str,
    file: &'static str,
}

const RESOURCE: Sort = Sort { folder: "resources", title: "Resource", file: "resource.tf" };
const DATA_SOURCE: Sort = Sort { folder: "data-sources", title: "Data Source", file: "data-source.tf" };
const EPHEMERAL_RESOURCE: Sort =
    Sort { folder: "ephemeral-resources", title: "Ephemeral Resource", file: "ephemeral-resource.tf" };

/// The groups of a schema's attributes, and what belongs to each.
const GROUPS: [(&str, Belongs); 3] = [
    ("Required", |attribute| attribute.required),
    ("Optional", |attribute| attribute.optional),
    ("Read-Only", Attribute::is_read_only),
];

type Belongs = fn(&Attribute) -> bool;

impl Site<'_> {
    fn index(&self, schema: &Schema) -> Page {
        let title = format!("{} Provider", self.name);
        let mut page = Text::begin(&title, &title, &schema.description);
        page.deprecation(schema.deprecation.as_deref());
        page.code("Example Usage", "terraform", (self.example)("provider/provider.tf"));
        page.schema(&schema.attributes);
        Page { path: "index.md".into(), content: page.end() }
    }

    fn page(&self, sort: &Sort, of: &str, schema: &Schema) -> Page {
        let title = format!("{of} {} - {}", sort.title, self.name);
        let mut page = Text::begin(&title, &format!("{of} ({})", sort.title), &schema.description);
        page.deprecation(schema.deprecation.as_deref());
        page.code("Example Usage", "terraform", (self.example)(&format!("{}/{of}/{}", sort.folder, sort.file)));
        page.schema(&schema.attributes);
        page.code("Import", "shell", (self.example)(&format!("{}/{of}/import.sh", sort.folder)));
        let short = of.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('_')).unwrap_or(of);
        Page { path: format!("{}/{short}.md", sort.folder), content: page.end() }
    }

    fn function(&self, of: &str, signature: &Signature) -> Page {
        let title = format!("{of} function - {}", self.name);
        let text = [&*signature.summary, &*signature.description].into_iter().filter(|text| !text.is_empty());
        let mut page = Text::begin(&title, &format!("function: {of}"), &text.collect::<Vec<_>>().join("\n\n"));
        page.deprecation(signature.deprecation.as_deref());
        page.code("Example Usage", "terraform", (self.example)(&format!("functions/{of}/function.tf")));
        page.signature(of, signature);
        Page { path: format!("functions/{of}.md"), content: page.end() }
    }
}

/// A page that grows.
struct Text(String);

impl Text {
    fn begin(title: &str, heading: &str, description: &str) -> Self {
        let first = description.split("\n\n").next().unwrap_or_default();
        let first = first.lines().map(|line| format!("\n  {}", line.trim())).collect::<String>();
        let front = format!("---\npage_title: {title:?}\nsubcategory: \"\"\ndescription: |-{first}\n---\n");
        let mut text = Self(front);
        text.paragraph(&format!("# {heading}"));
        text.paragraph(description);
        text
    }

    fn end(self) -> String {
        self.0
    }

    fn paragraph(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.0 += &format!("\n{}\n", text.trim());
        }
    }

    fn deprecation(&mut self, instead: Option<&str>) {
        if let Some(instead) = instead {
            self.paragraph(&format!("~> **Deprecated.** {instead}"));
        }
    }

    fn code(&mut self, heading: &str, language: &str, code: Option<String>) {
        if let Some(code) = code {
            self.paragraph(&format!("## {heading}"));
            self.paragraph(&format!("```{language}\n{}\n```", code.trim_end()));
        }
    }

    fn schema(&mut self, attributes: &[Attribute]) {
        self.paragraph("## Schema");
        self.groups(attributes, "", "### ", "");
        self.nested(attributes, &[]);
    }

    /// A section for each nested attribute, after the one that it is part of.
    fn nested(&mut self, attributes: &[Attribute], above: &[&str]) {
        for attribute in attributes.iter().filter(|attribute| !attribute.nested().is_empty()) {
            let path = [above, &[&attribute.name]].concat();
            self.paragraph(&format!("<a id=\"{}\"></a>\n### Nested Schema for `{}`", anchor(&path), path.join(".")));
            self.groups(attribute.nested(), &path.join("--"), "", ":");
            self.nested(attribute.nested(), &path);
        }
    }

    fn groups(&mut self, attributes: &[Attribute], above: &str, before: &str, after: &str) {
        for (name, belongs) in GROUPS {
            let lines: Vec<_> = attributes
                .iter()
                .filter(|attribute| belongs(attribute))
                .map(|attribute| line(attribute, above))
                .collect();
            if !lines.is_empty() {
                self.paragraph(&format!("{before}{name}{after}"));
                self.paragraph(&lines.join("\n"));
            }
        }
    }

    fn signature(&mut self, of: &str, signature: &Signature) {
        let plain = |parameter: &Parameter| format!("{} {}", parameter.name, parameter.of);
        let mut parameters: Vec<_> = signature.parameters.iter().map(plain).collect();
        parameters.extend(signature.variadic.as_ref().map(|parameter| format!("{}...", plain(parameter))));
        self.paragraph("## Signature");
        self.paragraph(&format!("```text\n{of}({}) {}\n```", parameters.join(", "), signature.returns));
        let all = signature.parameters.iter().chain(&signature.variadic);
        let lines = all.enumerate().map(|(at, parameter)| {
            let mut marks = vec![words(&parameter.of)];
            marks.extend(parameter.allow_null.then(|| "Nullable".to_owned()));
            marks.extend((at == signature.parameters.len()).then(|| "Variadic".to_owned()));
            item(&format!("{}.", at + 1), &parameter.name, &marks, &parameter.description)
        });
        let lines: Vec<_> = lines.collect();
        if !lines.is_empty() {
            self.paragraph("## Arguments");
            self.paragraph(&lines.join("\n"));
        }
    }
}

fn line(attribute: &Attribute, above: &str) -> String {
    let mut marks = vec![match &attribute.kind {
        Kind::Plain(of) => words(of),
        Kind::Nested(Nesting::Single, _) => "Attributes".into(),
        Kind::Nested(Nesting::List, _) => "Attributes List".into(),
        Kind::Nested(Nesting::Set, _) => "Attributes Set".into(),
        Kind::Nested(Nesting::Map, _) => "Attributes Map".into(),
    }];
    marks.extend(attribute.sensitive.then(|| "Sensitive".into()));
    marks.extend(attribute.write_only.then(|| "Write-only".into()));
    marks.extend(attribute.deprecation.is_some().then(|| "Deprecated".into()));
    let mut sentences = Vec::new();
    sentences.extend(Some(attribute.description.trim().to_owned()).filter(|text| !text.is_empty()));
    sentences.extend(attribute.default.as_ref().map(|default| format!("Default: `{}`.", literal(default))));
    sentences.extend(attribute.example.as_ref().map(|example| format!("Example: `{example}`.")));
    sentences.extend(attribute.requires_replace.then(|| "A change makes a new object.".into()));
    sentences.extend(attribute.deprecation.clone());
    if !attribute.nested().is_empty() {
        let path = if above.is_empty() { attribute.name.clone() } else { format!("{above}--{}", attribute.name) };
        sentences.push(format!("(see [below for nested schema](#nestedatt--{path}))"));
    }
    item("-", &attribute.name, &marks, &sentences.join(" "))
}

/// A list item; further lines of its text stay in it.
fn item(bullet: &str, name: &str, marks: &[String], text: &str) -> String {
    let text = text.trim().replace('\n', "\n  ").replace("\n  \n", "\n\n");
    format!("{bullet} `{name}` ({}) {text}", marks.join(", ")).trim_end().to_owned()
}

fn anchor(path: &[&str]) -> String {
    format!("nestedatt--{}", path.join("--"))
}

/// A type in words: `List of String`.
fn words(of: &Type) -> String {
    match of {
        Type::Bool => "Boolean".into(),
        Type::Number => "Number".into(),
        Type::String => "String".into(),
        Type::Dynamic => "Dynamic".into(),
        Type::List(element) => format!("List of {}", words(element)),
        Type::Set(element) => format!("Set of {}", words(element)),
        Type::Map(element) => format!("Map of {}", words(element)),
        Type::Object(_) => format!("Object: `{of}`"),
        Type::Tuple(_) => "Tuple".into(),
    }
}

/// A default as it would be written in a configuration (its JSON is).
fn literal(default: &Value) -> String {
    json::to_json(default).map(|json| json.to_string()).unwrap_or_default()
}

#[cfg(test)]
#[path = "docs_tests.rs"]
mod tests;
