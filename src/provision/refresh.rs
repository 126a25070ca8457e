//! Reading a node that exists: what it runs, with what configuration.

use std::time::Duration;

use crate::client::talos::{Address, Answer, Candidate, ConfigSource, ErrorKind, Node, TalosError, Trust, detect};
use crate::provision::facts::Facts;
use crate::talos::machine_config::{HashOptions, MachineConfig};
use crate::talos::secret::Secret;
use crate::talos::talosconfig::ClientCredentials;

/// A refresh of many nodes must not hang on one: an unreachable node is given up after this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Limit for the first handshake.
const CONNECT: Duration = Duration::from_secs(6);

/// What a look at the node found.
#[derive(Debug)]
pub enum Found {
    /// The node, with its facts and, where the credentials may see it, its persistent configuration.
    Node {
        /// Facts.
        facts: Box<Facts>,
        /// The configuration on its disk.
        config: Option<Secret<String>>,
    },
    /// Nothing that says that the node is gone: the state stays.
    Unknown {
        /// What happened instead, and what it may mean.
        why: String,
    },
}

/// Looks at the node once.
pub async fn look(address: &Address, credentials: &ClientCredentials) -> Found {
    match tokio::time::timeout(PATIENCE, ask(address, credentials)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => Found::Unknown { why: crate::provision::error::chain(&error) },
        Err(_) => Found::Unknown { why: format!("no answer within {} s", PATIENCE.as_secs()) },
    }
}

/// With the credentials at once: in the usual case one handshake is all. Only when that fails is it asked who answers.
async fn ask(address: &Address, credentials: &ClientCredentials) -> Result<Found, TalosError> {
    match Node::connect(address, &Trust::Mutual(credentials.clone()), CONNECT).await {
        Ok(node) => known(&node).await,
        Err(error) if error.kind() == ErrorKind::Unreachable || error.kind() == ErrorKind::Refused => Err(error),
        Err(_) => stranger(address, credentials).await,
    }
}

async fn known(node: &Node) -> Result<Found, TalosError> {
    let config = async {
        match node.machine_config(ConfigSource::Persistent).await {
            Err(error) if error.kind() == ErrorKind::Rpc(tonic::Code::PermissionDenied) => Ok(None),
            answered => answered,
        }
    };
    let (facts, config) = tokio::try_join!(Facts::gather(node), config)?;
    Ok(Found::Node { facts: Box::new(facts), config })
}

async fn stranger(address: &Address, credentials: &ClientCredentials) -> Result<Found, TalosError> {
    let candidates = [Candidate { which: (), credentials }];
    let why = match detect(address, &candidates, PATIENCE).await.answer {
        Answer::Mutual { .. } => "it was about to reboot, or came back just now".to_owned(),
        Answer::Maintenance(_) => {
            "a machine in maintenance mode answers there: the node was reset or its disk was replaced. To provision it \
             anew, change reflash"
                .to_owned()
        }
        Answer::Foreign { issuer, .. } => format!("a node of another cluster answers there ({issuer})"),
        Answer::NotTls { banner } => format!("something else answers there: {banner:?}"),
        Answer::WrongName { names, .. } => format!("the node's certificate names {} only", names.join(", ")),
        Answer::WrongTime { .. } => "the clocks of the node and of this computer disagree".to_owned(),
        Answer::Refused(error)
        | Answer::Unreachable(error)
        | Answer::RejectedOurCertificate { error, .. }
        | Answer::Odd(error) => {
            return Err(error);
        }
    };
    Ok(Found::Unknown { why })
}

/// Content hash of a configuration as the node returns it.
pub fn config_hash(yaml: &Secret<String>) -> Option<String> {
    Some(parse(yaml)?.content_hash(&HashOptions::default()))
}

/// A configuration as the node returns it; `None` for one of a release that this provider cannot read.
pub fn parse(yaml: &Secret<String>) -> Option<MachineConfig> {
    MachineConfig::parse(yaml.expose()).ok()
}
