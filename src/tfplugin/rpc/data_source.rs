//! The calls about a data source.

use std::sync::Arc;

use super::{convert, registry::Known};
use crate::{
    tfplugin::{
        data_source::DataSource,
        diagnostic::{Diagnostic, Diagnostics},
        plan,
        provider::Context,
        resource::Outcome,
        validate,
    },
    wire::tfplugin6 as wire,
};

type This = Arc<Known<dyn DataSource>>;

pub async fn validate(
    known: This,
    ctx: Context,
    request: wire::validate_data_resource_config::Request,
) -> Result<wire::validate_data_resource_config::Response, Diagnostics> {
    let config = convert::value(request.config.as_ref(), &known.of)?;
    let mut told = validate::config(&known.schema.attributes, &config, ctx.write_only_allowed);
    told.extend(known.this.validate(&ctx, &config).await);
    Ok(wire::validate_data_resource_config::Response { diagnostics: convert::diagnostics(told) })
}

pub async fn read(
    known: This,
    ctx: Context,
    request: wire::read_data_source::Request,
) -> Result<wire::read_data_source::Response, Diagnostics> {
    let config = convert::value(request.config.as_ref(), &known.of)?;
    let config = plan::with_defaults(&known.schema.attributes, &config, &config);
    let Outcome { state, mut diagnostics, .. } = known.this.read(&ctx, config).await;
    if state.is_none() && !diagnostics.has_errors() {
        diagnostics.push(Diagnostic::error("Not found", "The data source has no such object."));
    }
    let state = state.map(|state| convert::finished(&known.schema.attributes, state, &mut diagnostics));
    Ok(wire::read_data_source::Response {
        state: convert::dynamic(&state.unwrap_or_default()),
        diagnostics: convert::diagnostics(diagnostics),
    })
}
