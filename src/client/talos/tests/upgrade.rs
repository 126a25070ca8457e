//! Both generations of the upgrade conversation.

use crate::wire::machine::image_service_pull_response::Response as Pulled;
use crate::wire::machine::lifecycle_service_install_progress::Response as Installed;

use super::*;

const IMAGE: &str = "factory.talos.dev/oracle-installer/4a0d:v1.12.2";

fn printed(response: Installed) -> Vec<u8> {
    machine::LifecycleServiceUpgradeResponse {
        progress: Some(machine::LifecycleServiceInstallProgress { response: Some(response) }),
    }
    .encode_to_vec()
}

#[tokio::test]
async fn a_legacy_upgrade_sends_its_options_and_returns_the_actor() {
    let (_pretend, node) = node_with(|path, request| {
        assert_eq!(path, "/machine.MachineService/Upgrade");
        let sent = machine::UpgradeRequest::decode(request).unwrap();
        assert_eq!((sent.image.as_str(), sent.force, sent.preserve, sent.stage), (IMAGE, true, true, false));
        assert_eq!(sent.reboot_mode(), machine::upgrade_request::RebootMode::Powercycle);
        one(&machine::UpgradeResponse {
            messages: vec![machine::Upgrade { actor_id: "a1".to_owned(), ..machine::Upgrade::default() }],
        })
    })
    .await;
    let request =
        UpgradeRequest { image: IMAGE.to_owned(), preserve: true, force: true, stage: false, powercycle: true };
    assert_eq!(node.upgrade(&request, SOON).await.unwrap().actor_id, "a1");
}

#[tokio::test]
async fn a_pull_reports_progress_and_ends_with_the_pinned_name() {
    let (_pretend, node) = node_with(|path, request| {
        assert_eq!(path, "/machine.ImageService/Pull");
        let sent = machine::ImageServicePullRequest::decode(request).unwrap();
        let store = sent.containerd.unwrap();
        assert_eq!(sent.image_ref, IMAGE);
        assert_eq!(
            (store.driver(), store.namespace()),
            (common::ContainerDriver::Cri, common::ContainerdNamespace::NsSystem)
        );
        let step = machine::ImageServicePullProgress {
            layer_id: "sha256:1".to_owned(),
            progress: Some(machine::ImageServicePullLayerProgress {
                offset: 10,
                total: 20,
                ..machine::ImageServicePullLayerProgress::default()
            }),
        };
        many(
            [Pulled::PullProgress(step), Pulled::Name(format!("{IMAGE}@sha256:2"))]
                .map(|response| machine::ImageServicePullResponse { response: Some(response) }.encode_to_vec()),
        )
    })
    .await;
    let mut steps = Vec::new();
    let name = node.pull_image(IMAGE, Store::System, SOON, |step| steps.push(step)).await.unwrap();
    assert_eq!(name, format!("{IMAGE}@sha256:2"));
    assert_eq!((steps.len(), steps[0].offset, steps[0].total), (1, 10, 20));
}

#[tokio::test]
async fn a_pull_that_ends_without_a_name_did_not_happen() {
    let (_pretend, node) = node_with(|_, _| many([])).await;
    let error = node.pull_image(IMAGE, Store::System, SOON, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Answer);
}

#[tokio::test]
async fn an_installer_that_ends_well_ends_the_call() {
    let (_pretend, node) = node_with(|path, _| {
        assert_eq!(path, "/machine.LifecycleService/Upgrade");
        many([printed(Installed::Message("copying UKI".to_owned())), printed(Installed::ExitCode(0))])
    })
    .await;
    let mut output = String::new();
    node.lifecycle_upgrade(IMAGE, Store::System, SOON, |piece| output.push_str(piece)).await.unwrap();
    assert_eq!(output, "copying UKI");
}

#[tokio::test]
async fn an_installer_that_fails_on_a_good_stream_is_an_error_with_its_output() {
    let (_pretend, node) = node_with(|_, _| {
        many([printed(Installed::Message("no space left".to_owned())), printed(Installed::ExitCode(1))])
    })
    .await;
    let error = node.lifecycle_upgrade(IMAGE, Store::System, SOON, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Installer);
    assert!(!error.is_transient());
    assert!(
        matches!(&error, TalosError::Installer { output, exit_code: 1, .. } if output == "no space left"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_installer_stream_that_ends_early_proves_nothing() {
    let (_pretend, node) = node_with(|_, _| many([printed(Installed::Message("copying".to_owned()))])).await;
    let error = node.lifecycle_upgrade(IMAGE, Store::System, SOON, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Answer);
    assert!(error.may_have_taken_effect());
}

#[tokio::test]
async fn an_old_node_does_not_know_the_new_services() {
    let unknown = "unknown service machine.LifecycleService";
    let (_pretend, node) = node_with(move |_, _| refuse(Status::unimplemented(unknown))).await;
    let error = node.lifecycle_upgrade(IMAGE, Store::System, SOON, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rpc(Code::Unimplemented));
}

/// A node that never answers an upgrade, and asks to be asked every few milliseconds.
async fn node_that_hangs(also: impl Fn(&str, Bytes) -> Reply + Send + Sync + 'static) -> (Pretend, Node) {
    let (pretend, mut node) = node_with(move |path, request| match path {
        "/cosi.resource.State/Get" => also(path, request),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    node.pulse = Pulse { every: Duration::from_millis(20), within: Duration::from_millis(100) };
    (pretend, node)
}

fn an_upgrade() -> UpgradeRequest {
    UpgradeRequest { image: IMAGE.to_owned(), preserve: false, force: true, stage: false, powercycle: false }
}

#[tokio::test]
async fn a_long_call_does_not_outlive_a_node_that_hangs() {
    let (_pretend, node) = node_that_hangs(|_, _| Reply::Hang(Vec::new())).await;
    let error = node.upgrade(&an_upgrade(), SOON).await.unwrap_err();
    assert!(matches!(error, TalosError::Silent { method: "Upgrade", .. }), "{error:?}");
    assert!(error.is_transient() && error.may_have_taken_effect());
    let error = node.lifecycle_upgrade(IMAGE, Store::System, SOON, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_long_call_waits_for_a_node_that_answers_anything_else() {
    for also in
        [healthy as fn(&str, Bytes) -> Reply, |_: &str, _: Bytes| refuse(Status::permission_denied("not authorized"))]
    {
        let (pretend, node) = node_that_hangs(also).await;
        let error = node.upgrade(&an_upgrade(), Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rpc(Code::DeadlineExceeded));
        assert!(pretend.paths().len() > 4, "{:?}", pretend.paths());
    }
}
