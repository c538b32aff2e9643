install -d -o hyperverge-agent -g hyperverge-agent -m 0700 /var/lib/hyperverge-agent
# A new service is not started: an agent is enrolled first, and the first to register at a control plane owns it.
if [ -d /run/systemd/system ]; then
    # The right to ping, now rather than at the next boot; where the administrator set another range, that one.
    /usr/lib/systemd/systemd-sysctl --prefix=net/ipv4/ping_group_range || true
    systemctl daemon-reload
    systemctl try-restart hyperverge-agent.service
fi
