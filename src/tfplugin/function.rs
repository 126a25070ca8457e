//! Functions.

use async_trait::async_trait;

use super::{provider::Context, types::Type, value::Value};

/// A pure function, called as `provider::NAME::function(...)`.
///
/// Terraform calls it without configuring the provider, and may call it at any time: same arguments, same result.
#[async_trait]
pub trait Function: Send + Sync + 'static {
    /// Its parameters and result.
    fn signature(&self) -> Signature;

    /// Computes the result. There are as many arguments as parameters, then the variadic ones.
    async fn call(&self, ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

/// Parameters and result of a function.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
    /// What may follow, any number of times.
    pub variadic: Option<Parameter>,
    /// The type of the result.
    pub returns: Type,
    /// One line.
    pub summary: String,
    /// Markdown.
    pub description: String,
    /// What to use instead, if it is deprecated.
    pub deprecation: Option<String>,
}

impl Signature {
    /// A function of these parameters.
    pub fn new(parameters: impl IntoIterator<Item = Parameter>, returns: Type) -> Self {
        Self {
            parameters: parameters.into_iter().collect(),
            variadic: None,
            returns,
            summary: String::new(),
            description: String::new(),
            deprecation: None,
        }
    }

    /// Lets any number of these follow.
    #[must_use]
    pub fn variadic(mut self, parameter: Parameter) -> Self {
        self.variadic = Some(parameter);
        self
    }

    /// Sets the one-line text.
    #[must_use]
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.summary = text.into();
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
}

/// One parameter of a function.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, in documentation and error messages.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Null reaches the function; otherwise the host refuses it.
    pub allow_null: bool,
    /// Unknown reaches the function; otherwise the host answers unknown by itself.
    pub allow_unknown: bool,
    /// Markdown.
    pub description: String,
}

impl Parameter {
    /// A parameter that is neither null nor unknown.
    pub fn new(name: impl Into<String>, of: Type) -> Self {
        Self { name: name.into(), of, allow_null: false, allow_unknown: false, description: String::new() }
    }

    /// Sets the text of the page (markdown).
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Lets null through.
    #[must_use]
    pub fn allow_null(mut self) -> Self {
        self.allow_null = true;
        self
    }

    /// Lets unknown through.
    #[must_use]
    pub fn allow_unknown(mut self) -> Self {
        self.allow_unknown = true;
        self
    }
}

/// Why a function has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// What is wrong.
    pub text: String,
    /// The argument to blame, from 0.
    pub argument: Option<usize>,
}

impl FunctionError {
    /// Blames no argument.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: None }
    }

    /// Blames an argument, from 0.
    pub fn argument(index: usize, text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: Some(index) }
    }
}
