//! ApplyConfiguration: maintenance mode and after it, by version.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status};

use super::{
    boot,
    config::Config,
    control_plane, diff,
    gate::{Note, caller},
    machine::Machine,
    state::Serving,
    worker,
};
use crate::{
    sim::journal::Event,
    talos::version::TalosVersion,
    wire::machine::{
        ApplyConfiguration, ApplyConfigurationRequest, ApplyConfigurationResponse, apply_configuration_request::Mode,
    },
};

/// How long a `TRY` lasts when the caller does not say (Talos constants ConfigTryTimeout).
const TRY: Duration = Duration::from_secs(60);

/// Handles the call.
pub async fn apply(
    machine: &Arc<Machine>,
    request: Request<ApplyConfigurationRequest>,
) -> Result<Response<ApplyConfigurationResponse>, Status> {
    let mode = request.get_ref().mode();
    Note::set(&request, format!("mode={}, dry_run={}", mode.as_str_name(), request.get_ref().dry_run));
    let (version, maintenance) = machine
        .boot(|boot| (boot.entry.version.clone(), boot.in_maintenance()))
        .ok_or_else(|| Status::unavailable("no system"))?;
    if maintenance && !version.maintenance_serves_apid() {
        return in_own_server(machine, &version, &request.into_inner());
    }
    let admin = caller(&request).is_admin();
    let guard = Guard::take(machine, &version)?;
    if !maintenance && !admin {
        return Err(Status::permission_denied("not authorized"));
    }
    let answer = in_apid(machine, &version, maintenance, &request.into_inner());
    drop(guard);
    answer
}

/// One at a time since 1.12.9 and 1.13.3.
struct Guard<'a>(Option<&'a Machine>);

impl<'a> Guard<'a> {
    fn take(machine: &'a Machine, version: &TalosVersion) -> Result<Self, Status> {
        if !has_fix(version, 9, 3) {
            return Ok(Self(None));
        }
        let reboots_guard = version.minor_pair() < (1, 14);
        let (busy, rebooting) = machine
            .change(|boot| (std::mem::replace(&mut boot.applying, true), boot.apply_reboots))
            .unwrap_or_default();
        if busy {
            return Err(Status::failed_precondition("another apply configuration is already in progress"));
        }
        let guard = Self(Some(machine));
        if rebooting && reboots_guard {
            let words = "configuration was already applied and node is rebooting, cannot apply more configuration changes \
                         until next reboot";
            return Err(Status::failed_precondition(words));
        }
        Ok(guard)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(machine) = self.0 {
            machine.change(|boot| boot.applying = false);
        }
    }
}

/// Whether a fix of 1.12.x and 1.13.y is in this version.
pub fn has_fix(version: &TalosVersion, patch_12: u64, patch_13: u64) -> bool {
    match version.minor_pair() {
        (1, 12) => version.patch >= patch_12,
        (1, 13) => version.patch >= patch_13,
        pair => pair > (1, 13),
    }
}

/// The maintenance server of 1.12 (internal/app/maintenance/server.go).
fn in_own_server(
    machine: &Arc<Machine>,
    version: &TalosVersion,
    request: &ApplyConfigurationRequest,
) -> Result<Response<ApplyConfigurationResponse>, Status> {
    let mode = request.mode();
    if !matches!(mode, Mode::Reboot | Mode::Auto | Mode::Try) {
        let word = mode.as_str_name().to_ascii_lowercase().replace('_', "-");
        let words = format!("apply configuration --mode='{word}' is not supported in maintenance mode");
        return Err(Status::unimplemented(words));
    }
    let config = Config::load(&request.data, version)
        .map_err(|error| Status::unknown(format!("failed to parse config: {error}")))?;
    let warnings = config
        .validate(version)
        .map_err(|error| Status::invalid_argument(format!("configuration validation failed: {error}")))?;
    let mut reply = ApplyConfiguration { warnings, ..ApplyConfiguration::default() };
    if request.dry_run {
        reply.mode_details =
            "Dry run summary:\nNode is running in maintenance mode and does not have a config yet.".to_owned();
    } else {
        take_over(machine, config, mode, true);
    }
    Ok(answer(reply))
}

/// machined's ApplyConfiguration (v1alpha1_server.go), in maintenance mode since 1.13.
fn in_apid(
    machine: &Arc<Machine>,
    version: &TalosVersion,
    maintenance: bool,
    request: &ApplyConfigurationRequest,
) -> Result<Response<ApplyConfigurationResponse>, Status> {
    if request.mode() != Mode::Try {
        // Whatever becomes of this call, what was tried stays.
        machine.change(|boot| boot.tries += 1);
    }
    let config = Config::load(&request.data, version).map_err(Status::invalid_argument)?;
    if !maintenance && !config.is_complete() {
        return Err(Status::invalid_argument(
            "the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine \
             config instead?",
        ));
    }
    let mut mode = request.mode();
    if mode == Mode::Reboot && !maintenance && !version.apply_reboot_mode_allowed() {
        return Err(Status::unimplemented(
            "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead",
        ));
    }
    if mode == Mode::Reboot && maintenance {
        mode = Mode::NoReboot;
    }
    let warnings = config.validate(version).map_err(Status::invalid_argument)?;
    let obstacle =
        if maintenance || version.minor_pair() >= (1, 14) { None } else { obstacle(machine, version, &config) };
    let mut details = match (mode, &obstacle) {
        (Mode::Try | Mode::NoReboot, Some(obstacle)) => return Err(Status::invalid_argument(obstacle.clone())),
        (Mode::Auto, Some(obstacle)) => {
            mode = Mode::Reboot;
            format!("Applied configuration with a reboot: {obstacle}")
        }
        (Mode::Auto, None) => {
            mode = Mode::NoReboot;
            "Applied configuration without a reboot".to_owned()
        }
        (Mode::Staged, _) => "Staged configuration to be applied after the next reboot".to_owned(),
        (Mode::Reboot, _) => "Applied configuration with a reboot".to_owned(),
        (Mode::Try | Mode::NoReboot, None) => "Applied configuration without a reboot".to_owned(),
    };
    if request.dry_run {
        let summary = details.split(": ").next().unwrap_or_default();
        let diff = difference(machine, version, &config);
        let mode_details = format!("Dry run summary:\n{summary} (skipped in dry-run).\n{diff}");
        return Ok(answer(ApplyConfiguration { mode: mode.into(), mode_details, ..ApplyConfiguration::default() }));
    }
    act(machine, config, mode, maintenance, request, &mut details);
    Ok(answer(ApplyConfiguration { metadata: None, warnings, mode: mode.into(), mode_details: details }))
}

fn act(
    machine: &Arc<Machine>,
    config: Config,
    mode: Mode,
    maintenance: bool,
    request: &ApplyConfigurationRequest,
    details: &mut String,
) {
    match mode {
        Mode::Staged => {
            journal(machine, &config, mode);
            machine.with(|state| state.disk.config = Some(config));
        }
        Mode::Reboot => {
            journal(machine, &config, mode);
            machine.with(|state| {
                state.disk.config = Some(config);
                state.boot.iter_mut().for_each(|boot| boot.apply_reboots = true);
            });
            boot::reboot_soon(machine, "reboot", String::new());
        }
        Mode::Try => {
            let timeout = request.try_mode_timeout.and_then(|timeout| timeout.try_into().ok()).unwrap_or(TRY);
            details.push_str(&format!(
                "\nThe config is applied in 'try' mode and will be automatically reverted back in {}",
                go_duration(timeout)
            ));
            try_for(machine, timeout);
            take_over(machine, config, mode, maintenance);
        }
        _ => take_over(machine, config, mode, maintenance),
    }
}

/// Puts a configuration into effect, and on STATE unless it is only tried.
fn take_over(machine: &Arc<Machine>, config: Config, mode: Mode, maintenance: bool) {
    journal(machine, &config, mode);
    let was = machine.boot(|boot| boot.config.as_ref().map(Config::is_control_plane)).flatten();
    let becomes = config.is_complete().then(|| config.is_control_plane());
    machine.with(|state| {
        if mode != Mode::Try || maintenance {
            state.disk.config = Some(config.clone());
        }
        if let Some(boot) = &mut state.boot {
            boot.config = Some(config);
        }
    });
    if !maintenance {
        reissue(machine, was, becomes);
    }
}

/// The API certificate follows the configuration. On 1.14 a live change from control plane to worker drops it and asks
/// the new cluster's trustd, while the old services go on: the old client is locked out.
fn reissue(machine: &Arc<Machine>, was: Option<bool>, becomes: Option<bool>) {
    match (was, becomes) {
        (_, Some(true)) => {
            if let Err(error) = control_plane::open_api(machine) {
                machine.controller_failed("secrets.APIController", &error.to_string());
            }
        }
        (Some(true), Some(false)) => {
            machine.change(|boot| boot.serving = Serving::NoCertificate);
            let machine = Arc::clone(machine);
            tokio::spawn(async move { worker::api(&machine).await });
        }
        (Some(false), Some(false)) => worker::renew(machine),
        _ => {}
    }
}

fn try_for(machine: &Arc<Machine>, timeout: Duration) {
    let machine = Arc::clone(machine);
    let (before, boot_id) = machine.boot(|boot| (boot.config.clone(), boot.id.clone())).unwrap_or_default();
    let tried = machine.change(|boot| {
        boot.tries += 1;
        boot.tries
    });
    tokio::spawn(async move {
        tokio::time::sleep(timeout).await;
        machine.change(|boot| {
            if boot.id == boot_id && Some(boot.tries) == tried {
                boot.config = before;
            }
        });
    });
}

fn obstacle(machine: &Machine, version: &TalosVersion, new: &Config) -> Option<String> {
    let (old, new) = machine.boot(|boot| boot.config.as_ref().and_then(|old| old.needs_reboot_for(new))).flatten()?;
    let diff = diff::unified(&old, &new, !has_fix(version, 5, 0));
    Some(format!("this config change can't be applied in immediate mode\ndiff:\n{diff}"))
}

/// What the dry run says of the difference (v1alpha1_server.go generateDiff).
fn difference(machine: &Machine, version: &TalosVersion, new: &Config) -> String {
    let old = machine.boot(|boot| boot.config.as_ref().map(|config| config.parsed.to_yaml())).flatten();
    let diff = diff::unified(&old.unwrap_or_default(), &new.parsed.to_yaml(), !has_fix(version, 5, 0));
    let diff = if diff.is_empty() { "No changes.".to_owned() } else { diff };
    format!("Config diff:\n\n{diff}")
}

fn journal(machine: &Machine, config: &Config, mode: Mode) {
    let cluster = config.parsed.cluster_name().unwrap_or_default();
    let mode = mode.as_str_name().to_owned();
    machine.note(Event::ConfigApplied { kind: config.kind().to_owned(), mode, cluster });
}

/// A duration as Go prints it, whole seconds.
fn go_duration(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

fn answer(message: ApplyConfiguration) -> Response<ApplyConfigurationResponse> {
    Response::new(ApplyConfigurationResponse { messages: vec![message] })
}
