//! The calls about an ephemeral resource.

use std::sync::Arc;

use super::{convert, registry::Known};
use crate::{
    tfplugin::{
        diagnostic::{Diagnostic, Diagnostics},
        ephemeral::{EphemeralResource, Opened, Renewed},
        plan,
        provider::Context,
        validate,
    },
    wire::tfplugin6 as wire,
};

type This = Arc<Known<dyn EphemeralResource>>;

pub async fn validate(
    known: This,
    ctx: Context,
    request: wire::validate_ephemeral_resource_config::Request,
) -> Result<wire::validate_ephemeral_resource_config::Response, Diagnostics> {
    let config = convert::value(request.config.as_ref(), &known.of)?;
    let mut told = validate::config(&known.schema.attributes, &config, true);
    told.extend(known.this.validate(&ctx, &config).await);
    Ok(wire::validate_ephemeral_resource_config::Response { diagnostics: convert::diagnostics(told) })
}

pub async fn open(
    known: This,
    ctx: Context,
    request: wire::open_ephemeral_resource::Request,
) -> Result<wire::open_ephemeral_resource::Response, Diagnostics> {
    let config = convert::value(request.config.as_ref(), &known.of)?;
    let config = plan::with_defaults(&known.schema.attributes, &config, &config);
    let Opened { result, renew_at, private, mut diagnostics } = known.this.open(&ctx, config).await;
    if result.is_none() && !diagnostics.has_errors() {
        diagnostics
            .push(Diagnostic::error("Nothing opened", "The provider returned no result. This is a defect of it."));
    }
    let result = result.map(|result| convert::finished(&known.schema.attributes, result, &mut diagnostics));
    Ok(wire::open_ephemeral_resource::Response {
        diagnostics: convert::diagnostics(diagnostics),
        renew_at: renew_at.map(convert::timestamp),
        result: convert::dynamic(&result.unwrap_or_default()),
        private: Some(private),
    })
}

pub async fn renew(
    known: This,
    ctx: Context,
    request: wire::renew_ephemeral_resource::Request,
) -> Result<wire::renew_ephemeral_resource::Response, Diagnostics> {
    let before = request.private.unwrap_or_default();
    let Renewed { renew_at, private, diagnostics } = known.this.renew(&ctx, before.clone()).await;
    Ok(wire::renew_ephemeral_resource::Response {
        diagnostics: convert::diagnostics(diagnostics),
        renew_at: renew_at.map(convert::timestamp),
        private: Some(private.unwrap_or(before)),
    })
}

pub async fn close(
    known: This,
    ctx: Context,
    request: wire::close_ephemeral_resource::Request,
) -> Result<wire::close_ephemeral_resource::Response, Diagnostics> {
    let told = known.this.close(&ctx, request.private.unwrap_or_default()).await;
    Ok(wire::close_ephemeral_resource::Response { diagnostics: convert::diagnostics(told) })
}
