# talosoci follow 1
# Tells what the overwrite in $stage says, from its first line to its last. A line of ours begins with "?": "? gone" when nothing
# is staged, "? idle" when it was not started, "? dead" when the script ended without a last word.
# `stage` is set by the line before this text. What runs for long comes from the stage: the disk may hold other bytes by now.
[ -e "$stage/start" ] || { echo '? gone'; exit; }
[ -e "$stage/begun" ] || { echo '? idle'; exit; }
read -r start <"$stage/start"
export stage
exec $start -c '
set -f
unset LD_PRELOAD LD_LIBRARY_PATH
. "$stage/tools"
exec <"$stage/log" 2>/dev/null
part=
tell() {
    while IFS= read -r line; do
        line=$part$line part=
        echo "$line"
        case $line in "!"* | reboot) exit ;; esac
    done
    # A line that was caught half-written: its rest comes with the next look.
    part=$part$line
}
waited=0
while :; do
    state=alive
    if read -r pid <"$stage/pid"; then
        kill -s 0 "$pid" || state=dead
        read -r stat <"/proc/$pid/stat" && case ${stat##*) } in Z*) state=dead ;; esac
    elif [ "$waited" -gt 100 ]; then
        state=dead
    fi
    tell
    [ "$state" = alive ] || { echo "? dead"; exit; }
    waited=$((waited + 1))
    sleep 0.3 || sleep 1
done'
