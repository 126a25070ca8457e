# talosoci start 1
# Starts the script that was staged, so that it outlives the connection. Answers "started".
# `disk`, `stage`, `trigger`, `mountinfo`, `stop`, `swapoff`, `end`, `tries` and `patience` are set by the line before this text.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
name=$(printf %s "${disk#/dev/}" | tr / !)
numbers=$(cat "/sys/class/block/$name/dev" "/sys/class/block/$name/$name"*/dev 2>/dev/null | tr '\n' ' ')
export disk stage trigger mountinfo stop swapoff end tries patience numbers
: >"$stage/log"
cd "$stage" || exit 1
setsid $(cat "$stage/start") "$stage/run" </dev/null >/dev/null 2>&1 &
echo started
