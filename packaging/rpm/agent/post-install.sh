install -d -o hyperverge-agent -g hyperverge-agent -m 0700 /var/lib/hyperverge-agent
# A new service is not started: an agent is enrolled first, and the first to register at a control plane owns it.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart hyperverge-agent.service
fi
