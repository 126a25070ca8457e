//! The calls about a resource.

use std::{cmp::Ordering, sync::Arc};

use super::{convert, registry::Known};
use crate::{
    tfplugin::{
        diagnostic::{Diagnostic, Diagnostics},
        plan::{self, Proposal},
        provider::Context,
        resource::{
            CreateRequest, DeleteRequest, MoveRequest, Outcome, Plan, PlanRequest, ReadRequest, Resource, UpdateRequest,
        },
        validate,
        value::Value,
    },
    wire::tfplugin6 as wire,
};

type This = Arc<Known<dyn Resource>>;

pub async fn validate(
    known: This,
    ctx: Context,
    request: wire::validate_resource_config::Request,
) -> Result<wire::validate_resource_config::Response, Diagnostics> {
    let config = convert::value(request.config.as_ref(), &known.of)?;
    let mut told = validate::config(&known.schema.attributes, &config, ctx.write_only_allowed);
    told.extend(known.this.validate(&ctx, &config).await);
    Ok(wire::validate_resource_config::Response { diagnostics: convert::diagnostics(told) })
}

pub async fn upgrade(
    known: This,
    ctx: Context,
    request: wire::upgrade_resource_state::Request,
) -> Result<wire::upgrade_resource_state::Response, Diagnostics> {
    let json = convert::raw_json(&request.raw_state.unwrap_or_default().json)?;
    let (state, mut told) = match request.version.cmp(&known.schema.version) {
        Ordering::Equal => (Some(convert::typed_json(&json, &known.of)?), Diagnostics::new()),
        Ordering::Less => {
            let outcome = known.this.upgrade(&ctx, request.version, json).await;
            (outcome.state, outcome.diagnostics)
        }
        Ordering::Greater => {
            let detail = format!(
                "The state was written by a newer provider (schema version {}, this one has {}). Upgrade the provider.",
                request.version, known.schema.version
            );
            (None, Diagnostic::error("State of a newer provider", detail).into())
        }
    };
    if state.is_none() && !told.has_errors() {
        told.push(no_state());
    }
    let state = state.map(|state| convert::finished(&known.schema.attributes, state, &mut told));
    Ok(wire::upgrade_resource_state::Response {
        upgraded_state: convert::dynamic(&state.unwrap_or_default()),
        diagnostics: convert::diagnostics(told),
    })
}

pub async fn read(
    known: This,
    ctx: Context,
    request: wire::read_resource::Request,
) -> Result<wire::read_resource::Response, Diagnostics> {
    let state = convert::value(request.current_state.as_ref(), &known.of)?;
    let read = ReadRequest { state, private: request.private.clone() };
    let Outcome { state, private, mut diagnostics } = known.this.read(&ctx, read).await;
    if state.is_none() && diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let state = state.map(|state| convert::finished(&known.schema.attributes, state, &mut diagnostics));
    Ok(wire::read_resource::Response {
        new_state: convert::dynamic(&state.unwrap_or_default()),
        diagnostics: convert::diagnostics(diagnostics),
        private: private.unwrap_or(request.private),
    })
}

pub async fn plan(
    known: This,
    ctx: Context,
    request: wire::plan_resource_change::Request,
) -> Result<wire::plan_resource_change::Response, Diagnostics> {
    let attributes = &known.schema.attributes;
    let prior = convert::value(request.prior_state.as_ref(), &known.of)?;
    let host_proposal = convert::value(request.proposed_new_state.as_ref(), &known.of)?;
    let config = convert::value(request.config.as_ref(), &known.of)?;
    if host_proposal.is_null() {
        let told = known.this.plan_delete(&ctx, &prior).await;
        return Ok(planned(&Value::Null, Vec::new(), request.prior_private, told));
    }
    let Proposal { proposed, on_change } = plan::propose(attributes, &prior, &host_proposal, &config);
    let asked = PlanRequest {
        requires_replace: plan::requires_replace(attributes, &prior, &proposed, &config),
        prior: prior.clone(),
        proposed,
        proposed_on_change: on_change,
        config: config.clone(),
        private: request.prior_private.clone(),
    };
    let Plan { planned: state, requires_replace, private, mut diagnostics } = known.this.plan(&ctx, asked).await;
    if !matches!(state, Value::Map(_)) && !diagnostics.has_errors() {
        diagnostics.push(no_state());
    }
    let state = convert::shaped(attributes, state, &mut diagnostics);
    let mut replace = plan::requires_replace(attributes, &prior, &state, &config);
    replace.extend(requires_replace);
    let replace = replace.iter().map(convert::attribute_path).collect();
    Ok(planned(&state, replace, private.unwrap_or(request.prior_private), diagnostics))
}

pub async fn apply(
    known: This,
    ctx: Context,
    request: wire::apply_resource_change::Request,
) -> Result<wire::apply_resource_change::Response, Diagnostics> {
    let prior = convert::value(request.prior_state.as_ref(), &known.of)?;
    let planned = convert::value(request.planned_state.as_ref(), &known.of)?;
    let config = convert::value(request.config.as_ref(), &known.of)?;
    let private = request.planned_private.clone();
    let deletes = planned.is_null();
    let Outcome { state, private, mut diagnostics } = if deletes {
        known.this.delete(&ctx, DeleteRequest { prior, private }).await
    } else if prior.is_null() {
        known.this.create(&ctx, CreateRequest { planned, config, private }).await
    } else {
        known.this.update(&ctx, UpdateRequest { prior, planned, config, private }).await
    };
    if state.is_none() {
        if !deletes && !diagnostics.has_errors() {
            diagnostics.push(no_state());
        }
        // An error without a state: the prior state stays, which for a create is none.
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
    }
    let state = state.map(|state| convert::finished(&known.schema.attributes, state, &mut diagnostics));
    Ok(wire::apply_resource_change::Response {
        new_state: convert::dynamic(&state.unwrap_or_default()),
        private: private.unwrap_or(request.planned_private),
        diagnostics: convert::diagnostics(diagnostics),
    })
}

pub async fn import(
    known: This,
    ctx: Context,
    request: wire::import_resource_state::Request,
) -> Result<wire::import_resource_state::Response, Diagnostics> {
    let Outcome { state, private, mut diagnostics } = known.this.import(&ctx, &request.id).await;
    if state.is_none() && !diagnostics.has_errors() {
        let detail = format!("There is no {} with the id {:?}.", request.type_name, request.id);
        diagnostics.push(Diagnostic::error("Nothing to import", detail));
    }
    let state = state.map(|state| convert::finished(&known.schema.attributes, state, &mut diagnostics));
    let imported = state.map(|state| wire::import_resource_state::ImportedResource {
        type_name: request.type_name,
        state: convert::dynamic(&state),
        private: private.unwrap_or_default(),
    });
    Ok(wire::import_resource_state::Response {
        imported_resources: imported.into_iter().collect(),
        diagnostics: convert::diagnostics(diagnostics),
    })
}

pub async fn move_state(
    known: This,
    ctx: Context,
    request: wire::move_resource_state::Request,
) -> Result<wire::move_resource_state::Response, Diagnostics> {
    let moved = MoveRequest {
        source_provider: request.source_provider_address,
        source_type: request.source_type_name,
        source_version: request.source_schema_version,
        state: convert::raw_json(&request.source_state.unwrap_or_default().json)?,
        private: request.source_private,
    };
    let Outcome { state, private, mut diagnostics } = known.this.move_state(&ctx, moved).await;
    if state.is_none() && !diagnostics.has_errors() {
        diagnostics.push(no_state());
    }
    let state = state.map(|state| convert::finished(&known.schema.attributes, state, &mut diagnostics));
    Ok(wire::move_resource_state::Response {
        target_state: convert::dynamic(&state.unwrap_or_default()),
        diagnostics: convert::diagnostics(diagnostics),
        target_private: private.unwrap_or_default(),
    })
}

fn planned(
    state: &Value,
    requires_replace: Vec<wire::AttributePath>,
    private: Vec<u8>,
    told: Diagnostics,
) -> wire::plan_resource_change::Response {
    wire::plan_resource_change::Response {
        planned_state: convert::dynamic(state),
        requires_replace,
        planned_private: private,
        diagnostics: convert::diagnostics(told),
    }
}

fn no_state() -> Diagnostic {
    Diagnostic::error("No state", "The provider returned neither a state nor an error. This is a defect of it.")
}
