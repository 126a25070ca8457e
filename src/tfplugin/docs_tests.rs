use std::sync::Arc;

use super::*;
use crate::tfplugin::{
    Context, Diagnostics, Resource,
    function::{Function, FunctionError},
    resource::{CreateRequest, DeleteRequest, Outcome, ReadRequest, UpdateRequest},
};

struct Demo;

#[async_trait::async_trait]
impl Provider for Demo {
    fn schema(&self) -> Schema {
        Schema::new([Attribute::string("token").sensitive()]).description("Makes things.\n\nAll of them.")
    }

    async fn configure(&self, _: &Context, _: Value) -> Diagnostics {
        Diagnostics::new()
    }

    fn resources(&self) -> Vec<(&'static str, Arc<dyn Resource>)> {
        vec![("demo_thing", Arc::new(Thing))]
    }

    fn functions(&self) -> Vec<(&'static str, Arc<dyn Function>)> {
        vec![("join", Arc::new(Join))]
    }
}

struct Thing;

#[async_trait::async_trait]
impl Resource for Thing {
    fn schema(&self) -> Schema {
        let ssh = [Attribute::number("port").default(22), Attribute::string("key_wo").sensitive().write_only()];
        let disk = [
            Attribute::string("path").required().example("\"/dev/sda\"").description("Where.\nReally."),
            Attribute::object("ssh", ssh).description("How."),
        ];
        Schema::new([
            Attribute::string("id").computed().description("Its name."),
            Attribute::string("name").required().requires_replace().description("What it is called."),
            Attribute::list("tags", Type::String).deprecated("Use labels."),
            Attribute::list_of_objects("disks", disk),
        ])
        .description("A thing.")
    }

    async fn create(&self, _: &Context, _: CreateRequest) -> Outcome {
        Outcome::gone()
    }

    async fn read(&self, _: &Context, _: ReadRequest) -> Outcome {
        Outcome::gone()
    }

    async fn update(&self, _: &Context, _: UpdateRequest) -> Outcome {
        Outcome::gone()
    }

    async fn delete(&self, _: &Context, _: DeleteRequest) -> Outcome {
        Outcome::gone()
    }
}

struct Join;

#[async_trait::async_trait]
impl Function for Join {
    fn signature(&self) -> Signature {
        Signature::new([Parameter::new("separator", Type::String).description("Between.")], Type::String)
            .variadic(Parameter::new("parts", Type::list(Type::String)).allow_null())
            .summary("Joins.")
    }

    async fn call(&self, _: &Context, _: Vec<Value>) -> Result<Value, FunctionError> {
        Ok(Value::Null)
    }
}

fn page(path: &str) -> String {
    let example = |path: &str| match path {
        "resources/demo_thing/resource.tf" => Some("resource \"demo_thing\" \"a\" {}\n".to_owned()),
        "resources/demo_thing/import.sh" => Some("terraform import demo_thing.a a\n".to_owned()),
        _ => None,
    };
    let pages = pages("demo", &Demo, &example);
    pages.into_iter().find(|page| page.path == path).expect("the page").content
}

#[test]
fn a_resource_page_shows_groups_marks_nested_sections_example_and_import() {
    let expected = r##"---
page_title: "demo_thing Resource - demo"
subcategory: ""
description: |-
  A thing.
---

# demo_thing (Resource)

A thing.

## Example Usage

```terraform
resource "demo_thing" "a" {}
```

## Schema

### Required

- `name` (String) What it is called. A change makes a new object.

### Optional

- `tags` (List of String, Deprecated) Use labels.
- `disks` (Attributes List) (see [below for nested schema](#nestedatt--disks))

### Read-Only

- `id` (String) Its name.

<a id="nestedatt--disks"></a>
### Nested Schema for `disks`

Required:

- `path` (String) Where.
  Really. Example: `"/dev/sda"`.

Optional:

- `ssh` (Attributes) How. (see [below for nested schema](#nestedatt--disks--ssh))

<a id="nestedatt--disks--ssh"></a>
### Nested Schema for `disks.ssh`

Optional:

- `port` (Number) Default: `22`.
- `key_wo` (String, Sensitive, Write-only)

## Import

```shell
terraform import demo_thing.a a
```
"##;
    assert_eq!(page("resources/thing.md"), expected);
}

#[test]
fn a_function_page_shows_its_signature() {
    let page = page("functions/join.md");
    assert!(page.contains("```text\njoin(separator string, parts list(string)...) string\n```"), "{page}");
    assert!(
        page.contains("1. `separator` (String) Between.\n2. `parts` (List of String, Nullable, Variadic)\n"),
        "{page}"
    );
}

#[test]
fn the_index_describes_the_provider_by_its_first_paragraph() {
    let page = page("index.md");
    assert!(
        page.contains("description: |-\n  Makes things.\n---\n\n# demo Provider\n\nMakes things.\n\nAll of them.\n"),
        "{page}"
    );
    assert!(page.contains("- `token` (String, Sensitive)\n"), "{page}");
}
