//! `machine.MachineService`.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt, stream};
use prost_types::Timestamp;
use time::OffsetDateTime;
use tonic::{Request, Response, Status};

use super::{
    apply, bootstrap, containers,
    etcd::{MEMBER, only_control_planes},
    files,
    gate::Note,
    log::{KERNEL, event_id, to_come},
    machine::Machine,
    reset,
    state::Service,
    upgrade,
};
use crate::wire::{
    common::Data,
    machine::{
        ApplyConfigurationRequest, ApplyConfigurationResponse, BootstrapRequest, BootstrapResponse, DmesgRequest,
        EtcdMember, EtcdMemberListRequest, EtcdMemberListResponse, EtcdMembers, Event, EventsRequest, FeaturesInfo,
        Hostname, HostnameResponse, LogsRequest, PlatformInfo, ReadRequest, RebootRequest, RebootResponse,
        ResetRequest, ResetResponse, ServiceEvent, ServiceEvents, ServiceHealth, ServiceInfo, ServiceList,
        ServiceListResponse, ShutdownRequest, ShutdownResponse, SystemStat, SystemStatResponse, UpgradeRequest,
        UpgradeResponse, Version, VersionInfo, VersionResponse, machine_service_server::MachineService,
    },
};

/// The service of one node.
pub struct Api(pub Arc<Machine>);

type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl MachineService for Api {
    type DmesgStream = Streaming<Data>;
    type EventsStream = Streaming<Event>;
    type LogsStream = Streaming<Data>;
    type ReadStream = Streaming<Data>;

    async fn apply_configuration(
        &self,
        request: Request<ApplyConfigurationRequest>,
    ) -> Result<Response<ApplyConfigurationResponse>, Status> {
        apply::apply(&self.0, request).await
    }

    async fn bootstrap(&self, request: Request<BootstrapRequest>) -> Result<Response<BootstrapResponse>, Status> {
        bootstrap::bootstrap(&self.0, request).await
    }

    async fn upgrade(&self, request: Request<UpgradeRequest>) -> Result<Response<UpgradeResponse>, Status> {
        upgrade::upgrade(&self.0, request).await
    }

    async fn reset(&self, request: Request<ResetRequest>) -> Result<Response<ResetResponse>, Status> {
        reset::reset(&self.0, request)
    }

    async fn reboot(&self, request: Request<RebootRequest>) -> Result<Response<RebootResponse>, Status> {
        reset::reboot(&self.0, request)
    }

    async fn shutdown(&self, request: Request<ShutdownRequest>) -> Result<Response<ShutdownResponse>, Status> {
        reset::shutdown(&self.0, request)
    }

    async fn version(&self, _request: Request<()>) -> Result<Response<VersionResponse>, Status> {
        let message = self.0.boot(|boot| Version {
            metadata: None,
            version: Some(VersionInfo {
                tag: boot.entry.version.to_string(),
                sha: "51d3f3b8".to_owned(),
                built: String::new(),
                go_version: "go1.25.5".to_owned(),
                os: "linux".to_owned(),
                arch: self.0.hardware.arch.clone(),
            }),
            platform: Some(PlatformInfo { name: boot.entry.platform.clone(), mode: boot.entry.mode().to_owned() }),
            features: (!boot.in_maintenance()).then_some(FeaturesInfo { rbac: true }),
        });
        Ok(Response::new(VersionResponse { messages: message.into_iter().collect() }))
    }

    async fn hostname(&self, _request: Request<()>) -> Result<Response<HostnameResponse>, Status> {
        let message = Hostname { metadata: None, hostname: self.0.hostname() };
        Ok(Response::new(HostnameResponse { messages: vec![message] }))
    }

    async fn service_list(&self, _request: Request<()>) -> Result<Response<ServiceListResponse>, Status> {
        let services = self.0.boot(|boot| boot.services.iter().map(service_info).collect()).unwrap_or_default();
        let message = ServiceList { metadata: None, services };
        Ok(Response::new(ServiceListResponse { messages: vec![message] }))
    }

    async fn system_stat(&self, _request: Request<()>) -> Result<Response<SystemStatResponse>, Status> {
        let seconds = self.0.boot(|boot| boot.at.unix_timestamp()).unwrap_or_default();
        let message = SystemStat { metadata: None, boot_time: u64::try_from(seconds).unwrap_or_default() };
        Ok(Response::new(SystemStatResponse { messages: vec![message] }))
    }

    async fn etcd_member_list(
        &self,
        _request: Request<EtcdMemberListRequest>,
    ) -> Result<Response<EtcdMemberListResponse>, Status> {
        only_control_planes(&self.0, "member list")?;
        if self.0.boot(|boot| boot.runs("etcd")) != Some(true) {
            return Err(Status::unknown("context deadline exceeded"));
        }
        let address = self.0.hardware.private_ip;
        let member = EtcdMember {
            id: MEMBER,
            hostname: self.0.hostname(),
            peer_urls: vec![format!("https://{address}:2380")],
            client_urls: vec![format!("https://{address}:2379")],
            is_learner: false,
        };
        let message =
            EtcdMembers { metadata: None, legacy_members: vec![member.hostname.clone()], members: vec![member] };
        Ok(Response::new(EtcdMemberListResponse { messages: vec![message] }))
    }

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        let EventsRequest { tail_events, tail_id, with_actor_id, .. } = request.into_inner();
        let (past, future) = self.0.logs.events();
        let keep = match (tail_events, tail_id.is_empty()) {
            (_, false) => past.iter().filter(|event| event.id > tail_id).count(),
            (count, true) if count < 0 => past.len(),
            (count, true) => past.len().min(count as usize),
        };
        let hello = Event { data: Some(prost_types::Any::default()), id: event_id(0), ..Event::default() };
        let skip = past.len() - keep;
        let wanted = move |event: &Event| with_actor_id.is_empty() || event.actor_id == with_actor_id;
        let all = stream::iter(past.into_iter().skip(skip)).chain(to_come(future)).filter(move |event| {
            let wanted = wanted(event);
            async move { wanted }
        });
        let all = stream::iter([hello]).chain(all).map(Ok);
        Ok(Response::new(Box::pin(all)))
    }

    async fn dmesg(&self, request: Request<DmesgRequest>) -> Result<Response<Self::DmesgStream>, Status> {
        let DmesgRequest { follow, tail } = request.into_inner();
        let lines = log_lines(&self.0, KERNEL, follow, if tail { 0 } else { -1 })?;
        Ok(Response::new(lines))
    }

    async fn logs(&self, request: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        Note::set(&request, request.get_ref().id.clone());
        let LogsRequest { namespace, id, follow, tail_lines, .. } = request.into_inner();
        if namespace == "k8s.io" && id != "kubelet" {
            if containers::is_known(&self.0, &id) {
                return Ok(Response::new(Box::pin(stream::empty())));
            }
            return Err(Status::unknown(format!("container {id:?} not found")));
        }
        let known = self.0.boot(|boot| boot.service(&id).is_some()) == Some(true);
        if !known && self.0.logs.read(&id).0.is_none() {
            return Err(Status::unknown(format!("log {id:?} was not registered")));
        }
        Ok(Response::new(log_lines(&self.0, &id, follow, tail_lines)?))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        Note::set(&request, request.get_ref().path.clone());
        let path = request.into_inner().path;
        let bytes = files::read(&self.0, &path)?;
        Ok(Response::new(Box::pin(stream::iter([Ok(Data { metadata: None, bytes })]))))
    }
}

fn log_lines(machine: &Machine, log: &str, follow: bool, tail: i32) -> Result<Streaming<Data>, Status> {
    let (past, future) = machine.logs.read(log);
    let past = past.unwrap_or_default();
    let skip = usize::try_from(tail).map_or(0, |tail| past.len().saturating_sub(tail));
    let data = |line: String| Ok(Data { metadata: None, bytes: (line + "\n").into() });
    let past = stream::iter(past.into_iter().skip(skip)).map(data);
    if !follow {
        return Ok(Box::pin(past));
    }
    let wanted = log.to_owned();
    let future = to_come(future).filter_map(move |(log, line)| {
        let line = (log == wanted).then(|| data(line));
        async move { line }
    });
    Ok(Box::pin(past.chain(future)))
}

fn service_info(service: &Service) -> ServiceInfo {
    let event = |(state, message, at): &(&'static str, String, OffsetDateTime)| ServiceEvent {
        msg: message.clone(),
        state: (*state).to_owned(),
        ts: Some(timestamp(*at)),
    };
    let since = service.events.back().map(|(_, _, at)| timestamp(*at));
    let message = if service.healthy == Some(false) { "connection refused" } else { "" };
    ServiceInfo {
        id: service.id.to_owned(),
        state: service.state.to_owned(),
        events: Some(ServiceEvents { events: service.events.iter().map(event).collect() }),
        health: Some(ServiceHealth {
            unknown: service.healthy.is_none(),
            healthy: service.healthy == Some(true),
            last_message: message.to_owned(),
            last_change: since,
        }),
    }
}

/// A time as protobuf has it.
pub fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: at.unix_timestamp(), nanos: at.nanosecond() as i32 }
}
