//! Attributes, their flags, defaults and validators.

use std::{fmt, sync::Arc};

use super::{diagnostic::Diagnostics, path::Path, types::Type, value::Value};

/// What a provider, resource, data source or ephemeral resource looks like in a configuration.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The version of the state's shape; raise it when an older state must be [upgraded](super::Resource::upgrade).
    pub version: i64,
    /// The attributes, in the order of the registry page.
    pub attributes: Vec<Attribute>,
    /// Markdown; the first paragraph introduces the page.
    pub description: String,
    /// What to use instead, if this is deprecated.
    pub deprecation: Option<String>,
}

/// One attribute. Without [`required`](Self::required) or [`computed`](Self::computed) it is optional.
#[derive(Clone)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// A plain type, or attributes of its own.
    pub kind: Kind,
    /// The user must set it.
    pub required: bool,
    /// The user may set it.
    pub optional: bool,
    /// The provider may set it where the user does not.
    pub computed: bool,
    /// Hidden in output.
    pub sensitive: bool,
    /// Reaches validate, plan and apply in the configuration, and is in no plan and no state.
    pub write_only: bool,
    /// Markdown.
    pub description: String,
    /// What to use instead, if it is deprecated.
    pub deprecation: Option<String>,
    /// Taken when the configuration has null; never unknown.
    pub default: Option<Value>,
    /// A change makes a new object.
    pub requires_replace: bool,
    /// On an update the prior value is planned instead of "known after apply".
    pub use_state_for_unknown: bool,
    /// Literal for the registry page, as written in a configuration.
    pub example: Option<String>,
    /// Run on known, non-null values of the configuration.
    pub validators: Vec<Validator>,
}

/// Looks at one known, non-null value of a configuration; parts of it may still be unknown.
pub type Validator = Arc<dyn Fn(&Path, &Value, &mut Diagnostics) + Send + Sync>;

/// What an attribute holds.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A value of a type.
    Plain(Type),
    /// One or many objects with attributes that have flags of their own.
    Nested(Nesting, Vec<Attribute>),
}

/// How many objects, and how they are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// By position.
    List,
    /// By their content.
    Set,
    /// By a key.
    Map,
}

impl Schema {
    /// A schema of version 0.
    pub fn new(attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self { attributes: attributes.into_iter().collect(), ..Self::default() }
    }

    /// Sets the version of the state's shape.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Sets the page's text (markdown).
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Marks it deprecated, and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, instead: impl Into<String>) -> Self {
        self.deprecation = Some(instead.into());
        self
    }

    /// The type of a whole configuration or state.
    pub fn object_type(&self) -> Type {
        object_type(&self.attributes)
    }

    /// The attribute at a path, if the path leads to one; indices and keys are skipped.
    pub fn attribute(&self, path: &Path) -> Option<&Attribute> {
        let mut attributes = self.attributes.as_slice();
        let mut found = None;
        for step in path.steps() {
            if let super::Step::Attribute(name) = step {
                let attribute = attributes.iter().find(|attribute| attribute.name == *name)?;
                attributes = attribute.nested();
                found = Some(attribute);
            }
        }
        found
    }
}

impl Attribute {
    /// Text.
    pub fn string(name: impl Into<String>) -> Self {
        Self::plain(name, Type::String)
    }

    /// A number.
    pub fn number(name: impl Into<String>) -> Self {
        Self::plain(name, Type::Number)
    }

    /// `true` or `false`.
    pub fn bool(name: impl Into<String>) -> Self {
        Self::plain(name, Type::Bool)
    }

    /// A list of elements of a type.
    pub fn list(name: impl Into<String>, element: Type) -> Self {
        Self::plain(name, Type::list(element))
    }

    /// A set of elements of a type.
    pub fn set(name: impl Into<String>, element: Type) -> Self {
        Self::plain(name, Type::set(element))
    }

    /// A map to elements of a type.
    pub fn map(name: impl Into<String>, element: Type) -> Self {
        Self::plain(name, Type::map(element))
    }

    /// A value of any type.
    pub fn dynamic(name: impl Into<String>) -> Self {
        Self::plain(name, Type::Dynamic)
    }

    /// A value of a type.
    pub fn plain(name: impl Into<String>, of: Type) -> Self {
        Self::of_kind(name, Kind::Plain(of))
    }

    /// One object with attributes.
    pub fn object(name: impl Into<String>, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self::of_kind(name, Kind::Nested(Nesting::Single, attributes.into_iter().collect()))
    }

    /// A list of objects with attributes.
    pub fn list_of_objects(name: impl Into<String>, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self::of_kind(name, Kind::Nested(Nesting::List, attributes.into_iter().collect()))
    }

    /// A set of objects with attributes.
    pub fn set_of_objects(name: impl Into<String>, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self::of_kind(name, Kind::Nested(Nesting::Set, attributes.into_iter().collect()))
    }

    /// A map of objects with attributes.
    pub fn map_of_objects(name: impl Into<String>, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self::of_kind(name, Kind::Nested(Nesting::Map, attributes.into_iter().collect()))
    }

    fn of_kind(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            required: false,
            optional: true,
            computed: false,
            sensitive: false,
            write_only: false,
            description: String::new(),
            deprecation: None,
            default: None,
            requires_replace: false,
            use_state_for_unknown: false,
            example: None,
            validators: Vec::new(),
        }
    }

    /// The user must set it.
    #[must_use]
    pub fn required(mut self) -> Self {
        (self.required, self.optional) = (true, false);
        self
    }

    /// The user may set it; with [`computed`](Self::computed), the provider sets it otherwise.
    #[must_use]
    pub fn optional(mut self) -> Self {
        (self.required, self.optional) = (false, true);
        self
    }

    /// Only the provider sets it. Followed by [`optional`](Self::optional): the provider sets it if the user does not.
    #[must_use]
    pub fn computed(mut self) -> Self {
        (self.required, self.optional, self.computed) = (false, false, true);
        self
    }

    /// Hidden in output.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// In no plan and no state: read it from the `config` of a request.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// Sets the text of the page (markdown).
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Marks it deprecated, and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, instead: impl Into<String>) -> Self {
        self.deprecation = Some(instead.into());
        self
    }

    /// The value when the user sets none; makes it optional.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        (self.required, self.optional, self.computed) = (false, true, true);
        self
    }

    /// A change makes a new object.
    #[must_use]
    pub fn requires_replace(mut self) -> Self {
        self.requires_replace = true;
        self
    }

    /// On an update, plan the prior value: for what never changes once made, such as an id.
    #[must_use]
    pub fn use_state_for_unknown(mut self) -> Self {
        self.use_state_for_unknown = true;
        self
    }

    /// A literal for the registry page, as written in a configuration (`"10.0.0.214/24"` with its quotes).
    #[must_use]
    pub fn example(mut self, literal: impl Into<String>) -> Self {
        self.example = Some(literal.into());
        self
    }

    /// Adds a check of known, non-null values.
    #[must_use]
    pub fn validate(mut self, check: impl Fn(&Path, &Value, &mut Diagnostics) + Send + Sync + 'static) -> Self {
        self.validators.push(Arc::new(check));
        self
    }

    /// The attributes of its object or objects; empty for a plain type.
    pub fn nested(&self) -> &[Attribute] {
        match &self.kind {
            Kind::Plain(_) => &[],
            Kind::Nested(_, attributes) => attributes,
        }
    }

    /// The type of its values.
    pub fn value_type(&self) -> Type {
        match &self.kind {
            Kind::Plain(of) => of.clone(),
            Kind::Nested(nesting, attributes) => {
                let object = object_type(attributes);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::list(object),
                    Nesting::Set => Type::set(object),
                    Nesting::Map => Type::map(object),
                }
            }
        }
    }

    /// Only the provider may set it.
    pub fn is_read_only(&self) -> bool {
        self.computed && !self.optional
    }
}

fn object_type(attributes: &[Attribute]) -> Type {
    Type::object(attributes.iter().map(|attribute| (attribute.name.clone(), attribute.value_type())))
}

/// Name, kind and flags; validators have nothing to show.
impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.required, "required"),
            (self.optional, "optional"),
            (self.computed, "computed"),
            (self.sensitive, "sensitive"),
            (self.write_only, "write-only"),
            (self.default.is_some(), "default"),
            (self.requires_replace, "requires-replace"),
            (self.use_state_for_unknown, "use-state"),
        ];
        let flags: Vec<_> = flags.into_iter().filter_map(|(is, flag)| is.then_some(flag)).collect();
        write!(f, "{} ({}): {:?}", self.name, flags.join(" "), self.kind)
    }
}
