//! `talosoci_node`.

use std::time::Duration;

use async_trait::async_trait;

use crate::client::talos::{Address, ErrorKind};
use crate::node::spec::{ApplyMode, Parsed};
use crate::provider::node::remembered::Remembered;
use crate::provider::node::renewed::Renewed;
use crate::provider::settings::journal_place;
use crate::provider::{SharedSettings, current, diagnostics};
use crate::provision::destroy::{self, Departure};
use crate::provision::error::chain;
use crate::provision::phase::Phase;
use crate::provision::refresh::{self, Found};
use crate::provision::{self, Job, update};
use crate::talos::machine_config::HashOptions;
use crate::talos::schematic::Schematic;
use crate::talos::talosconfig::ClientCredentials;
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics};
use crate::tfplugin::provider::Context;
use crate::tfplugin::resource::{
    CreateRequest, DeleteRequest, Outcome, Plan, PlanRequest, ReadRequest, Resource, UpdateRequest,
};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::validator::at_most_one_of;
use crate::tfplugin::value::Value;

mod import;
mod model;
mod plan;
mod remembered;
mod renewed;
mod schema;

/// A plan waits no longer for what the node itself says.
const FORESEE: Duration = Duration::from_secs(4);

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

    async fn plan(&self, ctx: &Context, request: PlanRequest) -> Plan {
        let parsed = self.parse(&request.config);
        let renewed = self.renewed(&request.config);
        let mut told = diagnostics::findings(&parsed.findings);
        if request.is_create() {
            let planned = plan::create(request.proposed, &parsed, renewed.as_ref());
            return Plan { planned, diagnostics: told, ..Plan::default() };
        }
        let before = self.parse(&request.prior);
        let remembered = Remembered::read(&request.private);
        let update = plan::Update {
            prior: &request.prior,
            config: &request.config,
            before: &before,
            changed: request.proposed_on_change.clone(),
            parsed: &parsed,
            remembered: remembered.as_ref(),
            renewed: renewed.as_ref(),
        };
        let planned = update.plan();
        let imported = remembered.as_ref().is_some_and(|remembered| remembered.is_imported());
        let requires_replace = plan::replaces(&request.prior, &planned, imported);
        if requires_replace.is_empty() {
            told.extend(plan::refused_upgrade(&request.prior, &parsed));
            told.extend(self.foreseen(ctx, &planned, &parsed, &request).await);
        }
        Plan { planned, requires_replace, diagnostics: told, ..Plan::default() }
    }

    async fn create(&self, ctx: &Context, request: CreateRequest) -> Outcome {
        let (parsed, job) = match self.prepared(ctx, &request.config, &request.planned).await {
            Ok(prepared) => prepared,
            Err(diagnostics) => return Outcome::failed(diagnostics),
        };
        match provision::run(&job).await {
            Ok(facts) => {
                let mut state = request.planned;
                let id = facts.machine_uuid.clone().unwrap_or_else(|| facts.node_name.clone());
                state.set("id", id);
                state.set("phase", model::JOINED);
                model::store(&mut state, &facts);
                plan::keep(&mut state, &parsed);
                let remembered = remembered(&job, self.renewed(&request.config).as_ref());
                Outcome::state(model::settled(state)).private(remembered.bytes())
            }
            // Nothing is stored: the next apply plans the same create and sees what is done.
            Err(failure) => Outcome::failed(diagnostics::failure("Provisioning the Node", &failure)),
        }
    }

    async fn read(&self, _ctx: &Context, request: ReadRequest) -> Outcome {
        let (address, credentials) = match self.access(&request.state) {
            Ok(access) => access,
            Err(reason) => {
                return Outcome::state(request.state).diagnostics([Diagnostic::warning("Node Not Refreshed", reason)]);
            }
        };
        seen(request.state, &request.private, &address, refresh::look(&address, &credentials).await)
    }

    async fn update(&self, ctx: &Context, request: UpdateRequest) -> Outcome {
        let mut state = request.planned;
        if state.get("steps").as_list().is_some_and(<[Value]>::is_empty) {
            return Outcome::state(model::settled(state));
        }
        let (parsed, job) = match self.prepared(ctx, &request.config, &state).await {
            Ok(prepared) => prepared,
            Err(diagnostics) => return Outcome::failed(diagnostics),
        };
        let known = model::known(&request.prior, &state);
        let duties = known.duties;
        let limit = parsed.update_timeout.unwrap_or(update::DEFAULT_TIMEOUT);
        let job = job.on_known(known, limit);
        match update::run(&job).await {
            Ok(facts) if duties.only_verifies() => {
                // What else the node shows is for the next refresh: nothing of it was planned.
                let promised = state.clone();
                model::store(&mut state, &facts);
                model::keep_promises(&mut state, &promised);
                Outcome::state(model::settled(state))
            }
            Ok(facts) => {
                state.set("phase", model::JOINED);
                model::store(&mut state, &facts);
                plan::keep(&mut state, &parsed);
                let renewed = self.renewed(&request.config);
                if renewed.is_some() {
                    plan::seen_at_last(&mut state, &parsed, Remembered::read(&request.private).as_ref());
                }
                let outcome = Outcome::state(model::settled(state));
                match duties.apply || renewed.is_none() {
                    true => outcome.private(remembered(&job, renewed.as_ref()).bytes()),
                    false => outcome,
                }
            }
            // Nothing was said to whoever answers there.
            Err(failure) if failure.phase == Phase::Verify => {
                Outcome::failed(diagnostics::failure("Updating the Node", &failure))
            }
            Err(failure) => {
                // The state tells what the node shows now, so that the next plan goes on from there.
                let mut state = request.prior;
                if state.get("phase").as_str() != Some(model::CORDONED) {
                    state.set("phase", model::CHANGING);
                }
                let outcome = match self.access(&request.config) {
                    Ok((address, credentials)) => {
                        seen(state, &request.private, &address, refresh::look(&address, &credentials).await)
                    }
                    Err(_) => Outcome::state(state),
                };
                outcome.diagnostics([diagnostics::failure("Updating the Node", &failure)])
            }
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
        let timeout = parsed.delete_timeout.unwrap_or(destroy::DEFAULT_TIMEOUT);
        let place = journal_place(&current(&self.settings).cache_dir);
        let name = state.get("hostname").as_str().or(state.get("node_name").as_str()).unwrap_or_default();
        let limits = Departure::limits(timeout, ctx.stop.clone(), place.as_deref(), name);
        let left = destroy::run(&Departure {
            address: Address::new(endpoint.host.clone(), endpoint.talos_port),
            credentials: parsed.credentials.value().cloned(),
            kubeconfig: parsed.kubeconfig.value().cloned(),
            node_name: state.get("node_name").as_str().unwrap_or_default().to_owned(),
            machine_uuid: state.get("machine_uuid").as_str().map(str::to_owned),
            wishes,
            drain: state.get("drain").as_bool().unwrap_or(true),
            limits,
        })
        .await;
        if ctx.stop.is_cancelled() && !left.is_empty() {
            let told = left.iter().map(|left| format!("{}: {}", left.what, left.why)).collect::<Vec<_>>().join("; ");
            let detail =
                format!("Of {endpoint}, {told}. The node stays in the state.\n\nhint: destroy again to go on.");
            return Outcome::failed(Diagnostic::error("Destroy Stopped", detail));
        }
        Outcome::gone().diagnostics(left.into_iter().map(|left| {
            let detail = format!("Of {endpoint}, {}: {}. The state was dropped all the same.", left.what, left.why);
            Diagnostic::warning("Node Not Fully Cleaned Up", detail)
        }))
    }

    async fn import(&self, _ctx: &Context, id: &str) -> Outcome {
        let Some(target) = import::Target::parse(id) else {
            return Outcome::failed(import::syntax(id));
        };
        match import::run(&target, &current(&self.settings)).await {
            Ok(imported) => {
                let remembered = imported.remembered.unwrap_or_default().imported(true);
                Outcome::state(imported.state).private(remembered.bytes())
            }
            Err(diagnostics) => Outcome::failed(diagnostics),
        }
    }
}

/// The state after a look at the node.
fn seen(mut state: Value, private: &[u8], address: &Address, found: Found) -> Outcome {
    let (facts, config) = match found {
        Found::Node { facts, config } => (facts, config),
        Found::Unknown { why } => {
            let detail = format!("The state of the node at {address} was kept, since it could not be read: {why}.");
            return Outcome::state(state).diagnostics([Diagnostic::warning("Node Not Refreshed", detail)]);
        }
    };
    if let (Some(recorded), Some(found)) = (state.get("machine_uuid").as_str(), &facts.machine_uuid)
        && recorded != found
    {
        let detail = format!(
            "At {address} another machine of the cluster answers: its UUID is {found}, not {recorded}. The state was kept.\n\n\
             hint: if the instance was replaced, change instance_id or reflash, so that the node is provisioned anew."
        );
        return Outcome::state(state).diagnostics([Diagnostic::warning("Another Machine Answers", detail)]);
    }
    model::store(&mut state, &facts);
    state.set("phase", model::phase_after_look(state.get("phase").as_str(), facts.cordoned_by_us));
    let told = facts.cordoned_by_us.then(|| left_cordoned(&facts.node_name));
    let Some(config) = config.as_ref().and_then(refresh::parse) else {
        return Outcome::state(state).diagnostics(told);
    };
    state.set("config_hash", config.content_hash(&HashOptions::default()));
    let before = Remembered::read(private).unwrap_or_default();
    let remembered = Remembered::of(&config).imported(before.is_imported()).with_applied(before.applied().cloned());
    Outcome::state(state).private(remembered.bytes()).diagnostics(told)
}

/// What the next plan compares with, when this job is done.
fn remembered(job: &Job, renewed: Option<&Renewed>) -> Remembered {
    Remembered::of(job.config()).with_applied(renewed.and_then(|renewed| renewed.applied(job.config_hash())))
}

/// A run was cut off between its cordon and its uncordon, or is at work right now.
fn left_cordoned(name: &str) -> Diagnostic {
    let detail = format!(
        "The Kubernetes node {name} is cordoned since an earlier update or destroy of this provider, which did not come to its end: \
         no new pods come to it.\n\nhint: the next apply uncordons it, when there is a kubeconfig. Without one: kubectl uncordon {name}."
    );
    Diagnostic::warning("Node Left Cordoned", detail)
}

impl NodeResource {
    /// Set where write-only values are not compared.
    fn renewed(&self, config: &Value) -> Option<Renewed> {
        Renewed::of(config, &current(&self.settings))
    }

    /// The configuration judged again, now that all of it is known, and a job for it. A schematic of talconfig.yaml is made
    /// known to the Image Factory; one of `talosoci_image` is known already.
    async fn prepared(&self, ctx: &Context, config: &Value, planned: &Value) -> Result<(Parsed, Job), Diagnostics> {
        let parsed = self.parse(config);
        let applies = self.renewed(config).is_none();
        if let Some(changed) = plan::changed_since(planned, &parsed).filter(|_| applies) {
            return Err(changed.into());
        }
        let job = self.job(ctx, &parsed)?;
        let image = parsed.image.value().filter(|image| image.unregistered);
        if let Some((image, yaml)) = image.and_then(|image| Some((image, image.schematic_yaml.as_deref()?))) {
            let failed = |error: &dyn std::error::Error, hints: &[String]| -> Diagnostics {
                diagnostics::error("Schematic Cannot Be Registered", error, hints).into()
            };
            let places = current(&self.settings).places(image.url.as_ref())?;
            let schematic = Schematic::parse(yaml).map_err(|error| failed(&error, &[]))?;
            places.factory.register(&schematic).await.map_err(|error| failed(&error, &error.hints()))?;
        }
        Ok((parsed, job))
    }

    fn job(&self, ctx: &Context, parsed: &Parsed) -> Result<Job, Diagnostics> {
        let Some(spec) = parsed.complete() else {
            let mut found = diagnostics::errors(&parsed.findings);
            if found.is_empty() {
                found.error(
                    "Values Still Unknown",
                    "A value that the node needs is still not known. This is a bug in the provider.",
                );
            }
            return Err(found);
        };
        let settings = current(&self.settings);
        let places = settings.places(spec.image.url.as_ref())?;
        Job::new(spec, places, ctx.stop.clone(), time::OffsetDateTime::now_utc())
            .map_err(|cause| diagnostics::error("Node Cannot Be Prepared", &cause, &cause.hints()).into())
    }

    /// What the node itself says of a planned change. It can only warn: a promise that depends on who can be reached
    /// just now would not hold until the apply.
    async fn foreseen(
        &self,
        ctx: &Context,
        planned: &Value,
        parsed: &Parsed,
        request: &PlanRequest,
    ) -> Option<Diagnostic> {
        let only_applies = planned.get("steps").as_list() == Some(&["apply".into()][..]);
        let expected = planned.get("reboot_expected").as_bool();
        if !only_applies || parsed.findings.has_errors() || parsed.apply_mode == ApplyMode::Staged {
            return None;
        }
        let known = model::known(&request.prior, planned);
        let job = self.job(ctx, parsed).ok()?.on_known(known, FORESEE);
        match update::foresee(&job, FORESEE).await? {
            Ok(true) if expected == Some(false) => Some(Diagnostic::warning(
                "The Node Will Reboot",
                "Asked for a trial, the node says that it has to reboot for this change.\n\nhint: set apply_mode = \"staged\" to \
                 leave the reboot to another day.",
            )),
            Err(error) if error.kind() == ErrorKind::Rpc(tonic::Code::InvalidArgument) => Some(Diagnostic::warning(
                "The Node Would Refuse This Configuration",
                format!("Asked for a trial, the node says: {}.", chain(&error)),
            )),
            _ => None,
        }
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
