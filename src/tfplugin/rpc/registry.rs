//! What a provider offers, by name, with schemas and types at hand.

use std::{collections::BTreeMap, sync::Arc};

use crate::tfplugin::{
    data_source::DataSource,
    ephemeral::EphemeralResource,
    function::{Function, Signature},
    provider::Provider,
    resource::Resource,
    schema::Schema,
    types::Type,
    validate,
};

/// Everything that a provider offers.
pub struct Registry {
    pub provider: Known<()>,
    pub resources: BTreeMap<&'static str, Arc<Known<dyn Resource>>>,
    pub data_sources: BTreeMap<&'static str, Arc<Known<dyn DataSource>>>,
    pub ephemeral_resources: BTreeMap<&'static str, Arc<Known<dyn EphemeralResource>>>,
    pub functions: BTreeMap<&'static str, Arc<KnownFunction>>,
    /// What is wrong with the schemas.
    pub problems: Vec<String>,
}

/// A thing with a schema.
pub struct Known<T: ?Sized> {
    pub schema: Schema,
    pub of: Type,
    pub this: Arc<T>,
}

/// A function with its signature.
pub struct KnownFunction {
    pub signature: Signature,
    pub this: Arc<dyn Function>,
}

impl Registry {
    pub fn of(provider: &dyn Provider) -> Self {
        let mut problems = Vec::new();
        let resources = provider.resources().into_iter().map(|(name, this)| (name, this.schema(), this));
        let data_sources = provider.data_sources().into_iter().map(|(name, this)| (name, this.schema(), this));
        let ephemeral = provider.ephemeral_resources().into_iter().map(|(name, this)| (name, this.schema(), this));
        let functions = provider.functions().into_iter().map(|(name, this)| {
            let signature = this.signature();
            (name, Arc::new(KnownFunction { signature, this }))
        });
        Self {
            provider: known("provider", provider.schema(), Arc::new(()), &mut problems),
            resources: all(resources, &mut problems),
            data_sources: all(data_sources, &mut problems),
            ephemeral_resources: all(ephemeral, &mut problems),
            functions: functions.collect(),
            problems,
        }
    }
}

fn all<T: ?Sized>(
    things: impl Iterator<Item = (&'static str, Schema, Arc<T>)>,
    problems: &mut Vec<String>,
) -> BTreeMap<&'static str, Arc<Known<T>>> {
    things.map(|(name, schema, this)| (name, Arc::new(known(name, schema, this, problems)))).collect()
}

fn known<T: ?Sized>(name: &str, schema: Schema, this: Arc<T>, problems: &mut Vec<String>) -> Known<T> {
    problems.extend(validate::schema(&schema).into_iter().map(|problem| format!("{name}: {problem}")));
    let of = schema.object_type();
    Known { schema, of, this }
}
