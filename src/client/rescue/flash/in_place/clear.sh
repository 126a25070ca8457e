# talosoci clear 1
# Takes away what was staged, and answers "cleared". One that has begun keeps what it needs, whoever asks, and however late the
# question arrives; one that has not begun never will. `stage` and `mountinfo` are set by the line before this text.
mkdir "$stage/begun" 2>/dev/null || [ ! -e "$stage/begun" ] || exit
rm -f "$stage/run"
rm -rf "$stage"
grep -q " $stage " "$mountinfo" && umount -l "$stage"
rm -rf "$stage"
echo cleared
