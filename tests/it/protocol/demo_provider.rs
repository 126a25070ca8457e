//! A provider with one of everything, which keeps its objects as files in a directory.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use talosoci::tfplugin::{
    Attribute, Context, DataSource, Diagnostic, Diagnostics, EphemeralResource, Function, Path, Provider, Resource,
    Schema, Type, Value,
    ephemeral::Opened,
    function::{FunctionError, Parameter, Signature},
    json, msgpack,
    resource::{CreateRequest, DeleteRequest, MoveRequest, Outcome, ReadRequest, UpdateRequest},
    serve::{self, Program},
    validator,
};

/// Not a test, but the plugin process of the tests beside it: see `host::demo_binary`.
#[test]
fn serves_when_started_as_a_plugin() {
    if std::env::var_os("DEMO_PROVIDER").is_none() {
        return;
    }
    const PROGRAM: Program =
        Program { name: "terraform-provider-demo", version: "0.0.0", about: "a demo", source: "test/demo" };
    let debug = std::env::var_os("DEMO_DEBUG").is_some();
    let mut greeting = fs::OpenOptions::new().write(true).open("/dev/fd/3").unwrap();
    let served = serve::serve(&PROGRAM, debug, Demo::default, &mut greeting);
    std::process::exit(if served.is_ok() { 0 } else { 1 });
}

#[derive(Default)]
pub struct Demo {
    store: Store,
}

#[derive(Clone, Default)]
struct Store(Arc<OnceLock<PathBuf>>);

impl Store {
    fn file(&self, name: &str) -> PathBuf {
        self.0.get().expect("a configured provider").join(name)
    }

    fn load(&self, name: &str) -> Option<Value> {
        let bytes = fs::read(self.file(name)).ok()?;
        Some(msgpack::decode(&bytes, &thing().object_type()).unwrap())
    }

    fn save(&self, state: &Value) {
        let name = state.get("name").as_str().unwrap();
        fs::write(self.file(name), msgpack::encode(state)).unwrap();
    }
}

#[async_trait]
impl Provider for Demo {
    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("dir").required(),
            Attribute::object("login", [Attribute::string("token").sensitive()]),
        ])
    }

    async fn configure(&self, _: &Context, config: Value) -> Diagnostics {
        if let Some(dir) = config.get("dir").as_str() {
            self.store.0.get_or_init(|| PathBuf::from(dir));
        }
        Diagnostics::new()
    }

    fn resources(&self) -> Vec<(&'static str, Arc<dyn Resource>)> {
        let thing = Arc::new(Thing(self.store.clone()));
        vec![("demo_thing", thing.clone()), ("demo_gadget", thing)]
    }

    fn data_sources(&self) -> Vec<(&'static str, Arc<dyn DataSource>)> {
        vec![("demo_thing", Arc::new(Thing(self.store.clone())))]
    }

    fn ephemeral_resources(&self) -> Vec<(&'static str, Arc<dyn EphemeralResource>)> {
        vec![("demo_token", Arc::new(Token))]
    }

    fn functions(&self) -> Vec<(&'static str, Arc<dyn Function>)> {
        vec![("shout", Arc::new(Shout))]
    }
}

struct Thing(Store);

fn thing() -> Schema {
    let net = [
        Attribute::string("ip").required().validate(validator::text(|text| match text.contains(['.', ':']) {
            true => Ok(()),
            false => Err("not an IP address".into()),
        })),
        Attribute::string("mac").computed(),
    ];
    let disk = [
        Attribute::string("path").required(),
        Attribute::string("mode").default("all"),
        Attribute::string("serial").computed().use_state_for_unknown(),
        Attribute::string("key_wo").write_only(),
    ];
    Schema::new([
        Attribute::string("id").computed().use_state_for_unknown(),
        Attribute::string("name").required().requires_replace(),
        Attribute::number("size").default(10).validate(validator::within(1..=1000)),
        Attribute::number("exact"),
        Attribute::string("secret").sensitive(),
        Attribute::string("password_wo").write_only().sensitive(),
        Attribute::number("password_wo_version"),
        Attribute::object("disk", disk),
        Attribute::list_of_objects("nets", net),
        Attribute::map("labels", Type::String),
        Attribute::set("tags", Type::String),
        Attribute::dynamic("any"),
        Attribute::object("hook", [Attribute::bool("on").default(false)]).default(Value::object::<String>([])),
        Attribute::number("secrets_length").computed(),
        Attribute::string("on_create").description("`panic`, `wait`, `ignore-stop` or `fail`"),
    ])
    .description("A thing.")
}

/// What the object is once it is made: everything that the plan left unknown.
fn made(planned: Value, config: &Value) -> Value {
    let mut state = planned;
    let length = |path: &str| config.at(&Path::from(path)).as_str().map_or(0, |text| text.len() as i64);
    state.set("secrets_length", length("password_wo") + length("disk.key_wo"));
    let id = format!("id-{}", state.get("name").as_str().unwrap());
    state.set("id", id);
    if state.at(&"disk.serial".into()).is_unknown() {
        state.set_at(&"disk.serial".into(), "S1");
    }
    for at in 0..state.get("nets").as_list().map_or(0, <[Value]>::len) {
        let mac = format!("02:00:00:00:00:0{at}");
        state.set_at(&Path::from("nets").index(at).attribute("mac"), mac);
    }
    state
}

#[async_trait]
impl Resource for Thing {
    fn schema(&self) -> Schema {
        thing()
    }

    async fn create(&self, ctx: &Context, request: CreateRequest) -> Outcome {
        let name = request.planned.get("name").as_str().unwrap();
        match request.planned.get("on_create").as_str() {
            Some("panic") => panic!("no such thing as {name}"),
            Some("fail") => {
                return Outcome::failed(Diagnostic::error("Cannot make it", "On purpose.").at("on_create"));
            }
            Some("ignore-stop") => {
                fs::write(self.0.file("waiting"), "").unwrap();
                std::future::pending::<()>().await;
            }
            Some("wait") => {
                fs::write(self.0.file("waiting"), "").unwrap();
                ctx.stop.cancelled().await;
                fs::write(self.0.file("stopped"), "").unwrap();
                return Outcome::failed(Diagnostic::error("Stopped", "Nothing was made."));
            }
            _ => {}
        }
        let state = made(request.planned, &request.config);
        self.0.save(&state);
        Outcome::state(state).private(b"made".to_vec())
    }

    async fn read(&self, _: &Context, request: ReadRequest) -> Outcome {
        match self.0.load(request.state.get("name").as_str().unwrap_or_default()) {
            Some(state) => Outcome::state(state),
            None => Outcome::gone(),
        }
    }

    async fn update(&self, _: &Context, request: UpdateRequest) -> Outcome {
        assert_eq!(request.private, b"made", "private state survives");
        let state = made(request.planned, &request.config);
        self.0.save(&state);
        Outcome::state(state)
    }

    async fn delete(&self, _: &Context, request: DeleteRequest) -> Outcome {
        fs::remove_file(self.0.file(request.prior.get("name").as_str().unwrap())).unwrap();
        Outcome::gone()
    }

    async fn import(&self, _: &Context, id: &str) -> Outcome {
        let name = id.strip_prefix("id-").unwrap_or(id);
        self.0.load(name).map_or_else(Outcome::gone, |state| Outcome::state(state).private(b"made".to_vec()))
    }

    async fn move_state(&self, _: &Context, request: MoveRequest) -> Outcome {
        assert_eq!(request.source_type, "demo_gadget");
        let state = json::from_json(&request.state, &thing().object_type()).unwrap();
        Outcome::state(state).private(request.private)
    }
}

#[async_trait]
impl DataSource for Thing {
    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("name").required(),
            Attribute::bool("exists").computed(),
            Attribute::list_of_objects("files", [Attribute::string("path").computed()]).computed(),
        ])
    }

    async fn read(&self, _: &Context, config: Value) -> Outcome {
        let path = self.0.file(config.get("name").as_str().unwrap());
        let files = Value::List(vec![Value::object([("path", path.display().to_string().into())])]);
        Outcome::state(config.with("exists", path.exists()).with("files", files))
    }
}

struct Token;

#[async_trait]
impl EphemeralResource for Token {
    fn schema(&self) -> Schema {
        Schema::new([Attribute::number("length").default(4), Attribute::string("token").computed().sensitive()])
    }

    async fn open(&self, _: &Context, config: Value) -> Opened {
        let length = config.get("length").as_i64().unwrap() as usize;
        Opened::result(config.with("token", "t".repeat(length)))
    }
}

struct Shout;

#[async_trait]
impl Function for Shout {
    fn signature(&self) -> Signature {
        Signature::new([Parameter::new("text", Type::String)], Type::String).summary("Says it louder.")
    }

    async fn call(&self, _: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        match arguments[0].as_str() {
            None | Some("") => Err(FunctionError::argument(0, "there is nothing to shout")),
            Some(text) => Ok(text.to_uppercase().into()),
        }
    }
}
