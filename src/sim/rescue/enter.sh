# Runs one command of a rescue session. $SIM is the pretend root directory; SSH_ORIGINAL_COMMAND is the command as it
# came over the wire. Its text is rewritten so that /dev, /sys, /proc and a few files mean those below $SIM, the
# system's tool directories mean $SIM/bin, the metadata address means the pretend service, and "is it a block device"
# asks for the mark that the pretend disks carry.
mark=$(printf '\001')
before="(^|[^A-Za-z0-9_.}~$mark-])"
after='($|[^A-Za-z0-9_-])'
command=$(printf '%s\n' "$SSH_ORIGINAL_COMMAND" | sed -E \
  -e "s#$SIM#$mark#g" \
  -e "s#$before/(dev|sys|proc|run|tmp)$after#\1$mark/\2\3#g" \
  -e "s#$before/(dev|sys|proc|run|tmp)$after#\1$mark/\2\3#g" \
  -e "s#$before/etc/(os-release|hostname|machine-id|fstab)$after#\1$mark/etc/\2\3#g" \
  -e "s#$before/(usr/)?s?bin/(@WRAPPED@)$after#\1$mark/bin/\3\4#g" \
  -e "s#$before(/usr)?(/local)?/s?bin(\$|[^/A-Za-z0-9_-])#\1$mark/bin\4#g" \
  -e "s#$before(/usr)?(/local)?/s?bin(\$|[^/A-Za-z0-9_-])#\1$mark/bin\4#g" \
  -e "s#169\.254\.169\.254#$SIM_METADATA#g" \
  -e 's#(\[|test)( ! | )-b #\1\2-k #g' \
  -e "s#$mark#$SIM#g")
cd "$HOME" || exit 255
exec "${SIM_SHELL:-/bin/sh}" -c "$command"
