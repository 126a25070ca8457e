//! The rescue shell: any Linux from which the disk to flash is free.
//!
//! All that is asked of it is a POSIX `sh` with `dd`, `sync` and `sha256sum`, and root (or `sudo` without a
//! password). Nothing is installed on it: every conversation is one command line that carries a whole script. The scripts
//! (`probe/probe.sh`, `flash/flash.sh`) say at their top what they read and what they answer.

use std::time::Duration;

/// Writing an image to the disk.
pub mod flash;

/// One SSH connection.
pub mod session;

/// What the shell and its disk are.
pub mod probe;

use session::{Rights, Session, SessionError};

/// Reboots at once, without stopping services: the disk below them may be another one by now.
///
/// Losing the connection is how a reboot is expected to end; whether the machine came back is for others to see.
///
/// # Errors
/// When the connection was already lost before, or every way to reboot was refused.
pub async fn reboot(session: &Session) -> Result<(), SessionError> {
    let process = match session.start(Rights::Root, REBOOT).await {
        Ok(process) => process,
        Err(SessionError::Channel { .. }) if session.is_closed() => return Err(SessionError::Lost { address: session.address().to_owned() }),
        Err(error) => return Err(error),
    };
    let mut output = process.output;
    let end = tokio::time::timeout(REBOOT_DEADLINE, output.next()).await;
    match end {
        // A machine that went down in the middle of a conversation says nothing more: not even goodbye.
        Err(_) | Ok(Err(SessionError::Lost { .. })) | Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error),
    }
}

/// The pause lets the answer leave before the network does. `b` of sysrq reboots without a sync, which was done before.
const REBOOT: &str = r#"# talosoci reboot 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
[ "$(id -u)" = 0 ] || { echo "not root" >&2; exit 1; }
sync
(
    sleep 1
    reboot -f || busybox reboot -f || systemctl reboot --force --force || {
        echo 1 >/proc/sys/kernel/sysrq
        echo b >/proc/sysrq-trigger
    }
) </dev/null >/dev/null 2>&1 &
echo rebooting
"#;

const REBOOT_DEADLINE: Duration = Duration::from_secs(30);
