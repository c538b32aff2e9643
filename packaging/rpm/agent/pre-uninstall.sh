# 0 is a removal, 1 the old package of an upgrade.
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then
    systemctl disable --now hyperverge-agent.service
fi
