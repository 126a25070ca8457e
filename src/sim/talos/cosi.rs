//! `cosi.resource.State`: reads of the node's resources; writes are always refused (internal/app/resources/access.go).

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    pin::Pin,
    sync::Arc,
};

use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    gate::{Note, caller},
    kinds,
    machine::Machine,
    machine_service::timestamp,
    query::Query,
    resources::{self, Resource},
    roles::Roles,
    spec::{Spec, text},
};
use crate::wire::cosi::{
    CreateRequest, CreateResponse, DestroyRequest, DestroyResponse, Event, EventType, GetRequest, GetResponse,
    ListRequest, ListResponse, Metadata, Resource as WireResource, Spec as WireSpec, UpdateRequest, UpdateResponse,
    WatchRequest, WatchResponse, state_server::State,
};

/// The service of one node.
pub struct Cosi(pub Arc<Machine>);

type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl State for Cosi {
    type ListStream = Streaming<ListResponse>;
    type WatchStream = Streaming<WatchResponse>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let roles = caller(&request);
        Note::set(
            &request,
            format!("{}({}/{})", request.get_ref().r#type, request.get_ref().namespace, request.get_ref().id),
        );
        let GetRequest { namespace, r#type: kind, id, .. } = request.into_inner();
        allowed(&self.0, &namespace, &kind, &roles)?;
        match snapshot(&self.0, &namespace, &kind).remove(&id) {
            Some(resource) => Ok(Response::new(GetResponse { resource: Some(resource) })),
            None => Err(Status::not_found(format!("resource {kind}({namespace}/{id}@undefined) doesn't exist"))),
        }
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let roles = caller(&request);
        Note::set(&request, format!("{}({})", request.get_ref().r#type, request.get_ref().namespace));
        let ListRequest { namespace, r#type: kind, options } = request.into_inner();
        let options = options.unwrap_or_default();
        let query = Query::of(options.label_query, options.id_query)?;
        allowed(&self.0, &namespace, &kind, &roles)?;
        let mut all = snapshot(&self.0, &namespace, &kind);
        all.retain(|_, resource| query.keeps(resource));
        let items = all.into_values().map(|resource| Ok(ListResponse { resource: Some(resource) }));
        Ok(Response::new(Box::pin(stream::iter(items.collect::<Vec<_>>()))))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let roles = caller(&request);
        let request = request.into_inner();
        allowed(&self.0, &request.namespace, &request.r#type, &roles)?;
        let options = request.options.clone().unwrap_or_default();
        if request.id.is_some() {
            // Talos' own words.
            for (wanted, what) in
                [(options.bootstrap_contents, "bootstrap contents"), (!options.label_query.is_empty(), "label query")]
            {
                if wanted {
                    return Err(Status::unimplemented(format!("{what} is not implemented for resource watch")));
                }
            }
        }
        let query = Query::of(options.label_query, options.id_query)?;
        let (sender, receiver) = mpsc::channel(16);
        let watch = Watch { machine: Arc::clone(&self.0), request, query, seen: BTreeMap::new(), sender };
        tokio::spawn(watch.run(options.bootstrap_contents));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn create(&self, _request: Request<CreateRequest>) -> Result<Response<CreateResponse>, Status> {
        Err(no_writes())
    }

    async fn update(&self, _request: Request<UpdateRequest>) -> Result<Response<UpdateResponse>, Status> {
        Err(no_writes())
    }

    async fn destroy(&self, _request: Request<DestroyRequest>) -> Result<Response<DestroyResponse>, Status> {
        Err(no_writes())
    }
}

fn no_writes() -> Status {
    Status::permission_denied("write access is not allowed")
}

/// Unknown types and namespaces are refused before it is said whether a resource exists.
fn allowed(machine: &Machine, namespace: &str, kind: &str, roles: &Roles) -> Result<(), Status> {
    let version = machine.boot(|boot| boot.entry.version.clone()).ok_or_else(|| Status::unavailable("no system"))?;
    let known = kinds::kind(kind, &version)
        .ok_or_else(|| Status::permission_denied(format!("resource type {kind:?} is not supported")))?;
    if known.is_sensitive(&version) && !roles.is_admin() {
        return Err(Status::permission_denied("not authorized"));
    }
    if kinds::namespaces(&version).any(|known| known == namespace) {
        Ok(())
    } else {
        Err(Status::permission_denied(format!("namespace {namespace:?} is not supported")))
    }
}

const META: [&str; 2] = ["ResourceDefinitions.meta.cosi.dev", "Namespaces.meta.cosi.dev"];

/// The resources of a type in a namespace, by id.
fn snapshot(machine: &Machine, namespace: &str, kind: &str) -> BTreeMap<String, WireResource> {
    let all = match kind {
        kind if kind == META[0] => definitions(machine),
        kind if kind == META[1] => namespaces(machine),
        _ => resources::all(machine),
    };
    let fits = |resource: &Resource| resource.namespace == namespace && resource.kind == kind;
    let wire = |resource: Resource| (resource.id.clone(), encode(machine, resource));
    all.into_iter().filter(fits).map(wire).collect()
}

/// What `talosctl get` looks up to learn full type names.
fn definitions(machine: &Machine) -> Vec<Resource> {
    let Some(version) = machine.boot(|boot| boot.entry.version.clone()) else { return Vec::new() };
    let definition = |kind: &kinds::Kind| Resource {
        namespace: "meta",
        kind: META[0],
        id: kind.id(),
        spec: Spec::Message(kind.definition(&version)),
    };
    kinds::kinds(&version).map(definition).collect()
}

fn namespaces(machine: &Machine) -> Vec<Resource> {
    let Some(version) = machine.boot(|boot| boot.entry.version.clone()) else { return Vec::new() };
    let namespace = |name: &str| Resource {
        namespace: "meta",
        kind: META[1],
        id: name.to_owned(),
        spec: Spec::Message(vec![(1, "description", text(format!("The namespace {name}.")))]),
    };
    kinds::namespaces(&version).map(namespace).collect()
}

fn encode(machine: &Machine, resource: Resource) -> WireResource {
    let (proto, yaml) = (resource.spec.proto(), resource.spec.yaml());
    let mut hasher = DefaultHasher::new();
    (&proto, &yaml).hash(&mut hasher);
    let hash = hasher.finish();
    let now = machine.now();
    let key = (resource.kind.to_owned(), resource.id.clone());
    // `look` would do for known contents, and keeps waiters asleep; versions move only when the content does.
    let known = machine.boot(|boot| boot.versions.get(&key).copied()).flatten();
    let (version, created, updated) = match known {
        Some((version, created, updated, old)) if old == hash => (version, created, updated),
        Some((version, created, ..)) => (version + 1, created, now),
        None => (1, now, now),
    };
    if known.is_none_or(|(.., old)| old != hash) {
        machine.remember(|boot| {
            boot.versions.insert(key, (version, created, updated, hash));
        });
    }
    let annotations = match resource.spec {
        Spec::Config(_) => [("talos.dev/yaml-spec".to_owned(), "true".to_owned())].into(),
        _ => std::collections::HashMap::new(),
    };
    WireResource {
        metadata: Some(Metadata {
            namespace: resource.namespace.to_owned(),
            r#type: resource.kind.to_owned(),
            id: resource.id,
            version: version.to_string(),
            owner: String::new(),
            phase: "running".to_owned(),
            created: Some(timestamp(created)),
            updated: Some(timestamp(updated)),
            annotations,
            ..Metadata::default()
        }),
        spec: Some(WireSpec { proto_spec: proto, yaml_spec: yaml }),
    }
}

/// One running watch.
struct Watch {
    machine: Arc<Machine>,
    request: WatchRequest,
    query: Query,
    seen: BTreeMap<String, WireResource>,
    sender: mpsc::Sender<Result<WatchResponse, Status>>,
}

impl Watch {
    async fn run(mut self, bootstrap: bool) {
        let mut changes = self.machine.watch();
        // The empty answer says that the watch is set up.
        if self.send(Vec::new()).await.is_err() {
            return;
        }
        self.seen = self.current();
        let first = match &self.request.id {
            Some(id) => Some(match self.seen.get(id) {
                Some(resource) => vec![event(EventType::Created, Some(resource.clone()), None)],
                None => vec![event(EventType::Destroyed, Some(self.tombstone(id)), None)],
            }),
            None if bootstrap => {
                let mut events: Vec<_> = self
                    .seen
                    .values()
                    .map(|resource| event(EventType::Created, Some(resource.clone()), None))
                    .collect();
                if self.request.api_version >= 1 {
                    events.push(event(EventType::Bootstrapped, None, None));
                }
                Some(events)
            }
            None => None,
        };
        if let Some(events) = first
            && self.send_each(events).await.is_err()
        {
            return;
        }
        loop {
            tokio::select! {
                _ = changes.changed() => {}
                () = self.sender.closed() => return,
            }
            let events = self.difference();
            if self.send_each(events).await.is_err() {
                return;
            }
        }
    }

    fn current(&self) -> BTreeMap<String, WireResource> {
        let mut all = snapshot(&self.machine, &self.request.namespace, &self.request.r#type);
        match &self.request.id {
            Some(id) => all.retain(|known, _| known == id),
            None => all.retain(|_, resource| self.query.keeps(resource)),
        }
        all
    }

    fn difference(&mut self) -> Vec<Event> {
        let current = self.current();
        let mut events = Vec::new();
        for (id, resource) in &current {
            match self.seen.get(id) {
                None => events.push(event(EventType::Created, Some(resource.clone()), None)),
                Some(old) if old.spec != resource.spec => {
                    events.push(event(EventType::Updated, Some(resource.clone()), Some(old.clone())));
                }
                Some(_) => {}
            }
        }
        let gone = self.seen.iter().filter(|(id, _)| !current.contains_key(*id));
        events.extend(gone.map(|(_, old)| event(EventType::Destroyed, Some(old.clone()), None)));
        self.seen = current;
        events
    }

    /// Nothing but metadata.
    fn tombstone(&self, id: &str) -> WireResource {
        let metadata = Metadata {
            namespace: self.request.namespace.clone(),
            r#type: self.request.r#type.clone(),
            id: id.to_owned(),
            version: "undefined".to_owned(),
            phase: "running".to_owned(),
            ..Metadata::default()
        };
        WireResource { metadata: Some(metadata), spec: None }
    }

    async fn send_each(&self, events: Vec<Event>) -> Result<(), ()> {
        for event in events {
            self.send(vec![event]).await?;
        }
        Ok(())
    }

    async fn send(&self, event: Vec<Event>) -> Result<(), ()> {
        self.sender.send(Ok(WatchResponse { event })).await.map_err(|_| ())
    }
}

fn event(kind: EventType, resource: Option<WireResource>, old: Option<WireResource>) -> Event {
    Event { resource, event_type: kind.into(), old, error: None, bookmark: None }
}
