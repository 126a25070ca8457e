//! `talosoci_image`.

use async_trait::async_trait;
use url::Url;

use crate::client::factory::{Factory, FactoryError};
use crate::provider::image::model::{Parsed, parse};
use crate::provider::settings::journal_place;
use crate::provider::{SharedSettings, current, diagnostics};
use crate::provision::error::chain;
use crate::provision::journal::{Event, Journal};
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics};
use crate::tfplugin::path::Path;
use crate::tfplugin::provider::Context;
use crate::tfplugin::resource::{
    CreateRequest, DeleteRequest, Outcome, Plan, PlanRequest, ReadRequest, Resource, UpdateRequest,
};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::validator::at_most_one_of;
use crate::tfplugin::value::Value;

mod model;
mod output;
mod schema;

/// The resource.
pub struct ImageResource {
    settings: SharedSettings,
}

impl ImageResource {
    /// A resource of a provider with these settings.
    pub fn new(settings: SharedSettings) -> Self {
        Self { settings }
    }

    fn parse(&self, config: &Value) -> Parsed {
        parse(config, &current(&self.settings).image_factory_url)
    }

    /// Registers the schematic, makes the Factory build the image, and writes it to a file if that is wanted.
    async fn publish(&self, ctx: &Context, prior: &Value, mut state: Value) -> Outcome {
        let parsed = self.parse(&state);
        let Some(image) = parsed.image else {
            return Outcome::failed(diagnostics::errors(&parsed.findings));
        };
        let place = journal_place(&current(&self.settings).cache_dir);
        let journal = Journal::open(place.as_deref(), &image.describe());
        let work = async {
            let factory = Factory::new(&image.factory)?;
            journal.enter("register");
            let id = factory.register(&image.schematic).await?;
            let url = image.url(&id);
            journal.enter("build");
            journal.note(Event::Waiting, "waiting for the Factory to build the image");
            let asset = factory.asset(&url).await?;
            Ok::<_, FactoryError>((id, url, asset.size))
        };
        let done = tokio::select! {
            () = ctx.stop.cancelled() => {
                journal.note(Event::Failed, "stopped on request");
                return Outcome::failed(Diagnostic::error("Stopped", "Stopped on request; nothing was changed. Apply again."));
            }
            done = work => done,
        };
        match &done {
            Ok(_) => journal.note(Event::Finished, ""),
            Err(error) => journal.note(Event::Failed, &chain(error)),
        }
        match done {
            Ok((id, url, size)) => {
                image.store(&mut state, &id, &url);
                state.set("size", size.and_then(|size| i64::try_from(size).ok()).map_or(Value::Null, Value::from));
                let places = match current(&self.settings).places(Some(&url)) {
                    Ok(places) => places,
                    Err(diagnostics) => return Outcome::failed(diagnostics),
                };
                match output::realise(ctx, &places, &image, &url, prior, &mut state).await {
                    Ok(told) => Outcome::state(state).diagnostics(told),
                    Err(error) => Outcome::failed(output::failed(&error)),
                }
            }
            Err(error) => Outcome::failed(diagnostics::error("Image Not Available", &error, &error.hints())),
        }
    }
}

#[async_trait]
impl Resource for ImageResource {
    fn schema(&self) -> Schema {
        schema::schema()
    }

    async fn validate(&self, _ctx: &Context, config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        at_most_one_of(config, &["extensions", "schematic"], &mut found);
        found.extend(diagnostics::errors(&self.parse(config).findings));
        found
    }

    async fn plan(&self, _ctx: &Context, request: PlanRequest) -> Plan {
        let parsed = self.parse(&request.config);
        let mut planned = request.proposed;
        // The provider block's Factory is in no attribute of the resource, yet the URL follows from it.
        if planned == request.prior && parsed.image.as_ref().is_some_and(|image| !image.is_at(&request.prior)) {
            planned = request.proposed_on_change;
        }
        let unchanged = planned == request.prior;
        if !unchanged {
            match &parsed.image {
                Some(image) => image.promise(&mut planned),
                None => planned.set("size", Value::Unknown),
            }
            output::promise(&request.prior, &mut planned);
        }
        Plan { planned, diagnostics: diagnostics::findings(&parsed.findings), ..Plan::default() }
    }

    async fn create(&self, ctx: &Context, request: CreateRequest) -> Outcome {
        self.publish(ctx, &Value::Null, request.planned).await
    }

    async fn update(&self, ctx: &Context, request: UpdateRequest) -> Outcome {
        self.publish(ctx, &request.prior, request.planned).await
    }

    async fn read(&self, ctx: &Context, request: ReadRequest) -> Outcome {
        let mut state = request.state;
        let told = output::refresh(&mut state).await;
        let Some(url) = state.get("url").as_str().and_then(|url| Url::parse(url).ok()) else {
            return Outcome::state(state).diagnostics(told);
        };
        let look = async { Factory::new(&url)?.asset(&url).await };
        let found = tokio::select! {
            () = ctx.stop.cancelled() => return Outcome::state(state).diagnostics(told),
            found = look => found,
        };
        match found {
            Ok(_) => Outcome::state(state).diagnostics(told),
            Err(FactoryError::Refused { status, .. }) if status == http::StatusCode::NOT_FOUND => Outcome::gone(),
            Err(error) => {
                let detail = format!("The state was kept, since the Factory could not be asked: {}.", chain(&error));
                Outcome::state(state).diagnostics(told).diagnostics([Diagnostic::warning(
                    "Image Not Refreshed",
                    detail,
                )
                .at(Path::root().attribute("url"))])
            }
        }
    }

    async fn delete(&self, _ctx: &Context, request: DeleteRequest) -> Outcome {
        // A Factory never forgets a schematic, and others may use the same.
        Outcome::gone().diagnostics(output::remove(request.prior.get("output")).await)
    }
}
