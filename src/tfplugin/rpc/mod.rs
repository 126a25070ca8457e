//! The calls of protocol 6: bytes in, bytes out, one short method a call.
//!
//! Problems are answered as diagnostics, never as gRPC statuses, which a host can only show as "plugin error".

mod calls;
mod convert;
mod data_source;
mod ephemeral;
mod function;
mod provider;
mod registry;
mod resource;

use std::sync::{Arc, Mutex, PoisonError};

use tonic::{Request, Response, Status, async_trait};

use super::{
    diagnostic::{Diagnostic, Diagnostics},
    provider::{Context, Provider},
};
use crate::wire::tfplugin6 as wire;

use calls::Calls;
use registry::{Known, Registry};

/// A provider, as a service.
#[derive(Clone)]
pub struct Server {
    provider: Arc<dyn Provider>,
    registry: Arc<Registry>,
    calls: Arc<Calls>,
    terraform_version: Arc<Mutex<Option<String>>>,
}

impl Server {
    /// Asks the provider for all schemas, once.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        let registry = Arc::new(Registry::of(&*provider));
        Self { provider, registry, calls: Arc::default(), terraform_version: Arc::default() }
    }

    /// Cancels the work of all calls that are running. Later calls are not affected.
    pub fn stop(&self) {
        self.calls.stop();
    }

    /// Ends when no call is running.
    pub async fn idle(&self) {
        self.calls.idle().await;
    }

    fn context(&self, capabilities: Option<&wire::ClientCapabilities>) -> Context {
        let version = self.terraform_version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Context {
            stop: self.calls.token(),
            terraform_version: version,
            write_only_allowed: capabilities.is_some_and(|c| c.write_only_attributes_allowed),
        }
    }

    /// Runs one call to its end, even when the host goes away meanwhile; a panic becomes a diagnostic.
    async fn answer<R: Answer>(
        &self,
        call: &'static str,
        of: &str,
        work: impl Future<Output = Result<R, Diagnostics>> + Send + 'static,
    ) -> R {
        match self.calls.run(call, of, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(diagnostics)) => R::failed(diagnostics),
            Err(crash) => R::failed(crash.into()),
        }
    }

    /// [`Server::answer`] by the thing of this name.
    async fn of<T, R, W>(
        &self,
        call: &'static str,
        of: &str,
        known: Option<&Arc<Known<T>>>,
        work: impl FnOnce(Arc<Known<T>>) -> W,
    ) -> R
    where
        T: ?Sized,
        R: Answer,
        W: Future<Output = Result<R, Diagnostics>> + Send + 'static,
    {
        match known {
            Some(known) => self.answer(call, of, work(known.clone())).await,
            None => R::failed(Diagnostic::error("Unknown type", format!("This provider has no {of}.")).into()),
        }
    }
}

/// A response that can carry diagnostics.
trait Answer: Default + Send + 'static {
    fn tell(&mut self, diagnostics: Diagnostics);

    /// An answer that says only why there is none.
    fn failed(diagnostics: Diagnostics) -> Self {
        let mut answer = Self::default();
        answer.tell(diagnostics);
        answer
    }
}

macro_rules! answers {
    ($($module:ident),* $(,)?) => {
        $(impl Answer for wire::$module::Response {
            fn tell(&mut self, diagnostics: Diagnostics) {
                self.diagnostics = convert::diagnostics(diagnostics);
            }
        })*
    };
}

answers!(
    get_provider_schema,
    validate_provider_config,
    configure_provider,
    validate_resource_config,
    upgrade_resource_state,
    read_resource,
    plan_resource_change,
    apply_resource_change,
    import_resource_state,
    move_resource_state,
    validate_data_resource_config,
    read_data_source,
    validate_ephemeral_resource_config,
    open_ephemeral_resource,
    renew_ephemeral_resource,
    close_ephemeral_resource,
);

impl Answer for wire::call_function::Response {
    fn tell(&mut self, diagnostics: Diagnostics) {
        let text = diagnostics.iter().map(|told| format!("{}: {}", told.summary, told.detail));
        let text = text.collect::<Vec<_>>().join("\n");
        self.error = Some(wire::FunctionError { text, function_argument: None });
    }
}

type Answered<R> = Result<Response<R>, Status>;

#[async_trait]
impl wire::provider_server::Provider for Server {
    async fn get_metadata(&self, _: Request<wire::get_metadata::Request>) -> Answered<wire::get_metadata::Response> {
        Ok(Response::new(provider::metadata(&self.registry)))
    }

    async fn get_provider_schema(
        &self,
        _: Request<wire::get_provider_schema::Request>,
    ) -> Answered<wire::get_provider_schema::Response> {
        Ok(Response::new(provider::schemas(&self.registry)))
    }

    async fn get_functions(&self, _: Request<wire::get_functions::Request>) -> Answered<wire::get_functions::Response> {
        Ok(Response::new(wire::get_functions::Response {
            functions: provider::functions(&self.registry),
            diagnostics: Vec::new(),
        }))
    }

    async fn validate_provider_config(
        &self,
        request: Request<wire::validate_provider_config::Request>,
    ) -> Answered<wire::validate_provider_config::Response> {
        let (this, registry, ctx) = (self.provider.clone(), self.registry.clone(), self.context(None));
        let work = provider::validate(this, registry, ctx, request.into_inner());
        Ok(Response::new(self.answer("ValidateProviderConfig", "provider", work).await))
    }

    async fn configure_provider(
        &self,
        request: Request<wire::configure_provider::Request>,
    ) -> Answered<wire::configure_provider::Response> {
        let request = request.into_inner();
        *self.terraform_version.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(request.terraform_version.clone()).filter(|version| !version.is_empty());
        let (this, registry) = (self.provider.clone(), self.registry.clone());
        let ctx = self.context(request.client_capabilities.as_ref());
        let work = provider::configure(this, registry, ctx, request);
        Ok(Response::new(self.answer("ConfigureProvider", "provider", work).await))
    }

    async fn stop_provider(&self, _: Request<wire::stop_provider::Request>) -> Answered<wire::stop_provider::Response> {
        tracing::info!("the host asks to stop");
        self.stop();
        Ok(Response::new(wire::stop_provider::Response::default()))
    }

    async fn validate_resource_config(
        &self,
        request: Request<wire::validate_resource_config::Request>,
    ) -> Answered<wire::validate_resource_config::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(request.client_capabilities.as_ref()));
        let known = self.registry.resources.get(&*of);
        let work = |known| resource::validate(known, ctx, request);
        Ok(Response::new(self.of("ValidateResourceConfig", &of, known, work).await))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<wire::upgrade_resource_state::Request>,
    ) -> Answered<wire::upgrade_resource_state::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(None));
        let known = self.registry.resources.get(&*of);
        let work = |known| resource::upgrade(known, ctx, request);
        Ok(Response::new(self.of("UpgradeResourceState", &of, known, work).await))
    }

    async fn read_resource(
        &self,
        request: Request<wire::read_resource::Request>,
    ) -> Answered<wire::read_resource::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(request.client_capabilities.as_ref()));
        let (state, private) = (request.current_state.clone(), request.private.clone());
        let known = self.registry.resources.get(&*of);
        let work = |known| resource::read(known, ctx, request);
        let mut answer: wire::read_resource::Response = self.of("ReadResource", &of, known, work).await;
        // Nothing was learnt (an error, a crash): what was known stays.
        if answer.new_state.is_none() {
            (answer.new_state, answer.private) = (state, private);
        }
        Ok(Response::new(answer))
    }

    async fn plan_resource_change(
        &self,
        request: Request<wire::plan_resource_change::Request>,
    ) -> Answered<wire::plan_resource_change::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(request.client_capabilities.as_ref()));
        let prior = request.prior_state.clone();
        let known = self.registry.resources.get(&*of);
        let work = |known| resource::plan(known, ctx, request);
        let mut answer: wire::plan_resource_change::Response = self.of("PlanResourceChange", &of, known, work).await;
        answer.planned_state = answer.planned_state.or(prior);
        Ok(Response::new(answer))
    }

    async fn apply_resource_change(
        &self,
        request: Request<wire::apply_resource_change::Request>,
    ) -> Answered<wire::apply_resource_change::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(None));
        let (prior, private) = (request.prior_state.clone(), request.planned_private.clone());
        let known = self.registry.resources.get(&*of);
        let work = |known| resource::apply(known, ctx, request);
        let mut answer: wire::apply_resource_change::Response = self.of("ApplyResourceChange", &of, known, work).await;
        if answer.new_state.is_none() {
            (answer.new_state, answer.private) = (prior, private);
        }
        Ok(Response::new(answer))
    }

    async fn import_resource_state(
        &self,
        request: Request<wire::import_resource_state::Request>,
    ) -> Answered<wire::import_resource_state::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(request.client_capabilities.as_ref()));
        let known = self.registry.resources.get(&*of);
        let work = |known| resource::import(known, ctx, request);
        Ok(Response::new(self.of("ImportResourceState", &of, known, work).await))
    }

    async fn move_resource_state(
        &self,
        request: Request<wire::move_resource_state::Request>,
    ) -> Answered<wire::move_resource_state::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.target_type_name.clone(), self.context(None));
        let known = self.registry.resources.get(&*of);
        let work = |known| resource::move_state(known, ctx, request);
        Ok(Response::new(self.of("MoveResourceState", &of, known, work).await))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<wire::validate_data_resource_config::Request>,
    ) -> Answered<wire::validate_data_resource_config::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(None));
        let known = self.registry.data_sources.get(&*of);
        let work = |known| data_source::validate(known, ctx, request);
        Ok(Response::new(self.of("ValidateDataResourceConfig", &of, known, work).await))
    }

    async fn read_data_source(
        &self,
        request: Request<wire::read_data_source::Request>,
    ) -> Answered<wire::read_data_source::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(request.client_capabilities.as_ref()));
        let known = self.registry.data_sources.get(&*of);
        let work = |known| data_source::read(known, ctx, request);
        Ok(Response::new(self.of("ReadDataSource", &of, known, work).await))
    }

    async fn validate_ephemeral_resource_config(
        &self,
        request: Request<wire::validate_ephemeral_resource_config::Request>,
    ) -> Answered<wire::validate_ephemeral_resource_config::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(None));
        let known = self.registry.ephemeral_resources.get(&*of);
        let work = |known| ephemeral::validate(known, ctx, request);
        Ok(Response::new(self.of("ValidateEphemeralResourceConfig", &of, known, work).await))
    }

    async fn open_ephemeral_resource(
        &self,
        request: Request<wire::open_ephemeral_resource::Request>,
    ) -> Answered<wire::open_ephemeral_resource::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(request.client_capabilities.as_ref()));
        let known = self.registry.ephemeral_resources.get(&*of);
        let work = |known| ephemeral::open(known, ctx, request);
        Ok(Response::new(self.of("OpenEphemeralResource", &of, known, work).await))
    }

    async fn renew_ephemeral_resource(
        &self,
        request: Request<wire::renew_ephemeral_resource::Request>,
    ) -> Answered<wire::renew_ephemeral_resource::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(None));
        let known = self.registry.ephemeral_resources.get(&*of);
        let work = |known| ephemeral::renew(known, ctx, request);
        Ok(Response::new(self.of("RenewEphemeralResource", &of, known, work).await))
    }

    async fn close_ephemeral_resource(
        &self,
        request: Request<wire::close_ephemeral_resource::Request>,
    ) -> Answered<wire::close_ephemeral_resource::Response> {
        let request = request.into_inner();
        let (of, ctx) = (request.type_name.clone(), self.context(None));
        let known = self.registry.ephemeral_resources.get(&*of);
        let work = |known| ephemeral::close(known, ctx, request);
        Ok(Response::new(self.of("CloseEphemeralResource", &of, known, work).await))
    }

    async fn call_function(
        &self,
        request: Request<wire::call_function::Request>,
    ) -> Answered<wire::call_function::Response> {
        let request = request.into_inner();
        let (name, ctx) = (request.name.clone(), self.context(None));
        let Some(known) = self.registry.functions.get(&*name).cloned() else {
            let told = Diagnostic::error("Unknown function", format!("This provider has no function {name}."));
            return Ok(Response::new(Answer::failed(told.into())));
        };
        Ok(Response::new(self.answer("CallFunction", &name, function::call(known, ctx, request)).await))
    }
}

#[cfg(test)]
mod tests;
