# talosoci start 1
# Starts the script that was staged, so that it outlives the connection. Answers "started", also when it was started before: whoever
# lost the answer may ask again.
# `disk`, `stage`, `trigger`, `mountinfo`, `stop`, `swapoff`, `seal`, `end`, `tries` and `patience` are set by the line before this text.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
cd "$stage" || exit
name=$(printf %s "${disk#/dev/}" | tr / !)
numbers=$(cat "/sys/class/block/$name/dev" "/sys/class/block/$name/$name"*/dev 2>/dev/null | tr '\n' ' ')
parts=
for part in "/sys/class/block/$name/$name"*; do
    [ ! -e "$part/partition" ] || parts="$parts /dev/${part##*/}"
done
export disk stage trigger mountinfo stop swapoff seal end tries patience numbers parts
: >>"$stage/log"
# Whoever makes this directory has begun, or has seen to it that nobody does.
mkdir "$stage/begun" 2>/dev/null || { echo started; exit; }
setsid $(cat "$stage/start") "$stage/run" </dev/null >/dev/null 2>&1 &
echo started
