#!/usr/bin/env bash
# The guide's cloudbox2, from a rescue shell to a joined worker, against the simulator on loopback.
# Needs Rust and terraform or tofu; needs no root and no network. Leaves nothing behind but target/.
set -euo pipefail
cd "$(dirname "$0")/.."

cli=${TF_ACC_TERRAFORM_PATH:-$(command -v tofu || command -v terraform || true)}
if [ -z "$cli" ]; then
  echo "demo: neither tofu nor terraform was found on PATH; install one of them, or name it with TF_ACC_TERRAFORM_PATH" >&2
  exit 1
fi

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "Building the provider and the simulator"
cargo build --quiet --features sim --bin terraform-provider-talosoci --example simulator
binaries=${CARGO_TARGET_DIR:-$PWD/target}/debug

work=$(mktemp -d "${TMPDIR:-/tmp}/talosoci-demo.XXXXXX")
simulator=
finish() {
  if [ -n "$simulator" ]; then
    kill -TERM "$simulator" 2>/dev/null || true
    wait "$simulator" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
began=$SECONDS

say "Starting the simulator: an Image Factory, a rescue host, a Talos node, the cluster it is to join"
mkdir "$work/simulator"
"$binaries/examples/simulator" --talos v1.12.2 --state "$work/simulator" --sops yes \
  >"$work/simulator.log" 2>&1 &
simulator=$!
until grep -q '^What happens' "$work/simulator.log"; do
  if ! kill -0 "$simulator" 2>/dev/null; then
    echo "demo: the simulator did not start:" >&2
    cat "$work/simulator.log" >&2
    exit 1
  fi
  sleep 0.1
done

cp -r demo/main.tf demo/talconfig.yaml demo/patches "$work/"
mv "$work"/simulator/{talsecret.sops.yaml,talenv.sops.yaml,age.key} "$work/"
cat >"$work/cli.tfrc" <<TFRC
provider_installation {
  dev_overrides {
    "talosoci/talosoci" = "$binaries"
  }
  direct {}
}
TFRC
export TF_CLI_CONFIG_FILE=$work/cli.tfrc TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
export XDG_CACHE_HOME=$work/cache
unset TF_LOG TF_LOG_PROVIDER TALOSCONFIG KUBECONFIG

# dev_overrides make every command warn about themselves, which says nothing about the demo.
quiet() { sed -e '/^Warning: Provider development overrides/,/^releases\./d' | cat -s; }

say "The guide's files: talhelper's talconfig.yaml with a patch file, secrets encrypted with SOPS for a new age key"
(cd "$work" && ls -1 main.tf talconfig.yaml patches/*.yaml ./*.sops.yaml age.key | sed 's|^\(\./\)\{0,1\}|  |')
sed -n 's/^\(tailscaleAuthKey: ENC.\{60\}\).*/  talenv.sops.yaml: \1…/p' "$work/talenv.sops.yaml"

say "$(basename "$cli") plan: what is known before anything is touched"
(cd "$work" && "$cli" plan -no-color -out=plan.bin) >"$work/plan.log" 2>&1 || { cat "$work/plan.log"; exit 1; }
quiet <"$work/plan.log" | sed -n '/will perform the following/,/^Plan:/p'

say "$(basename "$cli") apply: from the rescue shell to a Ready worker"
(cd "$work" && "$cli" apply -no-color plan.bin) >"$work/apply.log" 2>&1 ||
  { cat "$work/apply.log"; tail -40 "$work/simulator.log"; exit 1; }
quiet <"$work/apply.log"

say "What the machine and its cluster saw"
sed -n '/^What happens/,$p' "$work/simulator.log" |
  grep -E '^[0-9:.]+ +[^ ]+ +(factory|reboot|boot:|stage: maintenance|talos api: open|config:|etcd:|upgrade:|reset:|tailscale:|trustd:|kubernetes: node)' |
  cut -c1-130

say "What was kept: names of files and a hash, no secret"
if grep -nE 'tskey-|PRIVATE KEY|AGE-SECRET' "$work/terraform.tfstate"; then
  echo "demo: a secret is in the state" >&2
  exit 1
fi
grep -E '"(config_hash|age_key_file|secrets_file|path)": ' "$work/terraform.tfstate" | sed 's/^ */  /; s/,$//'

say "$(basename "$cli") plan again: nothing is left to do"
(cd "$work" && "$cli" plan -no-color -detailed-exitcode) >"$work/second.log" 2>&1 ||
  { cat "$work/second.log"; echo "demo: the second plan is not empty" >&2; exit 1; }
quiet <"$work/second.log"

say "Done in $((SECONDS - began)) s after the build"
