//! `talosoci_node`.

use async_trait::async_trait;

use crate::client::talos::Address;
use crate::node::spec::{Image, Parsed, parse_duration};
use crate::provider::{SharedSettings, current, diagnostics};
use crate::provision::destroy::{self, Departure};
use crate::provision::refresh::{self, Found};
use crate::provision::{self, Job, Places, update};
use crate::talos::schematic::Schematic;
use crate::talos::talosconfig::ClientCredentials;
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics};
use crate::tfplugin::provider::Context;
use crate::tfplugin::resource::{CreateRequest, DeleteRequest, Outcome, Plan, PlanRequest, ReadRequest, Resource, UpdateRequest};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::validator::at_most_one_of;
use crate::tfplugin::value::Value;

mod model;
mod plan;
mod schema;

/// The resource.
pub struct NodeResource {
    settings: SharedSettings,
}

impl NodeResource {
    /// A resource of a provider with these settings.
    pub fn new(settings: SharedSettings) -> Self {
        Self { settings }
    }

    fn parse(&self, config: &Value) -> Parsed {
        let settings = current(&self.settings);
        Parsed::of(&model::draft(config, &settings), time::OffsetDateTime::now_utc())
    }
}

#[async_trait]
impl Resource for NodeResource {
    fn schema(&self) -> Schema {
        schema::schema()
    }

    async fn validate(&self, _ctx: &Context, config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        at_most_one_of(config, &["machine_configuration", "machine_configuration_wo"], &mut found);
        at_most_one_of(config, &["client_configuration", "client_configuration_wo"], &mut found);
        at_most_one_of(config, &["kubeconfig", "kubeconfig_wo"], &mut found);
        found.extend(diagnostics::errors(&self.parse(config).findings));
        found
    }

    async fn plan(&self, _ctx: &Context, request: PlanRequest) -> Plan {
        let parsed = self.parse(&request.config);
        let planned = if request.is_create() {
            plan::create(request.proposed, &parsed)
        } else {
            plan::update(&request.prior, request.proposed, request.proposed_on_change, &parsed)
        };
        Plan { planned, diagnostics: diagnostics::findings(&parsed.findings), ..Plan::default() }
    }

    async fn create(&self, ctx: &Context, request: CreateRequest) -> Outcome {
        let job = match self.job(ctx, &request.config).await {
            Ok(job) => job,
            Err(diagnostics) => return Outcome::failed(diagnostics),
        };
        match provision::run(&job).await {
            Ok(facts) => {
                let mut state = request.planned;
                let id = facts.machine_uuid.clone().unwrap_or_else(|| facts.node_name.clone());
                state.set("id", id);
                model::store(&mut state, &facts);
                Outcome::state(model::settled(state))
            }
            // Nothing is stored: the next apply plans the same create and sees what is done.
            Err(failure) => Outcome::failed(diagnostics::failure("Provisioning the Node", &failure)),
        }
    }

    async fn read(&self, _ctx: &Context, request: ReadRequest) -> Outcome {
        let mut state = request.state;
        let (address, credentials) = match self.access(&state) {
            Ok(access) => access,
            Err(reason) => {
                return Outcome::state(state).diagnostics([Diagnostic::warning("Node Not Refreshed", reason)]);
            }
        };
        match refresh::look(&address, &credentials).await {
            Found::Node { facts, config } => {
                let recorded = state.get("machine_uuid").as_str();
                if let (Some(recorded), Some(found)) = (recorded, &facts.machine_uuid)
                    && recorded != found
                {
                    let detail = format!(
                        "At {address} another machine of the cluster answers: its UUID is {found}, not {recorded}. The state was \
                         kept.\n\nhint: if the instance was replaced, change instance_id or reflash, so that the node is \
                         provisioned anew."
                    );
                    return Outcome::state(state).diagnostics([Diagnostic::warning("Another Machine Answers", detail)]);
                }
                model::store(&mut state, &facts);
                if let Some(hash) = config.as_ref().and_then(refresh::config_hash) {
                    state.set("config_hash", hash);
                }
                Outcome::state(state)
            }
            Found::Unknown { why } => {
                let detail = format!("The state of the node at {address} was kept, since it could not be read: {why}.");
                Outcome::state(state).diagnostics([Diagnostic::warning("Node Not Refreshed", detail)])
            }
        }
    }

    async fn update(&self, ctx: &Context, request: UpdateRequest) -> Outcome {
        let mut state = request.planned;
        if state.get("steps").as_list().is_some_and(<[Value]>::is_empty) {
            return Outcome::state(model::settled(state));
        }
        let job = match self.job(ctx, &request.config).await {
            Ok(job) => job,
            Err(diagnostics) => return Outcome::failed(diagnostics),
        };
        match update::run(&job).await {
            Ok(facts) => {
                model::store(&mut state, &facts);
                Outcome::state(model::settled(state))
            }
            Err(failure) => Outcome::failed(diagnostics::failure("Updating the Node", &failure)),
        }
    }

    async fn delete(&self, ctx: &Context, request: DeleteRequest) -> Outcome {
        let state = request.prior;
        let wishes = model::wishes(state.get("on_destroy"));
        if wishes == model::wishes(&Value::Null) {
            return Outcome::gone();
        }
        let parsed = self.parse(&state);
        let Some(endpoint) = parsed.endpoint.value() else {
            return Outcome::gone();
        };
        let timeout = state.get("timeouts").get("delete").as_str().and_then(parse_duration);
        let left = destroy::run(&Departure {
            address: Address::new(endpoint.host.clone(), endpoint.talos_port),
            credentials: parsed.credentials.value().cloned(),
            kubeconfig: parsed.kubeconfig.value().cloned(),
            node_name: state.get("node_name").as_str().unwrap_or_default().to_owned(),
            machine_uuid: state.get("machine_uuid").as_str().map(str::to_owned),
            wishes,
            limits: Departure::limits(timeout.unwrap_or(destroy::DEFAULT_TIMEOUT), ctx.stop.clone()),
        })
        .await;
        Outcome::gone().diagnostics(left.into_iter().map(|left| {
            let detail = format!("Of {endpoint}, {}: {}. The state was dropped all the same.", left.what, left.why);
            Diagnostic::warning("Node Not Fully Cleaned Up", detail)
        }))
    }
}

/// Makes a schematic of talconfig.yaml known to the Image Factory; one of `talosoci_image` is known already.
async fn register(image: &Image, places: &Places) -> Result<(), Diagnostics> {
    let Some(schematic) = image.schematic_yaml.as_deref().filter(|_| image.unregistered) else {
        return Ok(());
    };
    let failed = |error: &dyn std::error::Error, hints: &[String]| -> Diagnostics {
        diagnostics::error("Schematic Cannot Be Registered", error, hints).into()
    };
    let schematic = Schematic::parse(schematic).map_err(|error| failed(&error, &[]))?;
    places.factory.register(&schematic).await.map_err(|error| failed(&error, &error.hints()))?;
    Ok(())
}

impl NodeResource {
    async fn job(&self, ctx: &Context, config: &Value) -> Result<Job, Diagnostics> {
        let parsed = self.parse(config);
        let Some(spec) = parsed.complete() else {
            let mut found = diagnostics::errors(&parsed.findings);
            if found.is_empty() {
                found.error("Values Still Unknown", "A value that the node needs is still not known. This is a bug in the provider.");
            }
            return Err(found);
        };
        let settings = current(&self.settings);
        let places = settings.places(spec.image.url.as_ref())?;
        register(&spec.image, &places).await?;
        Job::new(spec, places, ctx.stop.clone(), time::OffsetDateTime::now_utc())
            .map_err(|cause| diagnostics::error("Node Cannot Be Prepared", &cause, &cause.hints()).into())
    }

    /// Where the node is and how to talk to it, from the state and the provider block.
    fn access(&self, state: &Value) -> Result<(Address, ClientCredentials), String> {
        let parsed = self.parse(state);
        let endpoint = parsed.endpoint.value().ok_or("the state holds no endpoint")?;
        let credentials = parsed.credentials.value().ok_or(
            "there are no credentials to read it with: the resource's are write-only, and the provider block has none. Set \
             talosconfig or client_configuration in the provider block, or TALOSCONFIG, to see drift",
        )?;
        Ok((Address::new(endpoint.host.clone(), endpoint.talos_port), credentials.clone()))
    }
}

#[cfg(test)]
mod tests;
